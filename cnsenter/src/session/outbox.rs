//! What is on its way to the client, in bounded memory.

use std::io;

use cnsenter_protocol::frame::{self, HEADER, MAX_DATA};
use cnsenter_protocol::{Control, SessionId, Stream};

/// Data is added up to here, in bytes; more waits where it comes from.
const FULL: usize = 256 << 10;

/// The most data of a frame, in bytes: with its header it is two reads of those who carry it, and
/// no message of a few bytes is left over for the next.
const DATA: usize = MAX_DATA - HEADER;

/// Frames that were not written yet. Data is read right into it.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    written: usize,
    /// The answer to the last Ping; those before it are not worth one while it waits.
    pong: Option<u64>,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.pending().is_empty() && self.pong.is_none()
    }

    /// Whether data, and whatever else can wait, may be added.
    pub(super) fn has_room(&self) -> bool {
        self.pending().len() < FULL
    }

    fn pending(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// Adds bytes that are no frame.
    pub(super) fn put_raw(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Adds a message: only of a kind of which there are few.
    pub(super) fn put(&mut self, session: SessionId, message: &Control) {
        message.put(&mut self.bytes, session);
    }

    /// Tells the end of a stream, by its writer or by its reader.
    pub(super) fn put_end(&mut self, session: SessionId, stream: Stream) {
        frame::put_end(&mut self.bytes, session, stream);
    }

    /// Answers a Ping when there is room.
    pub(super) fn answer(&mut self, number: u64) {
        self.pong = Some(number);
    }

    /// Adds a frame of at most `most` bytes of data, as `read` puts them into its buffer; none if
    /// that gives nothing. What `read` returned.
    pub(super) fn put_data<E>(
        &mut self,
        session: SessionId,
        stream: Stream,
        most: usize,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let start = self.bytes.len();
        self.bytes.resize(start + HEADER + most.min(DATA), 0);
        let result = read(&mut self.bytes[start + HEADER..]);
        match result {
            Ok(length @ 1..) => {
                let header = frame::data_header(session, stream, length, false);
                self.bytes[start..start + HEADER].copy_from_slice(&header);
                self.bytes.truncate(start + HEADER + length);
            }
            _ => self.bytes.truncate(start),
        }
        result
    }

    /// Writes what it can by `write`.
    pub(super) fn flush(
        &mut self,
        write: impl FnOnce(&[u8]) -> nix::Result<usize>,
    ) -> io::Result<()> {
        if self.has_room()
            && let Some(number) = self.pong.take()
        {
            self.put(SessionId::STREAM, &Control::Pong(number));
        }
        match write(self.pending()) {
            Ok(count) => self.written += count,
            Err(nix::Error::EAGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        if self.pending().is_empty() {
            self.bytes.clear();
            self.written = 0;
        } else if self.written > FULL {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use cnsenter_protocol::{Decoder, Item};

    use super::*;

    #[test]
    fn a_flood_of_pings_takes_no_room() {
        let mut outbox = Outbox::default();
        outbox
            .put_data(SessionId(1), Stream::Stdout, MAX_DATA, |buffer| {
                Ok::<_, ()>(buffer.len())
            })
            .unwrap();
        (0..100_000).for_each(|number| outbox.answer(number));
        let mut wire = Vec::new();
        while !outbox.is_empty() {
            let take = |bytes: &[u8]| {
                wire.extend(&bytes[..bytes.len().min(10_000)]);
                Ok(bytes.len().min(10_000))
            };
            outbox.flush(take).unwrap();
        }
        let mut decoder = Decoder::of_server();
        let mut input = &wire[..];
        let data = decoder.next(&mut input).unwrap();
        assert!(matches!(data, Some(Item::Data { bytes, .. }) if bytes.len() == DATA));
        let message = Control::Pong(99_999);
        let pong = Item::Control {
            session: SessionId::STREAM,
            message,
        };
        assert_eq!(decoder.next(&mut input), Ok(Some(pong)));
        assert_eq!(decoder.next(&mut input), Ok(None));
    }

    #[test]
    fn a_read_that_gives_nothing_leaves_nothing() {
        let mut outbox = Outbox::default();
        assert_eq!(
            outbox.put_data(SessionId(1), Stream::Stdout, 9, |_| Err(())),
            Err(())
        );
        assert_eq!(
            outbox.put_data(SessionId(1), Stream::Stdout, 9, |_| Ok::<_, ()>(0)),
            Ok(0)
        );
        assert!(outbox.is_empty() && outbox.has_room());
    }
}
