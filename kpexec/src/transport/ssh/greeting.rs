//! What is heard of a process until it is cnsenter's session: noise of login scripts, sudo's question,
//! or why there will be no session.

use std::time::Duration;

use bytes::Bytes;
use cnsenter_protocol::decoder::MAX_NOISE;
use cnsenter_protocol::{Control, Decoder, Hello, Item, PREAMBLE};
use tokio::time::{Instant, timeout_at};

use super::process::{How, Process, Said};
use super::prompt::Prompt;
use super::root::{MARKER, Prefix};
use super::{Error, Ran};

/// How long a process may be silent: sudo may ask other machines who we are.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// The most that is kept of a short command's output, in bytes.
const MAX_OUTPUT: usize = 4 << 20;

/// The most that is kept of what it says to people, in bytes.
pub(super) const MAX_WORDS: usize = 64 << 10;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// cnsenter's greeting.
    Hello,
    /// The end of it all.
    End,
}

/// A process that has ended, and all that it said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) how: How,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Default for Ended {
    fn default() -> Self {
        Self {
            how: How::Lost("it was silent".to_owned()),
            stdout: Vec::new(),
            stderr: Vec::new(),
        }
    }
}

impl Ended {
    /// Whether somebody says that a program is not there.
    pub(super) fn has_not_found(&self) -> bool {
        String::from_utf8_lossy(&self.stderr).contains("not found")
    }

    /// Whether cnsenter ran: what it says of itself begins with its name, and sudo ends with 1.
    pub(super) fn is_of_cnsenter(&self, prefix: &Prefix) -> bool {
        match self.how {
            How::Code(0 | 125) => true,
            How::Code(127) | How::Lost(_) => false,
            _ => *prefix == Prefix::None && !self.has_not_found(),
        }
    }

    /// What it said, its last line first of all.
    pub(super) fn words(&self) -> String {
        let text = [&self.stderr, &self.stdout].map(|bytes| String::from_utf8_lossy(bytes));
        let words = text.iter().flat_map(|text| text.trim().lines().last());
        let words: Vec<_> = words
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(shortened)
            .collect();
        match words.is_empty() {
            true => self
                .how
                .words()
                .unwrap_or_else(|| "it said nothing".to_owned()),
            false => words.join("; "),
        }
    }

    pub(super) fn into_ran(self) -> Ran {
        Ran {
            code: match self.how {
                How::Code(code) => Some(code),
                How::Signal(_) | How::Lost(_) => None,
            },
            stderr: String::from_utf8_lossy(&self.stderr).into_owned(),
            stdout: self.stdout,
        }
    }
}

/// A line that somebody may have to read.
fn shortened(line: &str) -> String {
    const MOST: usize = 300;
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// Who answers sudo.
pub(super) struct Answerer<'a> {
    prefix: &'a Prefix,
    prompt: &'a Prompt,
    host: &'a str,
}

impl<'a> Answerer<'a> {
    pub(super) fn new(prefix: &'a Prefix, prompt: &'a Prompt, host: &'a str) -> Self {
        Self {
            prefix,
            prompt,
            host,
        }
    }

    /// Answers, if that is the question; the rest of what was said.
    async fn answer(&self, said: &mut Vec<u8>, process: &Process) -> Result<bool, Error> {
        if !self.prefix.asks() {
            return Ok(false);
        }
        let marker = MARKER.as_bytes();
        let Some(at) = said.windows(marker.len()).position(|part| part == marker) else {
            return Ok(false);
        };
        // Among what is left is that the last one was wrong.
        let before = String::from_utf8_lossy(&said[..at]).trim().to_owned();
        said.clear();
        let note = if before.is_empty() {
            before
        } else {
            before + "\n"
        };
        let question = format!("{note}sudo's password on {}: ", self.host);
        let mut password = self.prompt.secret(&question).await?;
        password.push('\n');
        let _ = process.outgoing.send(Bytes::from(password)).await;
        Ok(true)
    }
}

