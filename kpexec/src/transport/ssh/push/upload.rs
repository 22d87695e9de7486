//! The talk with the shell that takes a cnsenter on a node; [`SCRIPT`] is its part.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::{Instant, timeout, timeout_at};

use super::super::ended::{Ended, MAX_WORDS, keep};
use super::super::greeting::LIMIT;
use super::super::process::{Process, Said};
use super::{Error, Program};

/// What the shell reads; what is needed to call it is put at its end.
const SCRIPT: &str = include_str!("upload.sh");

/// How long it may take to send it all, and how long it may lie there before it runs.
const TRANSFER: Duration = Duration::from_secs(300);

/// How much goes at once, in bytes.
const PIECE: usize = 32 << 10;

/// A shell on a node that takes a file, keeps it until it is not needed, and removes it.
pub(super) struct Upload {
    process: Process,
    host: String,
    /// What its folder is called, and what its lines begin with.
    name: String,
    /// What it has said and nobody has read yet.
    heard: Ended,
    machine: String,
    /// The file, once it is there.
    path: String,
}

impl Upload {
    /// Tells `sh -s` what it is to do, and hears what machine it runs on.
    ///
    /// # Errors
    /// When no shell answers.
    pub(super) async fn begin(process: Process, host: &str) -> Result<Self, Error> {
        let name = name()?;
        let mut upload = Self {
            process,
            host: host.to_owned(),
            name,
            heard: Ended::default(),
            machine: String::new(),
            path: String::new(),
        };
        let limit = TRANSFER.as_secs();
        let name = &upload.name;
        let call = format!("{SCRIPT}\nNAME={name}; MARK={name}:; LIMIT={limit}; main\n");
        upload.say(call).await;
        upload.machine = match upload.hear(LIMIT).await? {
            Answer::Machine(machine) => machine,
            other => return Err(upload.refused(other)),
        };
        Ok(upload)
    }

    /// The node's machine, as its `uname -m` has it.
    pub(super) fn machine(&self) -> &str {
        &self.machine
    }

    /// Sends the program; its path, once it is known to be whole and to run.
    ///
    /// # Errors
    /// When there is no place for it, or it does not arrive. It is removed then.
    pub(super) async fn send(&mut self, program: &Program) -> Result<String, Error> {
        let size = program.bytes.len();
        self.say(format!("{size} {}\n", program.sum)).await;
        match self.hear(LIMIT).await? {
            Answer::Ready => {}
            other => return Err(self.refused(other)),
        }
        let outgoing = self.process.outgoing.clone();
        let mut left = program.bytes.clone();
        // Who does not read on may have something to say.
        let sending = tokio::spawn(async move {
            while !left.is_empty() {
                let piece = left.split_to(left.len().min(PIECE));
                if outgoing.send(piece).await.is_err() {
                    return;
                }
            }
        });
        let answer = self.hear(TRANSFER).await;
        sending.abort();
        match answer? {
            // Theirs has to be ours, whatever they think of it.
            Answer::Stored { sum, path } if sum == program.sum => {
                if !is_in_folder(&path, &self.name) {
                    return Err(self.refused(Answer::Other));
                }
                self.path.clone_from(&path);
                Ok(path)
            }
            Answer::Stored { sum: got, .. } | Answer::Differs(got) => Err(Error::Differs {
                host: self.host.clone(),
                sent: program.sum.clone(),
                got,
            }),
            other => Err(self.refused(other)),
        }
    }

    /// Has the file removed, and waits for that; else where it may be left.
    pub(super) async fn remove(mut self) -> Result<(), String> {
        let removed = async {
            self.say("\n".to_owned()).await;
            self.hear(LIMIT).await
        };
        match timeout(LIMIT, removed).await {
            Ok(Ok(Answer::Removed)) => Ok(()),
            _ => Err(self.path),
        }
    }

    async fn say(&self, text: String) {
        // If nobody takes it any more, the answer says why.
        let _ = self.process.outgoing.send(Bytes::from(text)).await;
    }

