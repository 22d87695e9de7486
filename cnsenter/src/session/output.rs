//! What a command writes, on its way to the client.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use cnsenter_protocol::credit::{self, Allowance};
use cnsenter_protocol::{SessionId, Stream as Name};

use super::outbox::Outbox;
use crate::supervise::{PTY_CAPACITY, PTY_RETRY, Stream};

/// Who reads so much at once, in bytes, is to have a larger pipe, and need not copy.
const MUCH: usize = 32 << 10;

/// A pty gives no more at once, in bytes: more room would only have to be cleared for every key.
const PTY_READ: usize = 4 << 10;

pub(super) struct Output {
    pub(super) name: Name,
    source: Source,
    allowance: Allowance,
    /// It gave much when it was last read.
    busy: bool,
}

enum Source {
    /// A terminal that is not there yet.
    Awaited,
    Pipe(Stream<'static>),
    Terminal(Terminal),
    /// It has ended, or the client does not want more.
    Over,
}

struct Terminal {
    master: Stream<'static>,
    /// Nobody has its other end open: when it is looked at again.
    retry_at: Option<Instant>,
    /// How much is still delivered, in bytes, once the command has ended.
    left: Option<usize>,
}

impl Output {
    pub(super) fn of_pipe(name: Name, pipe: Stream<'static>) -> Self {
        Self::new(name, Source::Pipe(pipe))
    }

    /// Of a terminal that [`Output::connect`] tells of once the command runs.
    pub(super) fn of_terminal(name: Name) -> Self {
        Self::new(name, Source::Awaited)
    }

    fn new(name: Name, source: Source) -> Self {
        Self {
            name,
            source,
            allowance: Allowance::default(),
            busy: false,
        }
    }

    pub(super) fn awaits_terminal(&self) -> bool {
        matches!(self.source, Source::Awaited)
    }

    pub(super) fn connect(&mut self, master: Stream<'static>) {
        self.source = Source::Terminal(Terminal {
            master,
            retry_at: None,
            left: None,
        });
    }

    /// Whether nothing more comes.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.source, Source::Over | Source::Awaited)
    }

    /// Nobody wants more of it: its writer gets EPIPE, or SIGPIPE.
    pub(super) fn close(&mut self) {
        self.source = Source::Over;
    }

    /// The client's credit.
    ///
    /// # Errors
    /// When that is more than there can be.
    pub(super) fn grant(&mut self, bytes: u32) -> Result<(), credit::Error> {
        self.allowance.grant(bytes)
    }

    /// What to wait for, if more may be sent.
    pub(super) fn interest(&self) -> Option<BorrowedFd<'_>> {
        if self.allowance.left() == 0 {
            return None;
        }
        match &self.source {
            Source::Pipe(pipe) => Some(pipe.as_fd()),
            Source::Terminal(Terminal {
                master,
                retry_at: None,
                left: None,
            }) => Some(master.as_fd()),
            _ => None,
        }
    }

    /// When it is to be looked at again although nothing tells.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        match &self.source {
            Source::Terminal(terminal) => terminal.retry_at,
            _ => None,
        }
    }

    /// Looks again, if it is time to.
    pub(super) fn retry(&mut self, now: Instant) {
        if let Source::Terminal(terminal) = &mut self.source {
            terminal.retry_at.take_if(|at| *at <= now);
        }
    }

    /// The command has ended: what is in its terminal is delivered, what its children write later is
    /// not.
    pub(super) fn finish(&mut self, session: SessionId, outbox: &mut Outbox) {
        while let Source::Terminal(terminal) = &mut self.source
            && self.allowance.left() > 0
            && outbox.has_room()
        {
            let capacity = usize::try_from(PTY_CAPACITY).unwrap_or(usize::MAX);
            terminal.left.get_or_insert(capacity);
            self.read(session, outbox);
        }
    }

    /// Reads once.
    pub(super) fn read(&mut self, session: SessionId, outbox: &mut Outbox) {
        let most = self.allowance.left();
        if most == 0 || !outbox.has_room() {
            return;
        }
        let taken = match &mut self.source {
            Source::Pipe(pipe) => {
                // A few bytes are copied at less cost than a page is moved.
                if self.busy && most >= MUCH && outbox.splices() {
                    outbox.splice_data(session, self.name, most, pipe)
                } else {
                    outbox.put_data(session, self.name, most, |buffer| pipe.read(buffer))
                }
            }
            Source::Terminal(terminal) => {
                let most = most.min(terminal.left.unwrap_or(most)).min(PTY_READ);
                let read = |buffer: &mut [u8]| terminal.master.read(buffer);
                let taken = outbox.put_data(session, self.name, most, read);
                terminal.after(taken)
            }
            Source::Awaited | Source::Over => return,
        };
        match taken {
            Ok(0) => {
                self.source = Source::Over;
                outbox.put_end(session, self.name);
            }
            Ok(count) => {
                self.allowance.spend(count);
                self.busy = count >= MUCH;
                if self.busy
                    && let Source::Pipe(pipe) = &mut self.source
                {
                    pipe.grow();
                }
            }
            Err(nix::Error::EAGAIN) => {}
            Err(_) => self.source = Source::Over,
        }
    }
}

impl Terminal {
    /// What a read means for one: 0 is its end.
    fn after(&mut self, taken: nix::Result<usize>) -> nix::Result<usize> {
        match (taken, &mut self.left) {
            (Ok(count), Some(left)) => {
                *left -= count;
                Ok(count)
            }
            (Err(nix::Error::EAGAIN | nix::Error::EIO), Some(_)) => Ok(0),
            (Err(nix::Error::EIO), None) => {
                self.retry_at = Some(Instant::now() + PTY_RETRY);
                Err(nix::Error::EAGAIN)
            }
            (taken, _) => taken,
        }
    }
}
