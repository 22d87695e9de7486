//! Pinning the container's init, so that its PID cannot come to mean another process.

use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

use super::Error;
use crate::hostproc::{HostProc, Process};
use crate::resolve::Container;
use crate::sys::process::pidfd_open;

/// A container whose init we hold on to.
#[derive(Debug)]
pub struct Target {
    /// What resolving found.
    pub container: Container,
    /// The init's directory in the node's /proc.
    pub process: Process,
    /// The init; None before Linux 5.3.
    pub pidfd: Option<OwnedFd>,
    /// The init's root directory.
    pub root: OwnedFd,
}

/// Pins the init of `container`. The caller then asks the runtime once more whether this PID is
/// still the container's.
///
/// # Errors
/// When the init has ended.
pub fn pin(proc: &HostProc, container: Container) -> Result<Target, Error> {
    let pid = container.state.pid().ok_or(Error::InitGone(0))?;
    // In this order: if the process behind the pidfd still lives once the directory is open, both
    // are the same process.
    let pidfd = pidfd_open(pid).ok();
    let process = proc
        .process(pid)
        .map_err(|_| Error::InitGone(pid.as_raw()))?;
    let ended = match &pidfd {
        Some(pidfd) => has_ended(pidfd),
        None => !process.is_alive(),
    };
    if ended {
        return Err(Error::InitGone(pid.as_raw()));
    }
    let root = process.open("root", OFlag::O_PATH | OFlag::O_DIRECTORY)?;
    Ok(Target {
        container,
        process,
        pidfd,
        root,
    })
}

fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0)
}
