//! What came for a command that it has not read yet: as much memory as there are bytes, however
//! they came.

use std::collections::VecDeque;

/// Bytes are kept in pieces of this size, so that neither many small frames nor the growth of one
/// large piece take more room than what they hold. With the allocator's own words it is the 64 KiB
/// that are taken from the kernel at once: a piece of that size itself would leave as much unused.
const PIECE: usize = (64 << 10) - 256;

/// A queue of bytes.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    pieces: VecDeque<Vec<u8>>,
    /// How much of the first piece is done with.
    done: usize,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum::<usize>() - self.done
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.pieces.back().map_or(0, |piece| PIECE - piece.len());
            if room == 0 {
                self.pieces.push_back(Vec::with_capacity(PIECE));
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            bytes = later;
            if let Some(piece) = self.pieces.back_mut() {
                piece.extend_from_slice(now);
            }
        }
    }

    /// What comes first; empty if there is nothing.
    pub(super) fn front(&self) -> &[u8] {
        let piece = self.pieces.front();
        piece.map_or(&[], |piece| &piece[self.done..])
    }

    /// Takes that many bytes of [`Backlog::front`] out.
    pub(super) fn advance(&mut self, count: usize) {
        self.done += count;
        if self
            .pieces
            .front()
            .is_some_and(|piece| self.done >= piece.len())
        {
            self.pieces.pop_front();
            self.done = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_little_else() {
        let mut backlog = Backlog::default();
        let sent: Vec<u8> = (0..1 << 20_u32).map(|n| (n % 251) as u8).collect();
        for chunk in sent.chunks(777) {
            backlog.push(chunk);
        }
        assert_eq!(backlog.len(), sent.len());
        let room: usize = backlog.pieces.iter().map(Vec::capacity).sum();
        assert!(room <= sent.len() + PIECE, "{room}");
        let mut got = Vec::new();
        while !backlog.is_empty() {
            let part = backlog.front().len().min(10_007);
            got.extend_from_slice(&backlog.front()[..part]);
            backlog.advance(part);
        }
        assert_eq!((backlog.len(), backlog.front()), (0, &[][..]));
        assert!(got == sent);
    }
}
