//! One direction of a relay. At any moment it waits for its source or for its sink, never for
//! both: polling a source while the sink is full would find it ready for ever.

use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::{SpliceFFlags, splice};
use nix::poll::PollFlags;

use super::stream::{BIG_PIPE, Direction, Kind, PTY_CAPACITY, Stream};
use crate::sys::stream::readable_bytes;

/// How much is copied at once, in bytes. Allocated when the first bytes come.
const BUFFER: usize = 64 << 10;
/// One splice that moves this much, in bytes, shows that a pipe of the usual size was full.
const MUCH: usize = 64 << 10;

/// Why a flow is over.
#[derive(Debug)]
pub(super) enum Ended {
    /// All was delivered.
    Eof,
    /// Nobody reads the sink any more.
    SinkGone,
    /// The source cannot be read.
    ReadFault(nix::Error),
    /// The sink cannot be written.
    WriteFault(nix::Error),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Source,
    Sink,
    /// The pty has no other end now; somebody may open it again, and nothing will tell.
    Later,
}

/// What became of a write.
enum Wrote {
    All,
    NotYet,
    Ended(Ended),
}

pub(super) struct Flow<'a> {
    source: Stream<'a>,
    sink: Stream<'a>,
    splices: bool,
    wait: Wait,
    /// How much is still to be delivered, once the writer has ended.
    left: Option<u64>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    source_over: bool,
    last: Option<u8>,
}

impl<'a> Flow<'a> {
    pub(super) fn new(source: Stream<'a>, sink: Stream<'a>) -> Self {
        let kinds = [source.kind(), sink.kind()];
        // A splice into a socket waits for room whatever its flags; terminals do not splice well.
        let splices = kinds.contains(&Kind::Pipe)
            && kinds.iter().all(|k| matches!(k, Kind::Pipe | Kind::Other));
        Self {
            source,
            sink,
            splices,
            wait: Wait::Source,
            left: None,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            source_over: false,
            last: None,
        }
    }

