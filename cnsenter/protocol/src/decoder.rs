//! Reading frames from bytes as they come.

use crate::PREAMBLE;
use crate::control::{self, Control};
use crate::fields;
use crate::frame::{
    END, FIRST_CONTROL, HEADER, Header, MAX_CONTROL, MAX_DATA, MAX_REQUEST, SessionId, Stream,
};

/// The most that may come before [`PREAMBLE`], in bytes.
pub const MAX_NOISE: usize = 64 << 10;

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// Data; a frame may come in several pieces.
    Data {
        /// Whose.
        session: SessionId,
        /// Of which stream.
        stream: Stream,
        /// The bytes; none if only the end is told.
        bytes: &'a [u8],
        /// Whether the stream ends after them.
        end: bool,
    },
    /// A control message.
    Control {
        /// Whose.
        session: SessionId,
        /// It.
        message: Control,
    },
}

/// Why the bytes are no stream of frames. Nothing that comes after them can be understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Too much noise, or a stream that somebody has changed on its way.
    #[error("the other end is no cnsenter: {MAX_NOISE} bytes came, and no greeting among them")]
    NoHello,
    /// Something else was said first.
    #[error("the first frame is no Hello")]
    HelloNotFirst,
    /// Data of a kind that is not known cannot be left out.
    #[error("a data frame is of the unknown kind {0}")]
    UnknownData(u8),
    /// A flag that would change the meaning.
    #[error("a frame has flags ({0:#04x}) that were not agreed on")]
    Flags(u8),
    /// Longer than its kind may be.
    #[error("a {kind} frame is {length} bytes long, more than the {bound} it may have")]
    TooLong {
        /// What kind of frame.
        kind: &'static str,
        /// How long it says it is.
        length: u32,
        /// How long it may be.
        bound: usize,
    },
    /// A control message makes no sense.
    #[error("a {kind} frame cannot be read")]
    Control {
        /// What kind.
        kind: &'static str,
        /// Why.
        source: fields::Error,
    },
    /// The stream ended within a frame.
    #[error("the stream ended in the middle of a frame")]
    Truncated,
}

#[derive(Debug)]
enum State {
    /// Waiting for the preamble.
    Noise,
    /// Within a header.
    Header { bytes: [u8; HEADER], filled: usize },
    /// Within the payload of a data frame.
    Data {
        session: SessionId,
        stream: Stream,
        left: usize,
        end: bool,
    },
    /// Within the payload of a control frame that is read.
    Control {
        session: SessionId,
        kind: u8,
        left: usize,
    },
    /// Within the payload of a control frame of a later version.
    Skipped { left: usize },
}

const BETWEEN: State = State::Header {
    bytes: [0; HEADER],
    filled: 0,
};

/// An incremental decoder. It keeps nothing but the control frame that it is in, as far as that has
/// come; data is handed on as it lies in the input.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    noise: Vec<u8>,
    payload: Vec<u8>,
    awaits_hello: bool,
}

impl Decoder {
    /// For the client's end: skips what comes before cnsenter's greeting.
    #[must_use]
    pub fn of_client() -> Self {
        Self {
            state: State::Noise,
            noise: Vec::new(),
            payload: Vec::new(),
            awaits_hello: true,
        }
    }

    /// For cnsenter's end.
    #[must_use]
    pub fn of_server() -> Self {
        Self {
            state: BETWEEN,
            noise: Vec::new(),
            payload: Vec::new(),
            awaits_hello: false,
        }
    }

    /// What came before the greeting, or instead of it: to be shown if there is none.
    #[must_use]
    pub fn noise(&self) -> &[u8] {
        &self.noise
    }

