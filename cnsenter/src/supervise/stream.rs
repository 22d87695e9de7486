//! One end of a relay: a descriptor, and how to use it without ever waiting in it.
//!
//! The caller's descriptions are shared with its shell and its other programs: O_NONBLOCK is never
//! set on them. A pipe or terminal of theirs is opened once more instead, a socket has flags for
//! each call.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, recv, send};
use nix::sys::stat::{Mode, SFlag, fstat, major, minor};
use nix::sys::termios::tcgetattr;
use nix::unistd::{read, write};

use crate::sys::stream::replace;

/// What a write to a pipe that has room never waits for, in bytes (PIPE_BUF, pipe(7)).
const PIPE_STEP: usize = 4096;
/// The same for a terminal, on whose room nothing is promised.
const TERMINAL_STEP: usize = 256;

/// The size of pipes that carry much, in bytes: the most an unprivileged user gets
/// (/proc/sys/fs/pipe-max-size).
pub(super) const BIG_PIPE: usize = 1 << 20;

/// The most that can be under way in a pty, in bytes: the kernel's buffer (64 KiB, counted by the
/// half) and the line discipline's.
pub(crate) const PTY_CAPACITY: u64 = 256 << 10;

/// How often it is looked whether a pty that nobody has open is used again: nothing tells.
pub(crate) const PTY_RETRY: Duration = Duration::from_millis(100);

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// What a descriptor is, as far as relaying depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pipe,
    Socket,
    Terminal,
    /// The master of the command's pty, ours alone.
    PtyMaster,
    /// A regular file, /dev/null and the like: never waits for long.
    Other,
}

enum Handle<'a> {
    Own(OwnedFd),
    Caller(BorrowedFd<'a>),
}

/// A description of our own of what the caller's descriptor refers to.
enum Fresh {
    Untried,
    Opened(OwnedFd),
    Refused,
}

pub(crate) struct Stream<'a> {
    handle: Handle<'a>,
    direction: Direction,
    kind: Kind,
    fresh: Fresh,
    grown: bool,
}

impl<'a> Stream<'a> {
    /// Our end of a pipe to the command.
    pub(crate) fn own(fd: OwnedFd, direction: Direction) -> io::Result<Self> {
        set_nonblocking(fd.as_fd())?;
        Ok(Self {
            kind: kind_of(fd.as_fd())?,
            handle: Handle::Own(fd),
            direction,
            fresh: Fresh::Refused,
            grown: false,
        })
    }

    /// The master of the command's pty.
    pub(crate) fn pty_master(fd: OwnedFd, direction: Direction) -> io::Result<Self> {
        Ok(Self {
            kind: Kind::PtyMaster,
            ..Self::own(fd, direction)?
        })
    }

    /// One of the caller's streams, left as it is.
    pub(crate) fn caller(fd: BorrowedFd<'a>, direction: Direction) -> io::Result<Self> {
        Ok(Self {
            kind: kind_of(fd)?,
            handle: Handle::Caller(fd),
            direction,
            fresh: Fresh::Untried,
            grown: false,
        })
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether a read or write may wait although poll(2) found the stream ready, and therefore is
    /// to be small and alone.
    pub(super) fn may_wait(&self) -> bool {
        matches!(self.fresh, Fresh::Refused)
            && matches!(self.handle, Handle::Caller(_))
            && matches!(self.kind, Kind::Pipe | Kind::Terminal)
    }

    /// Whether pages can be moved to it: a pipe that never makes a splice(2) wait.
    pub(crate) fn splices(&mut self) -> bool {
        self.open_fresh();
        self.kind == Kind::Pipe && !self.may_wait()
    }

    /// Reads once; EAGAIN if there is nothing now.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> nix::Result<usize> {
        self.open_fresh();
        retry(|| match (self.kind, &self.fresh) {
            (Kind::Socket, _) => recv(self.as_fd().as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT),
            (_, Fresh::Opened(fd)) => read(fd, buffer),
            _ => read(self.as_fd(), buffer),
        })
    }

    /// Writes once; EAGAIN if there is no room now.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> nix::Result<usize> {
        self.open_fresh();
        let step = match self.kind {
            _ if !self.may_wait() => bytes.len(),
            Kind::Pipe => PIPE_STEP,
            _ => TERMINAL_STEP,
        };
        let bytes = &bytes[..bytes.len().min(step)];
        retry(|| match (self.kind, &self.fresh) {
            (Kind::Socket, _) => send(
                self.as_fd().as_raw_fd(),
                bytes,
                MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL,
            ),
            (_, Fresh::Opened(fd)) => write(fd, bytes),
            _ => write(self.as_fd(), bytes),
        })
    }

    /// More room, once, for a pipe that turns out to carry much: fewer rounds. That it may be refused
    /// (a limit per user, pipe(7)) costs speed only.
    pub(crate) fn grow(&mut self) {
        if !std::mem::replace(&mut self.grown, true) && self.kind == Kind::Pipe {
            fcntl(
                self.as_fd(),
                FcntlArg::F_SETPIPE_SZ(BIG_PIPE as libc::c_int),
            )
            .ok();
        }
    }

    /// Closes the caller's descriptor, so that whoever writes to it learns that nobody reads. The
    /// number stays taken, by /dev/null.
    pub(super) fn release(self) {
        if let Handle::Caller(fd) = self.handle
            && let Ok(null) = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())
        {
            // If it cannot be closed now, it is closed when we end.
            replace(fd, null).ok();
        }
    }

    fn open_fresh(&mut self) {
        if !matches!(self.fresh, Fresh::Untried) {
            return;
        }
        self.fresh = match self.kind {
            Kind::Pipe | Kind::Terminal => {
                reopen(self.as_fd(), self.direction).map_or(Fresh::Refused, Fresh::Opened)
            }
            _ => Fresh::Refused,
        };
    }
}

impl AsFd for Stream<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.handle {
            Handle::Own(fd) => fd.as_fd(),
            Handle::Caller(fd) => *fd,
        }
    }
}

impl Direction {
    pub(super) fn readiness(self) -> PollFlags {
        match self {
            Self::Read => PollFlags::POLLIN,
            Self::Write => PollFlags::POLLOUT,
        }
    }
}

fn kind_of(fd: BorrowedFd<'_>) -> io::Result<Kind> {
    let format = SFlag::from_bits_truncate(fstat(fd)?.st_mode & SFlag::S_IFMT.bits());
    Ok(match format {
        SFlag::S_IFIFO => Kind::Pipe,
        SFlag::S_IFSOCK => Kind::Socket,
        SFlag::S_IFCHR if tcgetattr(fd).is_ok() => Kind::Terminal,
        _ => Kind::Other,
    })
}

/// A new, non-blocking description of the same pipe or terminal; None if that cannot be had.
fn reopen(fd: BorrowedFd<'_>, direction: Direction) -> Option<OwnedFd> {
    let stat = fstat(fd).ok()?;
    let terminal = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFCHR;
    // Opening /dev/ptmx makes another pty.
    if terminal && (major(stat.st_rdev), minor(stat.st_rdev)) == (5, 2) {
        return None;
    }
    let access = match direction {
        Direction::Read => OFlag::O_RDONLY,
        Direction::Write => OFlag::O_WRONLY,
    };
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = access | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    let fresh = open(path.as_str(), flags, Mode::empty()).ok()?;
    // A terminal that was hung up is another user's now: only the old descriptor knows.
    (!terminal || tcgetattr(fd).is_ok()).then_some(fresh)
}

fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(nix::Error::EINTR) => {}
            other => return other,
        }
    }
}
