//! The guard: whoever kills outlives whoever serves.
//!
//! A small process that waits for our end on a pipe. If we end without having dismissed it, by
//! KILL for instance, it kills everything in the command's cgroup and gives the operator's
//! terminal back its modes. It is in a process group of its own and ignores every signal that can be. If
//! it ends before us, killed by an admin or for want of memory, another takes its place.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, pthread_sigmask};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, chdir, pipe2, read, setpgid};

use super::cgroup_leaf::{Leaf, Site};
use crate::supervise::Restorer;
use crate::sys::image::let_go_of_code;
use crate::sys::process::{Fork, close_all_but, exit_now, fork_silently, pidfd_open};

/// A guard on duty. Dropping it without [`Guard::dismiss`] calls it into action.
#[derive(Debug)]
pub struct Guard {
    #[expect(dead_code, reason = "its end is what the guard waits for")]
    pipe: OwnedFd,
    pid: Pid,
    /// None before Linux 5.3: its end is not noticed then.
    pidfd: Option<OwnedFd>,
}

impl Guard {
    /// Posts a guard over the leaf at one of `sites`, which is yet to be made, and `terminal`; in
    /// the cgroup `outside` if that can be had, so that a KILL on all of ours or all of the
    /// target's does not hit it as well.
    ///
    /// # Errors
    /// As pipe(2) and fork(2).
    pub(super) fn post(
        sites: &[&Site],
        terminal: Option<&Restorer>,
        outside: Option<BorrowedFd<'_>>,
    ) -> io::Result<Self> {
        let (theirs, ours) = pipe2(OFlag::O_CLOEXEC)?;
        let forked = match fork_silently(outside) {
            Err(_) if outside.is_some() => fork_silently(None)?,
            other => other?,
        };
        match forked {
            Fork::Child => keep_watch(&theirs, sites, terminal),
            Fork::Parent(pid) => {
                // Before there is anything to guard: a KILL for our group is not to hit it as well.
                let _ = setpgid(pid, pid);
                Ok(Self {
                    pipe: ours,
                    pid,
                    pidfd: pidfd_open(pid).ok(),
                })
            }
        }
    }

    /// What can be read when it has ended (pidfd_open(2)).
    pub(super) fn end(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Ends it: nothing is left to guard. By KILL, since somebody may have stopped it, and while
    /// the pipe is open: it acts on its end alone.
    pub fn dismiss(self) {
        let _ = kill(self.pid, Signal::SIGKILL);
        // Reaped here: whoever our parent is may not do it.
        let _ = waitpid(self.pid, Some(WaitPidFlag::__WALL));
    }
}

fn keep_watch(pipe: &OwnedFd, sites: &[&Site], terminal: Option<&Restorer>) -> ! {
    // Every step is for the worst case only: none of them failing is a reason not to watch.
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
    let _ = prctl::set_name(c"cnsenter-guard");
    let _ = chdir("/");
    let mut keep = vec![pipe.as_fd()];
    keep.extend(sites.iter().map(|site| site.as_fd()));
    keep.extend(terminal.map(AsFd::as_fd));
    let _ = close_all_but(&keep);

    let_go_of_code();

    // Nothing is ever written: this returns at the pipe's end, which is ours.
    while read(pipe, &mut [0]) == Err(Errno::EINTR) {}
    let leaves: Vec<Leaf> = sites.iter().filter_map(|site| site.find().ok()).collect();
    for leaf in &leaves {
        let _ = leaf.kill();
    }
    if let Some(terminal) = terminal {
        terminal.restore();
    }
    for leaf in &leaves {
        let _ = leaf.remove();
    }
    exit_now(0);
}