    /// The next item, taken from the front of `input`; None once all of it is used up.
    ///
    /// # Errors
    /// [`Error`]; the decoder is of no use afterwards.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Item<'a>>, Error> {
        loop {
            match &mut self.state {
                State::Noise => {
                    if !self.skip_noise(input)? {
                        return Ok(None);
                    }
                }
                State::Header { bytes, filled } => {
                    let part = take(input, HEADER - *filled);
                    bytes[*filled..*filled + part.len()].copy_from_slice(part);
                    *filled += part.len();
                    if *filled < HEADER {
                        return Ok(None);
                    }
                    let header = Header::decode(*bytes);
                    self.state = self.enter(header)?;
                }
                State::Data {
                    session,
                    stream,
                    left,
                    end,
                } => {
                    if *left > 0 && input.is_empty() {
                        return Ok(None);
                    }
                    let bytes = take(input, *left);
                    *left -= bytes.len();
                    let (session, stream) = (*session, *stream);
                    let whole = *left == 0;
                    let end = *end && whole;
                    if whole {
                        self.state = BETWEEN;
                    }
                    if bytes.is_empty() && !end {
                        continue;
                    }
                    return Ok(Some(Item::Data {
                        session,
                        stream,
                        bytes,
                        end,
                    }));
                }
                State::Control {
                    session,
                    kind,
                    left,
                } => {
                    let part = take(input, *left);
                    self.payload.extend_from_slice(part);
                    *left -= part.len();
                    if *left > 0 {
                        return Ok(None);
                    }
                    let (session, kind) = (*session, *kind);
                    self.state = BETWEEN;
                    let message = Control::read(kind, &self.payload);
                    // A long one was an exception.
                    self.payload = Vec::new();
                    let message = message.map_err(|source| Error::Control {
                        kind: control::kind_name(kind),
                        source,
                    })?;
                    return Ok(Some(Item::Control { session, message }));
                }
                State::Skipped { left } => {
                    *left -= take(input, *left).len();
                    if *left > 0 {
                        return Ok(None);
                    }
                    self.state = BETWEEN;
                }
            }
        }
    }

    /// To be called at the stream's end.
    ///
    /// # Errors
    /// When that is in the middle of a frame, or nobody has greeted.
    pub fn finish(&self) -> Result<(), Error> {
        match self.state {
            State::Header { filled: 0, .. } if !self.awaits_hello => Ok(()),
            State::Noise => Err(Error::NoHello),
            _ => Err(Error::Truncated),
        }
    }

    /// Says whether the preamble has come.
    fn skip_noise(&mut self, input: &mut &[u8]) -> Result<bool, Error> {
        while let Some((byte, rest)) = input.split_first() {
            *input = rest;
            self.noise.push(*byte);
            if self.noise.ends_with(&PREAMBLE) {
                self.noise.truncate(self.noise.len() - PREAMBLE.len());
                self.state = BETWEEN;
                return Ok(true);
            }
            if self.noise.len() >= MAX_NOISE + PREAMBLE.len() {
                return Err(Error::NoHello);
            }
        }
        Ok(false)
    }

    fn enter(&mut self, header: Header) -> Result<State, Error> {
        let Header {
            kind,
            flags,
            session,
            length,
        } = header;
        if self.awaits_hello && kind != control::HELLO {
            return Err(Error::HelloNotFirst);
        }
        self.awaits_hello = false;
        let bounded = |kind, bound| match usize::try_from(length) {
            Ok(length) if length <= bound => Ok(length),
            _ => Err(Error::TooLong {
                kind,
                length,
                bound,
            }),
        };
        if kind >= FIRST_CONTROL {
            if flags != 0 {
                return Err(Error::Flags(flags));
            }
            let bound = match kind {
                control::REQUEST => MAX_REQUEST,
                _ => MAX_CONTROL,
            };
            let left = bounded(control::kind_name(kind), bound)?;
            return Ok(if control::is_known(kind) {
                State::Control {
                    session,
                    kind,
                    left,
                }
            } else {
                State::Skipped { left }
            });
        }
        let stream = Stream::of_kind(kind).ok_or(Error::UnknownData(kind))?;
        if flags & !END != 0 {
            return Err(Error::Flags(flags));
        }
        Ok(State::Data {
            session,
            stream,
            left: bounded(stream.name(), MAX_DATA)?,
            end: flags & END != 0,
        })
    }
}

/// Up to `most` bytes from the front of `input`.
fn take<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (front, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    front
}
