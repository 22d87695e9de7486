//! Everything between the start of a command and our own end: its streams, signals and terminal,
//! and why it is over.
//!
//! One thread, one poll(2) loop, nothing that waits anywhere else, no wakeup without a reason.
//!
//! - The command's output that is in its pipes when it ends is delivered, however slow the reader;
//!   what its background children write later is not waited for.
//! - stdin's end closes the command's stdin. With a pty whose input is no terminal, it becomes the
//!   pty's end-of-file key once all that came before it was read (as script(1)).
//! - A reader of our output that goes away is a reader of the command's that goes away: it gets
//!   SIGPIPE. A command that closes its stdin does the same to whoever writes to ours.
//! - Ctrl-Z stops the command and us; a command that stops by itself stops nobody else.

mod command;
mod deadline;
mod flow;
mod input_end;
mod pty;
mod reason;
mod session;
mod signals;
mod stream;
mod terminal;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::sys::stat::fstat;
use nix::unistd::Pid;

pub use self::reason::ExitReason;
pub use self::signals::Signals;
pub(crate) use self::stream::{Direction, PTY_CAPACITY, PTY_RETRY, Stream};
pub use self::terminal::{RawMode, Restorer, Terminal};

/// How long a command that is told to end at its timeout may take before it is killed.
pub const GRACE: Duration = Duration::from_secs(5);

/// Our ends of the command's standard streams.
#[derive(Debug)]
pub enum Streams {
    /// One pipe each.
    Pipes {
        /// Written to; None if the command reads /dev/null.
        stdin: Option<OwnedFd>,
        /// Read from.
        stdout: OwnedFd,
        /// Read from; None if the command's stderr is the same pipe as its stdout, as it should
        /// be when [`same_output`] says so.
        stderr: Option<OwnedFd>,
    },
    /// A pty.
    Pty {
        /// Its master; nobody else has it open, unless it is lent.
        master: OwnedFd,
        /// Whether our stdin is its keyboard.
        stdin: bool,
        /// Whether another process relays it, to whom it was given: its size, its signals and the
        /// end of its input are ours still.
        lent: bool,
    },
}

/// Where everything that the command starts is.
pub trait Group {
    /// Kills everything in it.
    ///
    /// # Errors
    /// When that cannot be done; the command's process group is then killed at least.
    fn kill(&self) -> io::Result<()>;

    /// What can be read when whoever kills it after our death has ended.
    fn guard_end(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Has another take the place of one that has ended.
    fn replace_guard(&mut self) {}
}

/// A command that was started.
pub struct Running<'a> {
    /// Its PID in our own PID namespace: a child of ours, and the leader of a session.
    pub pid: Pid,
    /// Our ends of its streams.
    pub streams: Streams,
    /// Where all that it starts is.
    pub group: &'a mut (dyn Group + 'static),
}

/// How it is supervised.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--timeout`: TERM to its process group then, KILL to its [`Group`] after [`GRACE`].
    pub timeout: Option<Duration>,
    /// `--kill-on-exit`: its [`Group`] is killed when the command has ended.
    pub kill_on_exit: bool,
}

/// What went wrong while the command ran. It was still waited for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// poll(2) or the like: no fault of the streams.
    #[error("cannot supervise the command: {what} failed")]
    System {
        /// What failed.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Input or output could not be carried on: what was delivered is not all.
    #[error("cannot {what}")]
    Stream {
        /// Such as `write to stdout`.
        what: &'static str,
        /// Why.
        source: io::Error,
        /// How the command ended.
        reason: ExitReason,
    },
}

/// The caller's standard streams.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) stdin: BorrowedFd<'a>,
    pub(crate) stdout: BorrowedFd<'a>,
    pub(crate) stderr: BorrowedFd<'a>,
}

/// Whether our stdout and stderr are one file (`2>&1`, a terminal): the command's should then be
/// one pipe, or what it writes to the two would be delivered in another order.
#[must_use]
pub fn same_output() -> bool {
    match (fstat(io::stdout().as_fd()), fstat(io::stderr().as_fd())) {
        (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
        _ => false,
    }
}

/// Stays with a command to its end. `terminal` is the operator's, if the command has a pty.
///
/// With [`ExitReason::HungUp`] and after an error the command may still run: its group is the
/// caller's to kill.
///
/// # Errors
/// [`Error`]
pub fn supervise(
    running: Running<'_>,
    signals: Signals,
    terminal: Option<Terminal>,
    options: &Options,
) -> Result<ExitReason, Error> {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let caller = Caller {
        stdin: stdin.as_fd(),
        stdout: stdout.as_fd(),
        stderr: stderr.as_fd(),
    };
    session::Session::new(running, signals, terminal, options, caller, GRACE)?.run()
}
