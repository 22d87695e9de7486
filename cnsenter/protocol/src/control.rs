//! Control messages.

use std::time::Duration;

use crate::fields::{self, Fields};
use crate::frame::{FIRST_CONTROL, Header, SessionId, Stream};

/// A control message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// cnsenter's first word. The client sends nothing before it.
    Hello(Hello),
    /// Start the session; with what its command line could not hold ([`crate::Argv::complete`]).
    Request(Vec<u8>),
    /// The client's terminal has this size now.
    Resize(Size),
    /// A signal for the command; before Started it is kept, or cancels the start.
    Signal(Signal),
    /// That many more bytes may be sent.
    Credit {
        /// Of which stream.
        stream: Stream,
        /// How many.
        bytes: u32,
    },
    /// To be answered by a Pong with the same number. For the stream as a whole.
    Ping(u64),
    /// The answer. For the stream as a whole.
    Pong(u64),
    /// The client is going to be silent for this long. For the stream as a whole.
    Hold(Duration),
    /// The command runs.
    Started {
        /// Its process ID on the node.
        pid: u32,
    },
    /// The command has ended, and all its output was sent before.
    Exit(Exit),
    /// The client wants nothing more of this session: it has Exit, or Error; or, before those, the
    /// command is to be killed.
    Ack,
    /// The session, or the stream as a whole, has failed. After the latter the client closes the
    /// stream.
    Error(Failure),
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The oldest protocol that it speaks.
    pub oldest: u32,
    /// The newest.
    pub newest: u32,
    /// Its version, for messages.
    pub version: String,
}

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// Signals that a client passes on, by Linux's numbers: other systems number them otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "signal(7) has them")]
pub enum Signal {
    Hup = 1,
    Int = 2,
    Quit = 3,
    Usr1 = 10,
    Usr2 = 12,
    Term = 15,
    Winch = 28,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// The exit code for the client, by the table of [`crate::exit`].
    pub code: u8,
    /// The signal that it died of, by Linux's number.
    pub signal: Option<u8>,
    /// It overran its timeout.
    pub timed_out: bool,
    /// Why it was killed, if that is known.
    pub killed_for: Option<KilledFor>,
}

/// Why a command, or a part of it, was killed by the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum KilledFor {
    /// It wanted more memory than its bound.
    Memory = 1,
    /// Its container's first process ended, and all others of that PID namespace with it.
    Container = 2,
}

/// Why there is no Exit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong, for programs.
    pub kind: FailureKind,
    /// The exit code for the client, by the table of [`crate::exit`].
    pub code: u8,
    /// What went wrong and what to do, for people; one or two lines.
    pub message: String,
}

/// Where a session failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FailureKind {
    /// The command line, or the Request frame, is not one that this cnsenter understands.
    Request = 1,
    /// The container was not entered; nothing was run.
    Enter = 2,
    /// The command could not be executed.
    Execute = 3,
    /// The command was lost sight of after it had started.
    Lost = 4,
    /// The other end broke the protocol.
    Protocol = 5,
}

const SIGNALS: [Signal; 7] = [
    Signal::Hup,
    Signal::Int,
    Signal::Quit,
    Signal::Usr1,
    Signal::Usr2,
    Signal::Term,
    Signal::Winch,
];

const FAILURES: [FailureKind; 5] = [
    FailureKind::Request,
    FailureKind::Enter,
    FailureKind::Execute,
    FailureKind::Lost,
    FailureKind::Protocol,
];

pub(crate) const HELLO: u8 = FIRST_CONTROL;
pub(crate) const REQUEST: u8 = 0x11;
const RESIZE: u8 = 0x12;
const SIGNAL: u8 = 0x13;
const CREDIT: u8 = 0x14;
const PING: u8 = 0x15;
const PONG: u8 = 0x16;
const HOLD: u8 = 0x17;
const STARTED: u8 = 0x18;
const EXIT: u8 = 0x19;
const ACK: u8 = 0x1a;
const ERROR: u8 = 0x1b;

/// The longest text of a message that is sent, in bytes: frames are bounded.
const MAX_TEXT: usize = 8 << 10;

/// Whether a control frame of this kind is read, or skipped as one of a later version.
pub(crate) fn is_known(kind: u8) -> bool {
    (HELLO..=ERROR).contains(&kind)
}

/// As messages name a kind of frame.
pub(crate) fn kind_name(kind: u8) -> &'static str {
    match kind {
        HELLO => "Hello",
        REQUEST => "Request",
        RESIZE => "Resize",
        SIGNAL => "Signal",
        CREDIT => "Credit",
        PING => "Ping",
        PONG => "Pong",
        HOLD => "Hold",
        STARTED => "Started",
        EXIT => "Exit",
        ACK => "Ack",
        ERROR => "Error",
        _ => "unknown",
    }
}

impl Control {
    /// Appends the message as a frame to `out`.
    pub fn put(&self, out: &mut Vec<u8>, session: SessionId) {
        let at = out.len();
        let header = |length| Header {
            kind: self.kind(),
            flags: 0,
            session,
            length,
        };
        out.extend(header(0).encode());
        let start = out.len();
        self.put_payload(out);
        let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
        out[at..start].copy_from_slice(&header(length).encode());
    }