    /// The next line that is meant for us.
    async fn hear(&mut self, limit: Duration) -> Result<Answer, Error> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(line) = self.next_line() {
                return Ok(Answer::read(&line));
            }
            let said = timeout_at(deadline, self.process.incoming.next()).await;
            let said = said.map_err(|_| Error::Silent {
                host: self.host.clone(),
                limit,
            })?;
            match said {
                Some(Said::Stdout(bytes)) => keep(&mut self.heard.stdout, &bytes, MAX_WORDS),
                Some(Said::Stderr(bytes)) => keep(&mut self.heard.stderr, &bytes, MAX_WORDS),
                Some(Said::Ended(how)) => {
                    self.heard.how = how;
                    return Err(self.no_shell());
                }
                None => return Err(self.no_shell()),
            }
        }
    }

    /// What is after the mark, with which a line of noise may have been interrupted.
    fn next_line(&mut self) -> Option<String> {
        let mark = format!("{}:", self.name);
        let mark = mark.as_bytes();
        let heard = &mut self.heard.stdout;
        let start = heard.windows(mark.len()).position(|part| part == mark)? + mark.len();
        let length = heard[start..].iter().position(|byte| *byte == b'\n')?;
        let line = String::from_utf8_lossy(&heard[start..start + length]).into_owned();
        heard.drain(..=start + length);
        Some(line)
    }

    fn no_shell(&self) -> Error {
        Error::NoShell {
            host: self.host.clone(),
            said: self.heard.words(),
        }
    }

    fn refused(&self, answer: Answer) -> Error {
        let host = self.host.clone();
        match answer {
            Answer::Nowhere(tried) => Error::Nowhere { host, tried },
            Answer::Unchecked => Error::Unchecked { host },
            Answer::Failed => {
                let said = self.heard.words();
                Error::Failed { host, said }
            }
            _ => Error::NoShell {
                host,
                said: "it says something else than it was told to".to_owned(),
            },
        }
    }
}

/// What the shell says.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// Its `uname -m`.
    Machine(String),
    /// It has a place, and wants the file.
    Ready,
    /// It has none; why not.
    Nowhere(String),
    /// The file is there.
    Stored { sum: String, path: String },
    /// Another one is there.
    Differs(String),
    /// It cannot be told whether it is the same.
    Unchecked,
    /// The file cannot be written.
    Failed,
    /// Nothing is left.
    Removed,
    /// None of its words.
    Other,
}

impl Answer {
    fn read(line: &str) -> Self {
        let line = line.trim();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let text = rest.to_owned();
        match (word, rest.split_once(' ')) {
            ("machine", _) => Self::Machine(text),
            ("ready", _) => Self::Ready,
            ("nowhere", _) => Self::Nowhere(text),
            ("stored", Some((sum, path))) => Self::Stored {
                sum: sum.to_owned(),
                path: path.to_owned(),
            },
            ("differs", _) => Self::Differs(text),
            ("unchecked", _) => Self::Unchecked,
            ("failed", _) => Self::Failed,
            ("removed", _) => Self::Removed,
            _ => Self::Other,
        }
    }
}

/// Whether a path is the file's in a folder of this name. It becomes a word of the user's own program, which
/// could take another one for an option (CVE-2017-1000117 is of that kind).
fn is_in_folder(path: &str, name: &str) -> bool {
    let place = path.strip_suffix(&format!("/{name}/cnsenter"));
    place.is_some_and(|place| place.is_empty() || place.starts_with('/'))
}

/// A folder's name that nobody can guess, and that no login script says.
fn name() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| Error::Random)?;
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    Ok(format!("kpexec-{}", digits.collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_shell_says_is_understood() {
        let stored = Answer::Stored {
            sum: "5e".into(),
            path: "/tmp/kpexec-1/cnsenter".into(),
        };
        for (line, answer) in [
            (" machine x86_64", Answer::Machine("x86_64".into())),
            (" ready\r", Answer::Ready),
            (
                " nowhere /run is full; /tmp is no path",
                Answer::Nowhere("/run is full; /tmp is no path".into()),
            ),
            (" stored 5e /tmp/kpexec-1/cnsenter", stored),
            (" differs 5e", Answer::Differs("5e".into())),
            (" stored 5e", Answer::Other),
            ("", Answer::Other),
        ] {
            assert_eq!(Answer::read(line), answer);
        }
    }

    #[test]
    fn a_node_names_no_other_file() {
        let name = "kpexec-1";
        for (path, is_ours) in [
            ("/tmp/kpexec-1/cnsenter", true),
            ("/kpexec-1/cnsenter", true),
            ("-oProxyCommand=/kpexec-1/cnsenter", false),
            ("-A", false),
            ("/bin/sh", false),
            ("/tmp/kpexec-2/cnsenter", false),
            ("kpexec-1/cnsenter", false),
        ] {
            assert_eq!(is_in_folder(path, name), is_ours, "{path}");
        }
    }

    #[test]
    fn the_script_is_read_whole_by_a_shell_that_reads_blocks() {
        // Some shells take what is there, up to so much, and would take the file for words of ours.
        assert!(SCRIPT.len() < 8000, "{}", SCRIPT.len());
        assert!(!SCRIPT.contains("\nmain\n"));
    }
}
