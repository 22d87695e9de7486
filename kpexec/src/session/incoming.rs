//! What comes from the node, and what it is to the session.

use bytes::Bytes;
use cnsenter_protocol::{Control, Decoder, Exit, Failure, FailureKind, Item, Stream};

use super::client::Session;
use super::{Error, SESSION};
use crate::stderr::printable;
use crate::transport::{CLOSED, Incoming};

impl Session {
    /// Takes what came; the Exit, if that is it.
    pub(super) fn receive(&mut self, item: Option<Incoming>) -> Result<Option<Exit>, Error> {
        if let Some(Incoming::Stream(_) | Incoming::Diagnostics(_)) = item {
            self.hear();
        }
        match item {
            Some(Incoming::Stream(bytes)) => self.decode(&bytes),
            Some(Incoming::Diagnostics(bytes)) => {
                self.tell(&printable(String::from_utf8_lossy(&bytes).trim_end()));
                Ok(None)
            }
            Some(Incoming::End(reason)) => Err(self.ended(reason)),
            Some(Incoming::Lost(reason)) => Err(self.lost(reason)),
            None => Err(self.lost(CLOSED.to_owned())),
        }
    }

    fn decode(&mut self, bytes: &Bytes) -> Result<Option<Exit>, Error> {
        let mut rest: &[u8] = bytes;
        loop {
            // The decoder borrows what it gives; it is taken out for that time.
            let mut decoder = std::mem::replace(&mut self.decoder, Decoder::of_server());
            let taken = match decoder.next(&mut rest) {
                Ok(None) => Ok(None),
                Ok(Some(item)) => self.take(item, bytes).map(Some),
                Err(error) => Err(Error::Protocol(error.to_string())),
            };
            self.decoder = decoder;
            match taken? {
                None => return Ok(None),
                Some(Some(exit)) => return Ok(Some(exit)),
                Some(None) => {}
            }
        }
    }

    /// Takes one frame, whose data is a part of `bytes`.
    fn take(&mut self, item: Item<'_>, bytes: &Bytes) -> Result<Option<Exit>, Error> {
        match item {
            Item::Control { message, .. } => return self.control(message),
            Item::Data { session, .. } if session != SESSION => {
                return Err(Error::Protocol(format!("data of {session} came")));
            }
            Item::Data {
                stream: Stream::Stdin,
                end: true,
                ..
            } => {
                // The command does not read any more.
                self.input = None;
                self.outbox.drop_input();
            }
            Item::Data {
                stream,
                bytes: part,
                ..
            } => {
                let (bytes, delay) = (bytes.slice_ref(part), self.pulse.delay);
                if let Some(credit) = self.outputs.take(stream, bytes, delay)? {
                    self.outbox.put(&credit);
                }
            }
        }
        Ok(None)
    }

    fn control(&mut self, message: Control) -> Result<Option<Exit>, Error> {
        match message {
            Control::Hello(hello) if !super::is_spoken_by(&hello) => {
                return Err(Error::Version(hello));
            }
            Control::Hello(_) if self.greeted.is_none() => self.begin()?,
            Control::Credit {
                stream: Stream::Stdin,
                bytes,
            } => {
                let granted = self.outbox.grant(bytes);
                granted.map_err(|error| Error::Protocol(error.to_string()))?;
            }
            Control::Ping(number) => self.outbox.answer(number),
            Control::Pong(number) => self.ponged(number),
            Control::Started { pid } => self.pid = Some(pid),
            Control::Exit(exit) => return Ok(Some(exit)),
            Control::Error(failure) => return Err(self.failed(failure)),
            // A later version's.
            Control::Hello(_) | Control::Hold(_) | Control::Ack => {}
            other => {
                return Err(Error::Protocol(format!(
                    "{} came from the node",
                    other.name()
                )));
            }
        }
        Ok(None)
    }

    fn ponged(&mut self, number: u64) {
        self.pulse.pong(number);
        for credit in self.outputs.due(self.pulse.delay) {
            self.outbox.put(&credit);
        }
        if self.stop_at.is_some_and(|(expected, _)| expected == number) {
            self.stop();
        }
    }

    fn failed(&self, failure: Failure) -> Error {
        match failure.kind {
            FailureKind::Lost => self.lost(failure.message),
            _ => Error::Failed(failure),
        }
    }

    /// The node's part has ended, and the command has not.
    fn ended(&self, reason: Option<String>) -> Error {
        match self.greeted {
            // Nothing is started before that.
            None => self.no_hello(reason),
            Some(_) => self.lost(reason.unwrap_or_else(|| CLOSED.to_owned())),
        }
    }

    fn no_hello(&self, reason: Option<String>) -> Error {
        let noise = String::from_utf8_lossy(self.decoder.noise())
            .trim()
            .to_owned();
        let words = [reason, Some(noise).filter(|noise| !noise.is_empty())];
        let words: Vec<_> = words.into_iter().flatten().collect();
        Error::NoHello {
            node: self.options.node.clone(),
            reason: words.join("; "),
        }
    }

    /// Nothing is heard of the command any more: what is known of it.
    pub(super) fn lost(&self, reason: String) -> Error {
        // Who has been told all in argv starts it by itself, whether we hear of that or not.
        if self.greeted.is_none() && self.options.supplement.is_some() {
            return self.no_hello(Some(reason));
        }
        Error::Lost {
            node: self.options.node.clone(),
            reason,
            pid: self.pid,
            lease: self.pulse.lease,
        }
    }
}
