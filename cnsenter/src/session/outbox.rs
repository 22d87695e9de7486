//! What is on its way to the client, in bounded memory.

use std::io;

use cnsenter_protocol::frame::{self, HEADER, MAX_DATA};
use cnsenter_protocol::{Control, SessionId, Stream};

use super::conduit::Conduit;
use crate::supervise::Stream as Pipe;

/// Data is added up to here, in bytes; more waits where it comes from.
const FULL: usize = 256 << 10;

/// The most data of a frame, in bytes: with its header it is two reads of those who carry it, and
/// no message of a few bytes is left over for the next.
const DATA: usize = MAX_DATA - HEADER;

/// Frames that were not written yet. Data is read right into it, or does not pass through our
/// memory at all.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    written: usize,
    /// Holds the data of one frame, whose header ends at `splice_at`. Made when there is much.
    conduit: Option<Conduit>,
    splices: bool,
    splice_at: usize,
    /// The answer to the last Ping; those before it are not worth one while it waits.
    pong: Option<u64>,
}

impl Outbox {
    /// For what that is written to.
    pub(super) fn to(sink: &mut Pipe<'_>) -> Self {
        let splices = sink.splices();
        Self {
            splices,
            ..Self::default()
        }
    }

    /// Whether [`Outbox::splice_data`] can be used.
    pub(super) fn splices(&self) -> bool {
        self.splices
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending().is_empty() && self.held() == 0 && self.pong.is_none()
    }

    /// Whether data, and whatever else can wait, may be added.
    pub(super) fn has_room(&self) -> bool {
        self.pending().len() < FULL && self.held() == 0
    }

    fn held(&self) -> usize {
        self.conduit.as_ref().map_or(0, Conduit::held)
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

    /// The same without copying, if the sink is a pipe, too. Only while there is room.
    pub(super) fn splice_data(
        &mut self,
        session: SessionId,
        stream: Stream,
        most: usize,
        source: &Pipe<'_>,
    ) -> nix::Result<usize> {
        let conduit = match &mut self.conduit {
            Some(conduit) => conduit,
            none => none.insert(Conduit::new()?),
        };
        let length = conduit.fill(source, most.min(DATA))?;
        if length > 0 {
            let header = frame::data_header(session, stream, length, false);
            self.bytes.extend(header);
            self.splice_at = self.bytes.len();
        }
        Ok(length)
    }

    /// Writes what there is room for.
    pub(super) fn flush(&mut self, sink: &mut Pipe<'_>) -> io::Result<()> {
        if self.has_room()
            && let Some(number) = self.pong.take()
        {
            self.put(SessionId::STREAM, &Control::Pong(number));
        }
        match self.write(sink) {
            Ok(()) | Err(nix::Error::EAGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        if self.held() > 0 {
            return Ok(());
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

    fn write(&mut self, sink: &mut Pipe<'_>) -> nix::Result<()> {
        let conduit = self.conduit.as_mut().filter(|conduit| conduit.held() > 0);
        let before = match conduit {
            Some(_) => self.splice_at,
            None => self.bytes.len(),
        };
        if self.written < before {
            self.written += sink.write(&self.bytes[self.written..before])?;
        }
        match conduit {
            Some(conduit) if self.written == before => conduit.drain(sink),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use cnsenter_protocol::{Decoder, Item};
    use nix::unistd::pipe;

    use super::*;
    use crate::supervise::Direction;

    /// What arrives at the other end of a pipe.
    fn flushed(outbox: &mut Outbox) -> Vec<u8> {
        let (read, write) = pipe().unwrap();
        let mut sink = Pipe::own(write, Direction::Write).unwrap();
        let mut wire = Vec::new();
        while !outbox.is_empty() {
            outbox.flush(&mut sink).unwrap();
            let mut some = [0; 10_000];
            let length = nix::unistd::read(&read, &mut some).unwrap();
            wire.extend(&some[..length]);
        }
        drop(sink);
        File::from(read).read_to_end(&mut wire).unwrap();
        wire
    }

    #[test]
    fn spliced_data_keeps_its_place() {
        let (read, write) = pipe().unwrap();
        let source = Pipe::own(read, Direction::Read).unwrap();
        let much: Vec<u8> = (0..60_000).map(|n: u32| n.to_le_bytes()[1]).collect();
        nix::unistd::write(&write, &much).unwrap();
        let mut outbox = Outbox::default();
        let id = SessionId(1);
        let number = |number| Control::Ping(number);
        outbox.put(id, &number(1));
        let first = outbox.splice_data(id, Stream::Stdout, 40_000, &source);
        assert_eq!(first, Ok(40_000));
        assert!(!outbox.has_room());
        outbox.put(id, &number(2));
        outbox.answer(3);
        let mut wire = flushed(&mut outbox);
        let rest = outbox.splice_data(id, Stream::Stdout, 40_000, &source);
        assert_eq!(rest, Ok(20_000));
        wire.extend(flushed(&mut outbox));

        let mut decoder = Decoder::of_server();
        let mut input = &wire[..];
        let mut data: Vec<u8> = Vec::new();
        let mut numbers = Vec::new();
        while let Some(item) = decoder.next(&mut input).unwrap() {
            match item {
                Item::Data { bytes, .. } => data.extend(bytes),
                Item::Control { message, .. } => numbers.push((message, data.len())),
            }
        }
        assert_eq!(data, much);
        let told = [
            (number(1), 0),
            (number(2), 40_000),
            (Control::Pong(3), 40_000),
        ];
        assert_eq!(numbers, told);
    }

    #[test]
    fn a_flood_of_pings_takes_no_room() {
        let mut outbox = Outbox::default();
        outbox
            .put_data(SessionId(1), Stream::Stdout, MAX_DATA, |buffer| {
                Ok::<_, ()>(buffer.len())
            })
            .unwrap();
        (0..100_000).for_each(|number| outbox.answer(number));
        let wire = flushed(&mut outbox);
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
