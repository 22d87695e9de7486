//! Questions to the user, on the terminal and nowhere else: stdin may be the command's.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};

use super::Error;
use crate::report::Pause;
use crate::report::Report;
use crate::session::Terminal;
use crate::stderr::printable;

#[cfg(unix)]
const TERMINAL: [&str; 2] = ["/dev/tty", "/dev/tty"];
#[cfg(windows)]
const TERMINAL: [&str; 2] = ["CONIN$", "CONOUT$"];

/// Whoever asks the user.
#[derive(Clone)]
pub(super) struct Prompt {
    may: bool,
    pause: Pause,
}

impl Prompt {
    pub(super) fn new(may: bool, report: &Report) -> Self {
        Self {
            // stderr may be a terminal that is not ours to ask on.
            may: may && Both::open().is_ok(),
            pause: report.pause(),
        }
    }

    /// The same, but nothing is asked if that is so.
    pub(super) fn unless(self, is_batch: bool) -> Self {
        Self {
            may: self.may && !is_batch,
            ..self
        }
    }

    /// Whether anything may be asked.
    pub(super) fn may(&self) -> bool {
        self.may
    }

    /// Somebody else may ask, whom we do not hear.
    pub(super) fn make_room(&self) {
        if self.may {
            self.pause.make_room();
        }
    }

    /// Tells the user something.
    pub(super) fn note(&self, text: &str) {
        self.pause.note(text);
    }

    /// Asks a question whose answer is seen.
    ///
    /// # Errors
    /// When nobody answers it.
    pub(super) async fn line(&self, question: &str) -> Result<String, Error> {
        self.ask(question, |question| {
            let mut answer = String::new();
            let mut terminal = Both::open()?;
            terminal.write(question)?;
            BufReader::new(terminal.input).read_line(&mut answer)?;
            match answer.is_empty() {
                true => Err(io::ErrorKind::UnexpectedEof.into()),
                false => Ok(answer.trim_end().to_owned()),
            }
        })
        .await
    }

    /// Asks a question whose answer nobody should see.
    ///
    /// # Errors
    /// When nobody answers it.
    pub(super) async fn secret(&self, question: &str) -> Result<String, Error> {
        self.ask(question, |question| {
            let mut terminal = Both::open()?;
            // First of all, for whoever types at once.
            let raw = Terminal::raw()?;
            terminal.write(&question.replace('\n', "\r\n"))?;
            let answer = read_secret(&mut terminal.input);
            terminal.write("\r\n")?;
            drop(raw);
            answer
        })
        .await
    }

    async fn ask(
        &self,
        question: &str,
        answer: impl FnOnce(&str) -> io::Result<String> + Send + 'static,
    ) -> Result<String, Error> {
        if !self.may {
            return Err(Error::Unanswered(io::ErrorKind::NotConnected.into()));
        }
        self.pause.take_line_back();
        // What a host has to say may be in it.
        let question = printable(question);
        let asked = tokio::task::spawn_blocking(move || answer(&question)).await;
        asked
            .map_err(io::Error::other)
            .flatten()
            .map_err(Error::Unanswered)
    }
}

/// The terminal's two directions.
struct Both {
    input: File,
    output: File,
}

impl Both {
    fn open() -> io::Result<Self> {
        let [input, output] = TERMINAL;
        Ok(Self {
            input: OpenOptions::new().read(true).open(input)?,
            output: OpenOptions::new().write(true).open(output)?,
        })
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.output.write_all(text.as_bytes())?;
        self.output.flush()
    }
}

/// Reads keys of a raw terminal up to Enter.
fn read_secret(keys: &mut impl Read) -> io::Result<String> {
    let mut typed = Vec::new();
    let mut key = [0];
    // One at a time: what comes after Enter is for somebody else.
    while keys.read(&mut key)? > 0 {
        match key[0] {
            b'\r' | b'\n' => {
                return String::from_utf8(typed).map_err(|_| io::ErrorKind::InvalidData.into());
            }
            // Ctrl-C and Ctrl-\, and Ctrl-D where nothing was typed.
            3 | 28 => return Err(io::ErrorKind::Interrupted.into()),
            4 if typed.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            // Backspace takes a character back, Ctrl-U all of them.
            8 | 127 => while typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            21 => typed.clear(),
            // Ctrl-Z is no part of a secret.
            26 => {}
            byte => typed.push(byte),
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_are_on_terminals() {
        let read = |keys: &[u8]| read_secret(&mut { keys }).map_err(|error| error.kind());
        assert_eq!(read(b"secret\r"), Ok("secret".into()));
        assert_eq!(read(b"secx\x7fret\r"), Ok("secret".into()));
        assert_eq!(read("größe\x7f\x7f\x7fü\r".as_bytes()), Ok("grü".into()));
        assert_eq!(read(b"wrong\x15right\nx"), Ok("right".into()));
        assert_eq!(read(b"\r"), Ok(String::new()));
        assert_eq!(read(b"se\x1acret\r"), Ok("secret".into()));
        for end in [b"ab\x03\r", b"ab\x1c\r"] {
            assert_eq!(read(end), Err(io::ErrorKind::Interrupted));
        }
        assert_eq!(read(b"\x04"), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(read(b"ab"), Err(io::ErrorKind::UnexpectedEof));
    }
}
