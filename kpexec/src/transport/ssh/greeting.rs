//! What is heard of a process until it is cnsenter's session: noise of login scripts, sudo's question,
//! or why there will be no session.

use std::time::Duration;

use bytes::Bytes;
use cnsenter_protocol::decoder::MAX_NOISE;
use cnsenter_protocol::{Control, Decoder, Hello, Item, PREAMBLE};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::Error;
use super::ended::{Ended, MAX_WORDS, keep};
use super::process::{Process, Said};
use super::prompt::Prompt;
use super::root::{MARKER, Prefix};

/// How long a process may be silent: sudo may ask other machines who we are.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// The most that is kept of a short command's output, in bytes.
const MAX_OUTPUT: usize = 4 << 20;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// cnsenter's greeting.
    Hello,
    /// The end of it all.
    End,
}

/// Who answers the sudo of one process.
pub(super) struct Answerer<'a> {
    pub(super) prefix: &'a Prefix,
    pub(super) prompt: &'a Prompt,
    pub(super) host: &'a str,
    /// What sudo was last told on this host: asked for once, however many processes there are.
    pub(super) password: &'a mut Option<String>,
    /// This sudo was told it.
    pub(super) has_answered: bool,
}

impl Answerer<'_> {
    /// Answers, if that is the question; the rest of what was said.
    async fn answer(&mut self, said: &mut Vec<u8>, process: &Process) -> Result<bool, Error> {
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
        let known = self.password.take_if(|_| !self.has_answered);
        let password = match known {
            Some(password) => password,
            None => self.ask(&before).await?,
        };
        let line = Bytes::from(format!("{password}\n"));
        let _ = process.outgoing.send(line).await;
        *self.password = Some(password);
        self.has_answered = true;
        Ok(true)
    }

    /// Asks the user, and says what sudo has said before.
    async fn ask(&self, before: &str) -> Result<String, Error> {
        let note = match before {
            "" => String::new(),
            before => format!("{before}\n"),
        };
        let question = format!("{note}sudo's password on {}: ", self.host);
        self.prompt.secret(&question).await
    }
}

/// Listens to a process. None once cnsenter has greeted: what was heard is in the process' `early`.
///
/// # Errors
/// When that takes too long, or what is heard is no cnsenter.
pub(super) async fn listen(
    process: &mut Process,
    until: Until,
    answerer: &mut Answerer<'_>,
) -> Result<Option<Ended>, Error> {
    let mut heard = Ended::default();
    let name = answerer.host;
    let host = || name.to_owned();
    let mut deadline = Instant::now() + LIMIT;
    loop {
        let said = match timeout_at(deadline, process.incoming.next()).await {
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
        let said = timeout_at(deadline, process.incoming.next()).await;
        process.early.push(said.ok().flatten()?);
    }
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
}
