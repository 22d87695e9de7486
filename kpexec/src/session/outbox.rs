//! What is to be sent, kept until there is room.

use std::io;

use bytes::Bytes;
use cnsenter_protocol::credit::{self, Allowance};
use cnsenter_protocol::frame::{MAX_DATA, put_data, put_end};
use cnsenter_protocol::{Control, SessionId, Stream};

use super::SESSION;

/// Control frames, and a piece of stdin that waits for credit.
#[derive(Default)]
pub(super) struct Outbox {
    /// Control frames; they go before any data.
    control: Vec<u8>,
    /// The answer to the last Ping; those before it are not worth one while it waits.
    pong: Option<u64>,
    piece: Option<Piece>,
    allowance: Allowance,
}

enum Piece {
    Data(Bytes),
    End,
}

impl Outbox {
    pub(super) fn put(&mut self, message: &Control) {
        let session = match message {
            Control::Ping(_) | Control::Pong(_) | Control::Hold(_) => SessionId::STREAM,
            _ => SESSION,
        };
        message.put(&mut self.control, session);
    }

    /// Answers a Ping when there is room.
    pub(super) fn answer(&mut self, number: u64) {
        self.pong = Some(number);
    }

    /// Takes a piece of stdin, or its end; why it ended, if it failed.
    pub(super) fn take_input(&mut self, chunk: Option<io::Result<Bytes>>) -> Option<io::Error> {
        let (piece, failed) = match chunk {
            Some(Ok(bytes)) => (Piece::Data(bytes), None),
            ended => (Piece::End, ended.and_then(Result::err)),
        };
        self.piece = Some(piece);
        failed
    }

    /// The command reads no more.
    pub(super) fn drop_input(&mut self) {
        self.piece = None;
    }

    /// # Errors
    /// When the other end grants more than there can be.
    pub(super) fn grant(&mut self, bytes: u32) -> Result<(), credit::Error> {
        self.allowance.grant(bytes)
    }

    /// Whether another piece of stdin can be taken.
    pub(super) fn takes_input(&self) -> bool {
        self.piece.is_none()
    }

    /// Whether there is something that may be sent.
    pub(super) fn is_sendable(&self) -> bool {
        self.has_control()
            || match &self.piece {
                Some(Piece::Data(_)) => self.allowance.left() > 0,
                Some(Piece::End) => true,
                None => false,
            }
    }

    /// Control frames first; else as much of stdin as there is credit for.
    pub(super) fn next(&mut self) -> Bytes {
        if self.has_control() {
            return self.control();
        }
        let mut frame = Vec::new();
        match self.piece.take() {
            Some(Piece::Data(mut bytes)) => {
                let now = bytes.split_to(bytes.len().min(self.allowance.left()).min(MAX_DATA));
                self.allowance.spend(now.len());
                put_data(&mut frame, SESSION, Stream::Stdin, &now);
                self.piece = (!bytes.is_empty()).then_some(Piece::Data(bytes));
            }
            Some(Piece::End) => put_end(&mut frame, SESSION, Stream::Stdin),
            None => {}
        }
        frame.into()
    }

    fn has_control(&self) -> bool {
        !self.control.is_empty() || self.pong.is_some()
    }

    /// The control frames alone.
    pub(super) fn control(&mut self) -> Bytes {
        if let Some(number) = self.pong.take() {
            self.put(&Control::Pong(number));
        }
        std::mem::take(&mut self.control).into()
    }
}
