//! Frames: a header of eight bytes, then a payload.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0 | kind: below 0x10 data, from there on control |
//! | 1 | flags: [`END`], [`COMPRESSED`] |
//! | 2-3 | session, big-endian; 0 is the stream itself |
//! | 4-7 | length of the payload, big-endian |

use std::fmt;

/// The length of a header, in bytes.
pub const HEADER: usize = 8;
/// The most that a data frame carries, in bytes.
pub const MAX_DATA: usize = 64 << 10;
/// The most that a control frame carries, in bytes, Request excepted.
pub const MAX_CONTROL: usize = 16 << 10;
/// The most that a Request frame carries, in bytes: more than Linux takes as arguments and
/// environment by default (execve(2)).
pub const MAX_REQUEST: usize = 4 << 20;

/// Flag of a data frame: its stream ends with it. Sent by the end that reads the stream, without
/// data: nobody reads it any more, so its writer is to get EPIPE, or can stop.
pub const END: u8 = 1;
/// Flag of a data frame: an LZ4 block. Nobody offers it yet, so it is an error.
pub const COMPRESSED: u8 = 2;

/// The first kind that is a control frame; an unknown one of these is skipped.
pub(crate) const FIRST_CONTROL: u8 = 0x10;

/// One command of a stream: the number of its target in the command line, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u16);

impl SessionId {
    /// No session but the stream as a whole.
    pub const STREAM: Self = Self(0);
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {}", self.0)
    }
}

/// The command's standard streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Towards the command.
    Stdin,
    /// From the command, and all that its terminal shows.
    Stdout,
    /// From the command.
    Stderr,
}

impl Stream {
    pub(crate) fn kind(self) -> u8 {
        match self {
            Self::Stdin => 1,
            Self::Stdout => 2,
            Self::Stderr => 3,
        }
    }

    pub(crate) fn of_kind(kind: u8) -> Option<Self> {
        [Self::Stdin, Self::Stdout, Self::Stderr]
            .into_iter()
            .find(|s| s.kind() == kind)
    }

    /// As it is spoken of.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdin => "stdin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// A frame's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) session: SessionId,
    pub(crate) length: u32,
}

impl Header {
    pub(crate) fn encode(self) -> [u8; HEADER] {
        let [s0, s1] = self.session.0.to_be_bytes();
        let [l0, l1, l2, l3] = self.length.to_be_bytes();
        [self.kind, self.flags, s0, s1, l0, l1, l2, l3]
    }

    pub(crate) fn decode(bytes: [u8; HEADER]) -> Self {
        let [kind, flags, s0, s1, l0, l1, l2, l3] = bytes;
        Self {
            kind,
            flags,
            session: SessionId(u16::from_be_bytes([s0, s1])),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        }
    }
}

/// The header of a data frame with a payload of `length` bytes, at most [`MAX_DATA`]; `end` if its
/// stream ends with it.
#[must_use]
pub fn data_header(session: SessionId, stream: Stream, length: usize, end: bool) -> [u8; HEADER] {
    debug_assert!(length <= MAX_DATA);
    Header {
        kind: stream.kind(),
        flags: if end { END } else { 0 },
        session,
        length: u32::try_from(length).unwrap_or(u32::MAX),
    }
    .encode()
}

/// Appends data as frames to `out`, as many as it takes.
pub fn put_data(out: &mut Vec<u8>, session: SessionId, stream: Stream, bytes: &[u8]) {
    for chunk in bytes.chunks(MAX_DATA) {
        out.extend(data_header(session, stream, chunk.len(), false));
        out.extend(chunk);
    }
}

/// Appends the end of a stream to `out`, as its writer or as its reader.
pub fn put_end(out: &mut Vec<u8>, session: SessionId, stream: Stream) {
    out.extend(data_header(session, stream, 0, true));
}
