//! What the client writes to a command, on its way to the command.

use std::os::fd::{AsFd, BorrowedFd};

use nix::poll::PollFlags;

use super::backlog::Backlog;
use crate::supervise::Stream;

/// How far a write came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrote {
    All,
    /// The rest waits for room.
    Some,
    /// The command does not read any more.
    Gone,
}

pub(super) struct Input {
    /// None while a terminal is not there yet.
    sink: Option<Stream<'static>>,
    is_terminal: bool,
    waiting: Backlog,
    /// The last byte that was written.
    last: Option<u8>,
}

impl Input {
    pub(super) fn of_pipe(pipe: Stream<'static>) -> Self {
        Self {
            sink: Some(pipe),
            is_terminal: false,
            waiting: Backlog::default(),
            last: None,
        }
    }

    /// For a terminal that [`Input::connect`] tells of once the command runs.
    pub(super) fn of_terminal() -> Self {
        Self {
            sink: None,
            is_terminal: true,
            waiting: Backlog::default(),
            last: None,
        }
    }

    pub(super) fn awaits_terminal(&self) -> bool {
        self.is_terminal && self.sink.is_none()
    }

    pub(super) fn connect(&mut self, master: Stream<'static>) {
        self.sink = Some(master);
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    pub(super) fn last(&self) -> Option<u8> {
        self.last
    }

    /// How many bytes wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What to poll.
    pub(super) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let sink = self.sink.as_ref()?.as_fd();
        match (self.waiting.is_empty(), self.is_terminal) {
            (false, _) => Some((sink, PollFlags::POLLOUT)),
            // That nobody reads a pipe is told in any case; of a terminal that would be said for as
            // long as nobody has it open.
            (true, false) => Some((sink, PollFlags::empty())),
            (true, true) => None,
        }
    }

    /// Takes more; how much of it is not kept.
    pub(super) fn push(&mut self, bytes: &[u8]) -> usize {
        // What there is room for is not kept.
        let written = match &mut self.sink {
            Some(sink) if self.waiting.is_empty() && !bytes.is_empty() => {
                sink.write(bytes).unwrap_or(0)
            }
            _ => 0,
        };
        if let Some(last) = bytes[..written].last() {
            self.last = Some(*last);
        }
        self.waiting.push(&bytes[written..]);
        written
    }

    /// Writes what there is room for, and how many bytes those were.
    pub(super) fn write(&mut self) -> (Wrote, usize) {
        let mut written = 0;
        while !self.waiting.is_empty() {
            let Some(sink) = &mut self.sink else {
                return (Wrote::Some, written);
            };
            let front = self.waiting.front();
            let count = match sink.write(front) {
                Ok(count) => count,
                Err(nix::Error::EAGAIN) => {
                    sink.grow();
                    return (Wrote::Some, written);
                }
                // Nobody has the terminal open: keys go nowhere.
                Err(nix::Error::EIO) if self.is_terminal => front.len(),
                Err(_) => return (Wrote::Gone, written),
            };
            self.last = front[..count].last().copied().or(self.last);
            self.waiting.advance(count);
            written += count;
        }
        match self.sink {
            Some(_) => (Wrote::All, written),
            None => (Wrote::Some, written),
        }
    }
}