    /// What to poll of the source and of the sink. A pipe to nobody is told while the source is
    /// silent, too: the command's next write fails then, as if it held the pipe itself.
    pub(super) fn interest(&self) -> [Option<(BorrowedFd<'_>, PollFlags)>; 2] {
        let source =
            (self.wait == Wait::Source).then(|| (self.source.as_fd(), Direction::Read.readiness()));
        let sink = match self.wait {
            Wait::Sink => Some((self.sink.as_fd(), Direction::Write.readiness())),
            _ if self.sink.kind() == Kind::Pipe => Some((self.sink.as_fd(), PollFlags::empty())),
            _ => None,
        };
        [source, sink]
    }

    /// Goes on after poll(2), which found this at the source and the sink.
    pub(super) fn on_ready(&mut self, source: PollFlags, sink: PollFlags) -> Option<Ended> {
        if self.sink.kind() == Kind::Pipe && sink.contains(PollFlags::POLLERR) {
            return Some(Ended::SinkGone);
        }
        if source.is_empty() && sink.is_empty() {
            return None;
        }
        self.advance()
    }

    /// Whether [`Flow::retry`] is to be called after a while.
    pub(super) fn wants_retry(&self) -> bool {
        self.wait == Wait::Later
    }

    /// Looks again at a pty that had no other end.
    pub(super) fn retry(&mut self) -> Option<Ended> {
        if self.wait != Wait::Later {
            return None;
        }
        self.wait = Wait::Source;
        self.advance()
    }

    /// The writer has ended: what it wrote is still delivered, what its children write is not.
    pub(super) fn finish(&mut self) -> Option<Ended> {
        self.left = Some(match self.source.kind() {
            Kind::PtyMaster => PTY_CAPACITY,
            _ => readable_bytes(self.source.as_fd()).unwrap_or(0),
        });
        match self.wait {
            Wait::Sink => None,
            _ => self.advance(),
        }
    }

    /// The last byte that was delivered.
    pub(super) fn last_byte(&self) -> Option<u8> {
        self.last
    }

    /// Takes the two ends apart.
    pub(super) fn into_ends(self) -> (Stream<'a>, Stream<'a>) {
        (self.source, self.sink)
    }

    pub(super) fn source_kind(&self) -> Kind {
        self.source.kind()
    }

    fn advance(&mut self) -> Option<Ended> {
        if self.splices {
            self.splice()
        } else {
            self.copy()
        }
    }

    /// Moves the pages of one pipe to another, or between a pipe and a file, without copying.
    fn splice(&mut self) -> Option<Ended> {
        let most = match self.left {
            Some(0) => return Some(Ended::Eof),
            Some(left) => usize::try_from(left).unwrap_or(usize::MAX),
            None => usize::MAX,
        };
        let result = splice(
            &self.source,
            None,
            &self.sink,
            None,
            most.min(BIG_PIPE),
            SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE,
        );
        match result {
            Ok(0) => return Some(Ended::Eof),
            Ok(moved) => {
                self.wait = Wait::Source;
                if moved >= MUCH {
                    self.source.grow();
                    self.sink.grow();
                }
                if let Some(left) = &mut self.left {
                    *left = left.saturating_sub(moved as u64);
                    if *left == 0 {
                        return Some(Ended::Eof);
                    }
                }
            }
            // One of the two is not ready: the other one than the one that was waited for.
            Err(nix::Error::EAGAIN) => {
                if self.left.is_some() && readable_bytes(self.source.as_fd()).unwrap_or(0) == 0 {
                    return Some(Ended::Eof);
                }
                self.wait = match self.wait {
                    Wait::Source => Wait::Sink,
                    _ => Wait::Source,
                };
            }
            Err(nix::Error::EINTR) => {}
            // A file opened with O_APPEND, or one whose file system cannot.
            Err(nix::Error::EINVAL) => {
                self.splices = false;
                return self.copy();
            }
            Err(nix::Error::EPIPE) => return Some(Ended::SinkGone),
            Err(error) if self.sink.kind() == Kind::Pipe => return Some(Ended::ReadFault(error)),
            Err(error) => return Some(Ended::WriteFault(error)),
        }
        None
    }

    fn copy(&mut self) -> Option<Ended> {
        let waited_for_sink = self.wait == Wait::Sink;
        loop {
            match self.flush() {
                Wrote::All => {}
                Wrote::NotYet => return None,
                Wrote::Ended(ended) => return Some(ended),
            }
            // The source was not polled: a read could wait.
            if waited_for_sink && self.left.is_none() && !self.source_over {
                return None;
            }
            if self.source_over || self.left == Some(0) {
                return Some(Ended::Eof);
            }
            if let Some(ended) = self.fill() {
                return Some(ended);
            }
            if self.start == self.end && !self.source_over {
                return None;
            }
            // One round for each poll, so that no stream starves the others; to the end once there
            // is one.
            if self.left.is_none() && !self.source_over {
                return match self.flush() {
                    Wrote::Ended(ended) => Some(ended),
                    _ => None,
                };
            }
        }
    }

    /// Reads once. A pty gives a page at most, and to wait for more of it would only slow it down:
    /// the command fills the pty again while we write.
    fn fill(&mut self) -> Option<Ended> {
        self.buffer.resize(BUFFER, 0);
        self.start = 0;
        self.end = 0;
        self.wait = Wait::Source;
        let most = self
            .left
            .and_then(|left| usize::try_from(left).ok())
            .map_or(BUFFER, |left| left.min(BUFFER));
        match self.source.read(&mut self.buffer[..most]) {
            Ok(0) => self.source_over = true,
            Ok(count) => self.end = count,
            Err(nix::Error::EAGAIN) => self.source_over = self.left.is_some(),
            Err(nix::Error::EIO) if self.source.kind() == Kind::PtyMaster => {
                self.wait = Wait::Later;
                self.source_over = self.left.is_some();
            }
            Err(nix::Error::EIO) if self.source.kind() == Kind::Terminal => {
                self.source_over = true;
            }
            Err(error) => return Some(Ended::ReadFault(error)),
        }
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(self.end as u64);
        }
        None
    }

    /// Writes what was read.
    fn flush(&mut self) -> Wrote {
        while self.start < self.end {
            match self.sink.write(&self.buffer[self.start..self.end]) {
                Ok(count) if count > 0 => {
                    self.start += count;
                    self.last = self.buffer.get(self.start.wrapping_sub(1)).copied();
                    if self.sink.may_wait() && self.start < self.end {
                        self.wait = Wait::Sink;
                        return Wrote::NotYet;
                    }
                }
                Ok(_) | Err(nix::Error::EAGAIN) => {
                    self.wait = Wait::Sink;
                    return Wrote::NotYet;
                }
                // Nobody has the other end of the pty open: keys go nowhere.
                Err(nix::Error::EIO) if self.sink.kind() == Kind::PtyMaster => {
                    self.start = self.end;
                }
                Err(nix::Error::EIO) if self.sink.kind() == Kind::Terminal => {
                    return Wrote::Ended(Ended::SinkGone);
                }
                Err(nix::Error::EPIPE | nix::Error::ECONNRESET) => {
                    return Wrote::Ended(Ended::SinkGone);
                }
                Err(error) => return Wrote::Ended(Ended::WriteFault(error)),
            }
        }
        if self.wait == Wait::Sink {
            self.wait = Wait::Source;
        }
        Wrote::All
    }
}