    /// As messages name it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        kind_name(self.kind())
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Hello(_) => HELLO,
            Self::Request(_) => REQUEST,
            Self::Resize(_) => RESIZE,
            Self::Signal(_) => SIGNAL,
            Self::Credit { .. } => CREDIT,
            Self::Ping(_) => PING,
            Self::Pong(_) => PONG,
            Self::Hold(_) => HOLD,
            Self::Started { .. } => STARTED,
            Self::Exit(_) => EXIT,
            Self::Ack => ACK,
            Self::Error(_) => ERROR,
        }
    }

    fn put_payload(&self, out: &mut Vec<u8>) {
        let mut put = |tag, value: &[u8]| fields::put(out, tag, value);
        match self {
            Self::Hello(hello) => {
                put(1, &hello.oldest.to_be_bytes());
                put(2, &hello.newest.to_be_bytes());
                put(3, shortened(&hello.version));
            }
            Self::Request(payload) => out.extend(payload),
            Self::Resize(size) => {
                put(1, &size.rows.to_be_bytes());
                put(2, &size.columns.to_be_bytes());
            }
            Self::Signal(signal) => put(1, &[*signal as u8]),
            Self::Credit { stream, bytes } => {
                put(1, &[stream.kind()]);
                put(2, &bytes.to_be_bytes());
            }
            Self::Ping(number) | Self::Pong(number) => put(1, &number.to_be_bytes()),
            Self::Hold(time) => {
                let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                put(1, &millis.to_be_bytes());
            }
            Self::Started { pid } => put(1, &pid.to_be_bytes()),
            Self::Exit(exit) => {
                put(1, &[exit.code]);
                if let Some(signal) = exit.signal {
                    put(2, &[signal]);
                }
                if exit.timed_out {
                    put(3, &[]);
                }
                if let Some(why) = exit.killed_for {
                    put(4, &[why as u8]);
                }
            }
            Self::Ack => {}
            Self::Error(failure) => {
                put(1, &[failure.kind as u8]);
                put(2, &[failure.code]);
                put(3, shortened(&failure.message));
            }
        }
    }

    /// Reads the payload of a known kind.
    pub(crate) fn read(kind: u8, payload: &[u8]) -> Result<Self, fields::Error> {
        if kind == REQUEST {
            return Ok(Self::Request(payload.to_vec()));
        }
        let fields = Fields::read(payload)?;
        let number = |tag| fields.need(tag).map(u32::from_be_bytes);
        let long = |tag| fields.need(tag).map(u64::from_be_bytes);
        let short = |tag| fields.need(tag).map(u16::from_be_bytes);
        let byte = |tag| fields.need::<1>(tag).map(|[byte]| byte);
        Ok(match kind {
            HELLO => Self::Hello(Hello {
                oldest: number(1)?,
                newest: number(2)?,
                version: fields.text(3),
            }),
            RESIZE => Self::Resize(Size {
                rows: short(1)?,
                columns: short(2)?,
            }),
            SIGNAL => Self::Signal(Signal::of_number(byte(1)?).ok_or(fields::Error::BadValue(1))?),
            CREDIT => Self::Credit {
                stream: Stream::of_kind(byte(1)?).ok_or(fields::Error::BadValue(1))?,
                bytes: number(2)?,
            },
            PING => Self::Ping(long(1)?),
            PONG => Self::Pong(long(1)?),
            HOLD => Self::Hold(Duration::from_millis(long(1)?)),
            STARTED => Self::Started { pid: number(1)? },
            EXIT => Self::Exit(Exit {
                code: byte(1)?,
                signal: fields.get(2).map(|_| byte(2)).transpose()?,
                timed_out: fields.get(3).is_some(),
                killed_for: fields
                    .get(4)
                    .map(|_| byte(4))
                    .transpose()?
                    .and_then(KilledFor::of_number),
            }),
            ACK => Self::Ack,
            _ => Self::Error(Failure {
                // A kind of a later version: its message still says what to do.
                kind: FailureKind::of_number(byte(1)?).unwrap_or(FailureKind::Protocol),
                code: byte(2)?,
                message: fields.text(3),
            }),
        })
    }
}

/// The beginning of a text that may be sent, cut between characters.
fn shortened(text: &str) -> &[u8] {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text.as_bytes()[..end]
}

impl Signal {
    /// The signal of a Linux number, if it is one that is passed on.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        SIGNALS.into_iter().find(|s| *s as u8 == number)
    }

    /// Its Linux number.
    #[must_use]
    pub fn number(self) -> i32 {
        i32::from(self as u8)
    }
}

impl KilledFor {
    /// The reason of this number; None as well for one of a later version.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        let all = [Self::Memory, Self::Container];
        all.into_iter().find(|why| *why as u8 == number)
    }
}

impl FailureKind {
    fn of_number(number: u8) -> Option<Self> {
        FAILURES.into_iter().find(|k| *k as u8 == number)
    }
}