/// Listens to a process. None once cnsenter has greeted: what was heard is in the process' `early`.
///
/// # Errors
/// When that takes too long, or what is heard is no cnsenter.
pub(super) async fn listen(
    process: &mut Process,
    until: Until,
    answerer: &Answerer<'_>,
) -> Result<Option<Ended>, Error> {
    let mut heard = Ended::default();
    let host = || answerer.host.to_owned();
    let mut deadline = Instant::now() + LIMIT;
    loop {
        let said = match timeout_at(deadline, process.incoming.recv()).await {
            Ok(said) => said,
            Err(_) => {
                let (host, limit) = (host(), LIMIT);
                return Err(Error::Silent { host, limit });
            }
        };
        match said {
            None => return Ok(Some(heard)),
            Some(Said::Ended(how)) => {
                heard.how = how;
                return Ok(Some(heard));
            }
            Some(Said::Stderr(bytes)) => {
                keep(&mut heard.stderr, &bytes, MAX_WORDS);
                if answerer.answer(&mut heard.stderr, process).await? {
                    deadline = Instant::now() + LIMIT;
                }
            }
            Some(Said::Stdout(bytes)) if until == Until::End => {
                if heard.stdout.len() + bytes.len() > MAX_OUTPUT {
                    return Err(Error::TooMuch { host: host() });
                }
                heard.stdout.extend_from_slice(&bytes);
            }
            Some(Said::Stdout(bytes)) => {
                heard.stdout.extend_from_slice(&bytes);
                if has_greeting(&heard.stdout, bytes.len()) {
                    process.early = early(heard);
                    return Ok(None);
                }
                if heard.stdout.len() > MAX_NOISE {
                    let said = heard.words();
                    return Err(Error::NoGreeting { host: host(), said });
                }
            }
        }
    }
}

/// What a process that has greeted says of itself; None if that cannot be read. All of it stays in
/// the process' `early`.
pub(super) async fn hello(process: &mut Process) -> Option<Hello> {
    let mut decoder = Decoder::of_client();
    let deadline = Instant::now() + LIMIT;
    let mut looked_at = 0;
    loop {
        while let Some(said) = process.early.get(looked_at) {
            looked_at += 1;
            let Said::Stdout(bytes) = said else { continue };
            match decoder.next(&mut &bytes[..]) {
                Ok(None) => {}
                Ok(Some(Item::Control {
                    message: Control::Hello(hello),
                    ..
                })) => return Some(hello),
                Ok(Some(_)) | Err(_) => return None,
            }
        }
        let said = timeout_at(deadline, process.incoming.recv()).await;
        process.early.push(said.ok().flatten()?);
    }
}

pub(super) fn keep(kept: &mut Vec<u8>, bytes: &[u8], most: usize) {
    let room = most.saturating_sub(kept.len());
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

/// Whether the greeting is there; the last `new` bytes have not been looked at yet.
fn has_greeting(heard: &[u8], new: usize) -> bool {
    let from = heard.len().saturating_sub(new + PREAMBLE.len());
    heard[from..]
        .windows(PREAMBLE.len())
        .any(|part| part == PREAMBLE)
}

fn early(heard: Ended) -> Vec<Said> {
    let mut early = Vec::new();
    if !heard.stderr.is_empty() {
        early.push(Said::Stderr(heard.stderr.into()));
    }
    early.push(Said::Stdout(heard.stdout.into()));
    early
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_may_come_in_pieces() {
        let mut heard = b"Last login: today\n".to_vec();
        assert!(!has_greeting(&heard, heard.len()));
        heard.extend_from_slice(&PREAMBLE[..5]);
        assert!(!has_greeting(&heard, 5));
        heard.extend_from_slice(&PREAMBLE[5..]);
        assert!(has_greeting(&heard, 3));
        assert!(!has_greeting(&[], 0));
    }

    #[test]
    fn the_last_words_are_quoted() {
        let ended = |stdout: &str, stderr: &str| Ended {
            how: How::Code(1),
            stdout: stdout.into(),
            stderr: stderr.into(),
        };
        assert_eq!(ended("Welcome\n", "a\nb\n").words(), "b; Welcome");
        assert_eq!(ended("", &"é".repeat(9999)).words().chars().count(), 301);
        assert_eq!(
            ended("", "").words(),
            "cnsenter ended there with exit code 1"
        );
    }
}
