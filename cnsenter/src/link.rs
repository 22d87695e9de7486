//! Between the process that serves the stream and the one that runs a command: orders one way,
//! reports the other, each a message on a socket. Its end is the session's.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, socketpair};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use cnsenter_protocol::{Exit, Failure, FailureKind, KilledFor};

use crate::datagram::{self, Received};

/// The longest message, in bytes.
const MAX_MESSAGE: usize = 16 << 10;

/// What a client wants of a command that is being started, or runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// A signal for it, by its number.
    Signal(i32),
    /// Rows and columns of its terminal.
    Size(u16, u16),
    /// Nothing more is written to its terminal; the last byte that was.
    InputEnd(Option<u8>),
    /// Nothing any more: it is to be killed. Told by the socket's end.
    End,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// It runs. With it comes the master of its terminal, if it has one: the session relays that
    /// itself, and every key is spared the way through this process.
    Started(u32),
    /// It has ended.
    Ended {
        code: u8,
        signal: Option<u8>,
        timed_out: bool,
        killed_for: Option<u8>,
    },
    /// It was not run, or lost.
    Failed {
        kind: Cause,
        code: u8,
        message: String,
    },
}

/// What a command failed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// Its container was not entered.
    Enter,
    /// It could not be executed there.
    Execute,
    /// It was run, and lost.
    Lost,
}

/// Both ends, each for one process.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        flags,
    )?)
}

/// Sends without waiting: who does not listen any more, or for long, misses it.
pub(crate) fn tell(socket: impl AsFd, message: &impl Serialize) {
    tell_with(socket, message, None);
}

fn tell_with(socket: impl AsFd, message: &impl Serialize, fd: Option<BorrowedFd<'_>>) {
    if let Ok(bytes) = postcard::to_stdvec(message) {
        let _ = datagram::send(socket, &bytes, fd, MsgFlags::MSG_DONTWAIT);
    }
}

/// What a socket has to say.
pub(crate) enum Heard<T> {
    /// With a descriptor, if one came with it.
    Message(T, Option<OwnedFd>),
    Nothing,
    End,
}

pub(crate) fn hear<T: DeserializeOwned>(socket: impl AsFd) -> Heard<T> {
    let mut bytes = [0; MAX_MESSAGE];
    loop {
        return match datagram::receive(&socket, &mut bytes, MsgFlags::MSG_DONTWAIT) {
            Ok(Received {
                length: length @ 1..,
                fd,
                ..
            }) => match postcard::from_bytes(&bytes[..length]) {
                Ok(message) => Heard::Message(message, fd),
                // Both ends are the same program.
                Err(_) => Heard::End,
            },
            Err(Errno::EAGAIN) => Heard::Nothing,
            // Whoever ended did not hear all that it was told. What it had said itself comes next.
            Err(Errno::EINTR | Errno::ECONNRESET) => continue,
            Ok(_) | Err(_) => Heard::End,
        };
    }
}

/// The command's side.
#[derive(Debug)]
pub struct Link {
    socket: OwnedFd,
    reported: bool,
}

/// The orders of a session, as they come.
#[derive(Debug)]
pub struct Orders(OwnedFd);

impl Link {
    /// The link that was left open for this process.
    ///
    /// # Errors
    /// When there is none.
    pub fn inherit(fd: RawFd) -> io::Result<Self> {
        Ok(Self {
            socket: crate::sys::image::take_inherited(fd)?,
            reported: false,
        })
    }

    /// The link of a process that failed before it could be one that runs a command.
    pub(crate) fn new(socket: &OwnedFd) -> io::Result<Self> {
        Ok(Self {
            socket: socket.try_clone()?,
            reported: false,
        })
    }

    /// The session's orders, to be heeded among the signals.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn orders(&self) -> io::Result<Orders> {
        Ok(Orders(self.socket.try_clone()?))
    }

    /// The command runs, with this terminal for the session to relay.
    pub fn started(&mut self, pid: Pid, master: Option<BorrowedFd<'_>>) {
        self.reported = true;
        let report = Report::Started(pid.as_raw().cast_unsigned());
        tell_with(&self.socket, &report, master);
    }

    /// The command has ended.
    pub fn ended(&self, exit: Exit) {
        let report = Report::Ended {
            code: exit.code,
            signal: exit.signal,
            timed_out: exit.timed_out,
            killed_for: exit.killed_for.map(|why| why as u8),
        };
        tell(&self.socket, &report);
    }

    /// It was not run, for this reason; or, if it was, we lost it.
    pub fn failed(&self, cause: Cause, code: u8, why: &str) {
        let kind = if self.reported { Cause::Lost } else { cause };
        // What a container or a daemon had to say may be long.
        let message = why.chars().take(MAX_MESSAGE / 8).collect();
        tell(
            &self.socket,
            &Report::Failed {
                kind,
                code,
                message,
            },
        );
    }
}

impl Orders {
    /// The next one; None if there is none now.
    #[must_use]
    pub fn next(&self) -> Option<Order> {
        match hear(&self.0) {
            Heard::Message(order, _) => Some(order),
            Heard::Nothing => None,
            Heard::End => Some(Order::End),
        }
    }
}

impl AsFd for Orders {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How a session ended, for the client.
#[derive(Debug)]
pub(crate) enum End {
    Exit(Exit),
    Failure(Failure),
}

impl End {
    /// The end that a report tells of; None if it tells of the start.
    pub(crate) fn of(report: Report) -> Option<Self> {
        Some(match report {
            Report::Started(_) => return None,
            Report::Ended {
                code,
                signal,
                timed_out,
                killed_for,
            } => Self::Exit(Exit {
                code,
                signal,
                timed_out,
                killed_for: killed_for.and_then(KilledFor::of_number),
            }),
            Report::Failed {
                kind,
                code,
                message,
            } => Self::Failure(Failure {
                kind: match kind {
                    Cause::Enter => FailureKind::Enter,
                    Cause::Execute => FailureKind::Execute,
                    Cause::Lost => FailureKind::Lost,
                },
                code,
                message,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel tells first that orders were not heeded (ECONNRESET), then what was reported.
    #[test]
    fn what_a_process_reports_last_is_heard_whatever_it_did_not_hear() {
        let (session, command) = pair().unwrap();
        let mut link = Link::new(&command).unwrap();
        link.started(Pid::from_raw(7), None);
        tell(&session, &Order::Size(24, 80));
        drop((command, link));
        assert!(matches!(
            hear::<Report>(&session),
            Heard::Message(Report::Started(7), None)
        ));
        assert!(matches!(hear::<Report>(&session), Heard::End));
    }
}
