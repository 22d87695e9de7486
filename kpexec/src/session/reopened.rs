//! The user's terminal, opened once more: a description of our own can be one that never blocks,
//! while O_NONBLOCK on the user's would be the shell's, too.

use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, fstat, major, minor, open};
use tokio::net::unix::pipe::Receiver;

/// Where the user reads.
pub(super) struct Screen(OwnedFd);

/// What the user types on stdin; None if that is no terminal, or may not be opened again.
pub(super) fn keys() -> Option<Receiver> {
    let fd = again(io::stdin().as_fd(), OFlags::RDONLY)?;
    // A pipe as far as tokio goes: whatever is read without blocking. A short read has taken all that
    // there was, as tokio takes it to have, for a terminal that is raw.
    Receiver::from_owned_fd_unchecked(fd).ok()
}

impl Screen {
    /// Of stdout, as [`keys`] of stdin.
    pub(super) fn of_stdout() -> Option<Self> {
        again(rustix::stdio::stdout(), OFlags::WRONLY).map(Self)
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(&self.0, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn again(fd: BorrowedFd<'_>, access: OFlags) -> Option<OwnedFd> {
    let device = fstat(fd).ok()?.st_rdev;
    // Opening /dev/ptmx makes another terminal.
    if !fd.is_terminal() || (major(device), minor(device)) == (5, 2) {
        return None;
    }
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fresh = open(path, flags, Mode::empty()).ok()?;
    // One that was hung up meanwhile is another user's now: only the old descriptor knows.
    fd.is_terminal().then_some(fresh)
}
