//! A pipe of our own through which the pages of one pipe go to another: nothing is copied.

use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::unistd::pipe2;

use crate::supervise::Stream;

/// Room for a frame's data when its first and its last page are not full, in bytes.
const SIZE: libc::c_int = 128 << 10;

/// Holds what was taken of a source, so that a frame's length is known before its header is
/// written: the source itself may have other readers.
#[derive(Debug)]
pub(super) struct Conduit {
    read: OwnedFd,
    write: OwnedFd,
    held: usize,
}

impl Conduit {
    /// # Errors
    /// As pipe(2).
    pub(super) fn new() -> nix::Result<Self> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        fcntl(&write, FcntlArg::F_SETPIPE_SZ(SIZE))?;
        let held = 0;
        Ok(Self { read, write, held })
    }

    /// How many bytes wait in it.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Takes at most `most` bytes of a pipe; how many those were, 0 at its end.
    ///
    /// # Errors
    /// As splice(2); EAGAIN if there is nothing now.
    pub(super) fn fill(&mut self, source: &Stream<'_>, most: usize) -> nix::Result<usize> {
        let count = pass(source, &self.write, most)?;
        self.held += count;
        Ok(count)
    }

    /// Gives the sink what it has room for.
    ///
    /// # Errors
    /// As splice(2); EAGAIN if there is no room now.
    pub(super) fn drain(&mut self, sink: &Stream<'_>) -> nix::Result<()> {
        let count = pass(&self.read, sink, self.held)?;
        self.held = self.held.saturating_sub(count);
        Ok(())
    }
}

fn pass(from: impl AsFd, to: impl AsFd, most: usize) -> nix::Result<usize> {
    let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
    splice(from, None, to, None, most, flags)
}
