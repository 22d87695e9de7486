//! The command's standard streams: pipes or a terminal of our own making.
//!
//! What the caller has open is never passed into a container: a command there could open a
//! terminal's other side (CVE-2016-10124) or a file anew through /proc/self/fd.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstat, makedev};
use nix::sys::statfs::{DEVPTS_SUPER_MAGIC, fstatfs};
use nix::unistd::{Gid, Uid, fchown, pipe2};

use crate::plan::Identity;
use crate::supervise::{Streams, same_output};
use crate::sys::pty;

/// The command's three descriptors; a terminal serves as all of them.
#[derive(Debug)]
pub(super) struct Stdio {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    /// None: as stdout.
    pub(super) stderr: Option<OwnedFd>,
}

impl Stdio {
    /// A terminal as all three.
    pub(super) fn of_terminal(slave: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            stdin: slave.try_clone()?,
            stdout: slave,
            stderr: None,
        })
    }

    pub(super) fn stderr(&self) -> BorrowedFd<'_> {
        self.stderr.as_ref().unwrap_or(&self.stdout).as_fd()
    }
}

/// Pipes that belong to the command's user, so that it can open /dev/stdin, /dev/stdout and
/// /dev/stderr (which only a file's owner may, whatever is open already).
pub(super) fn pipes(with_stdin: bool, owner: &Identity) -> io::Result<(Stdio, Streams)> {
    let pipe = || -> io::Result<(OwnedFd, OwnedFd)> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        let (uid, gid) = (Uid::from_raw(owner.host_uid), Gid::from_raw(owner.host_gid));
        fchown(&write, Some(uid), Some(gid))?;
        Ok((read, write))
    };
    let (stdin, our_stdin) = if with_stdin {
        let (read, write) = pipe()?;
        (read, Some(write))
    } else {
        (
            open(
                "/dev/null",
                OFlag::O_RDONLY | OFlag::O_CLOEXEC,
                Mode::empty(),
            )?,
            None,
        )
    };
    let (our_stdout, stdout) = pipe()?;
    let (our_stderr, stderr) = if same_output() {
        (None, None)
    } else {
        pipe().map(|(r, w)| (Some(r), Some(w)))?
    };
    Ok((
        Stdio {
            stdin,
            stdout,
            stderr,
        },
        Streams::Pipes {
            stdin: our_stdin,
            stdout: our_stdout,
            stderr: our_stderr,
        },
    ))
}

/// A terminal of the devpts at /dev/pts, as this process sees it: the master and the other side.
///
/// The container may have mounted anything there (CVE-2025-52565): it must be a devpts, and the
/// file in it the multiplexer and nothing else.
pub(super) fn terminal(owner_uid: u32) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let dir = open("/dev/pts", flags, Mode::empty())?;
    check_devpts(&dir)?;
    let path = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    check_multiplexer(&openat(&dir, "ptmx", path, Mode::empty())?)?;
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let master = openat(&dir, "ptmx", flags, Mode::empty())?;
    check_multiplexer(&master)?;
    pty::unlock(master.as_fd())?;
    let slave = pty::open_peer(master.as_fd())?;
    // Its group stays what the devpts gives, usually tty.
    fchown(&slave, Some(Uid::from_raw(owner_uid)), None)?;
    Ok((master, slave))
}

/// A terminal of the node's, for a target without a devpts.
pub(super) fn host_terminal(owner_uid: u32) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = open("/dev/ptmx", flags, Mode::empty())?;
    pty::unlock(master.as_fd())?;
    let slave = pty::open_peer(master.as_fd())?;
    fchown(&slave, Some(Uid::from_raw(owner_uid)), None)?;
    Ok((master, slave))
}

fn check_devpts(fd: &OwnedFd) -> io::Result<()> {
    if fstatfs(fd)?.filesystem_type() == DEVPTS_SUPER_MAGIC {
        Ok(())
    } else {
        Err(io::Error::other("/dev/pts is not a devpts file system"))
    }
}

fn check_multiplexer(fd: &OwnedFd) -> io::Result<()> {
    let stat = fstat(fd)?;
    let is_character = stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFCHR.bits();
    if is_character && stat.st_rdev == makedev(5, 2) {
        check_devpts(fd)
    } else {
        Err(Errno::ENOTTY.into())
    }
}
