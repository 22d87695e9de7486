//! A Windows console, which is written to in UTF-16: std refuses whatever is no UTF-8, and would end
//! the session for the sake of one byte of a binary file.

use std::io::{self, Write};

/// Shows what is no text as such, and keeps the beginning of a character for the rest of it.
pub(super) struct Console<W> {
    target: W,
    /// At most three bytes.
    begun: Vec<u8>,
}

impl<W: Write> Console<W> {
    pub(super) fn new(target: W) -> Self {
        Self {
            target,
            begun: Vec::new(),
        }
    }
}

impl<W: Write> Write for Console<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        let mut text = String::with_capacity(self.begun.len());
        let mut rest = Vec::new();
        let mut chunks = self.begun.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let odd = chunk.invalid();
            let goes_on = chunks.peek().is_none() && is_beginning(odd);
            match odd {
                [] => {}
                odd if goes_on => rest = odd.to_vec(),
                _ => text.push(char::REPLACEMENT_CHARACTER),
            }
        }
        self.begun = rest;
        self.target.write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}

/// Whether only more bytes can tell that this is no character.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_shown_as_such() {
        let written = |pieces: &[&[u8]]| {
            let mut console = Console::new(Vec::new());
            for piece in pieces {
                console.write_all(piece).unwrap();
            }
            String::from_utf8(console.target).unwrap()
        };
        assert_eq!(written(&[b"plain", b" text"]), "plain text");
        let euro = "€".as_bytes();
        assert_eq!(
            written(&[b"5 ", &euro[..1], &euro[1..2], &euro[2..], b"!"]),
            "5 €!"
        );
        assert_eq!(written(&[b"\xff\xfe", b"a"]), "\u{fffd}\u{fffd}a");
        assert_eq!(written(&[&euro[..2], b"a"]), "\u{fffd}a");
    }
}
