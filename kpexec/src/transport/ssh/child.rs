//! `--ssh-command`: a program of the user's own as the way to a node.

use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::{QUEUE, stream_of};
use super::deaf::deaf_to_keys;
use super::process::{How, Process, Said};
use super::{Error, Host, Options};

/// How much is read at once, in bytes.
const CHUNK: usize = 64 << 10;

/// How long a program may live without its stdout.
const END_LIMIT: Duration = Duration::from_secs(2);

/// A command line that starts whatever is put at its end, on a node.
#[derive(Debug)]
pub(super) struct Template {
    words: Vec<String>,
    /// The program may ask the user something.
    may_prompt: bool,
}

impl Template {
    /// Takes `--ssh-command` apart, without a shell, and fills it in.
    ///
    /// # Errors
    /// When it cannot be.
    pub(super) fn new(command: &str, host: &Host, options: &Options) -> Result<Self, Error> {
        let bad = |why: String| Error::Template {
            command: command.to_owned(),
            why,
        };
        let words = shlex::split(command).ok_or_else(|| bad("a quote is not closed".to_owned()))?;
        let port = options.port.map(|port| port.to_string());
        let fill = |word: &String| {
            let mut filled = word.clone();
            for (place, value) in [
                ("{node}", Some(&host.name)),
                ("{address}", Some(&host.address)),
                ("{user}", options.user.as_ref()),
                ("{port}", port.as_ref()),
            ] {
                match value {
                    Some(value) => filled = filled.replace(place, value),
                    None if filled.contains(place) => {
                        let name = place.trim_matches(['{', '}']);
                        return Err(bad(format!("it has {place}, and there is no --ssh-{name}")));
                    }
                    None => {}
                }
            }
            match unknown_place(word) {
                Some(place) => Err(bad(format!(
                    "it has {place}; {{node}}, {{address}}, {{user}} and {{port}} are filled in"
                ))),
                None => Ok(filled),
            }
        };
        let words = words.iter().map(fill).collect::<Result<Vec<_>, _>>()?;
        match words.is_empty() {
            true => Err(bad("it is empty".to_owned())),
            false => Ok(Self {
                words,
                may_prompt: options.may_prompt,
            }),
        }
    }

    /// Starts the command with these words at its end.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn start(&self, line: &[String]) -> Result<Process, Error> {
        let mut words = self.words.iter().chain(line);
        let program = words.next().cloned().unwrap_or_default();
        let mut command = match deaf_to_keys(&program) {
            Ok(command) => command,
            Err(source) => return Err(Error::Program { program, source }),
        };
        command
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let group = match self.may_prompt {
            true => Group::default(),
            false => keep_from_asking(&mut command),
        };
        let child = command
            .spawn()
            .map_err(|source| Error::Program { program, source })?;
        Ok(attend(child, group))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

/// Many at once would ask on the same terminal, and take keys that are for the command. OpenSSH asks the
/// program that is named, which fails; whoever reads the terminal all the same is stopped there (SIGTTIN),
/// and killed when it is not waited for any more, with all that it has started.
fn keep_from_asking(command: &mut Command) -> Group {
    command.env("SSH_ASKPASS", "false");
    command.env("SSH_ASKPASS_REQUIRE", "force");
    #[cfg(unix)]
    command.process_group(0);
    Group {
        is_own: true,
        id: None,
    }
}

/// What a program has started, as far as it is in a process group of its own: killed when this is dropped,
/// unless the program has ended by itself. What it left behind then it may have meant to, as a ControlMaster.
#[derive(Default)]
struct Group {
    is_own: bool,
    id: Option<u32>,
}

impl Group {
    fn leave(mut self) {
        self.id = None;
    }
}

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        let id = self.id.and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
        }
    }
}

/// A name in braces that is none of ours. What else has braces, as JSON does, is left alone.
fn unknown_place(word: &str) -> Option<&str> {
    let mut opened = word.match_indices('{').map(|(start, _)| &word[start..]);
    opened.find_map(|rest| {
        let place = &rest[..=rest.find('}')?];
        let name = place.trim_matches(['{', '}']);
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase());
        let known = ["node", "address", "user", "port"].contains(&name);
        (is_name && !known).then_some(place)
    })
}

/// Reads what it writes, and waits for its end.
fn attend(mut child: Child, mut group: Group) -> Process {
    group.id = child.id().filter(|_| group.is_own);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (from_process, heard) = mpsc::channel(QUEUE);
    let out = tokio::spawn(read(stdout, from_process.clone(), Said::Stdout));
    let err = tokio::spawn(read(stderr, from_process.clone(), Said::Stderr));
    let mut attendant = JoinSet::new();
    attendant.spawn(async move {
        let _ = out.await;
        // Nothing more can come of it.
        let how = match timeout(END_LIMIT, child.wait()).await {
            Ok(Ok(status)) => {
                group.leave();
                // What it left behind may hold its stderr for as long as it lives.
                let _ = timeout(END_LIMIT, err).await;
                how(status)
            }
            Ok(Err(error)) => How::Lost(error.to_string()),
            Err(_) => How::Lost("it has closed its stdout".to_owned()),
        };
        let _ = from_process.send(Said::Ended(how)).await;
    });
    let process = Process::new(stream_of(heard), |to_process| write(stdin, to_process));
    Process {
        attendant,
        ..process
    }
}

async fn read(
    stream: Option<impl AsyncRead + Unpin>,
    to: mpsc::Sender<Said>,
    said: impl Fn(Bytes) -> Said,
) {
    let Some(mut stream) = stream else { return };
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        // A little of a large buffer would keep all of it for as long as it is not read.
        let piece = match buffer.len() < CHUNK / 8 {
            true => {
                let copy = Bytes::copy_from_slice(&buffer);
                buffer.clear();
                copy
            }
            false => buffer.split().freeze(),
        };
        if to.send(said(piece)).await.is_err() {
            return;
        }
    }
}

async fn write(stdin: Option<ChildStdin>, mut from: mpsc::Receiver<Bytes>) {
    let Some(mut stdin) = stdin else { return };
    while let Some(bytes) = from.recv().await {
        if stdin.write_all(&bytes).await.is_err() {
            // The reader says why.
            return;
        }
    }
}

fn how(status: std::process::ExitStatus) -> How {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return How::Signal(signal.to_string());
    }
    match status.code().and_then(|code| u32::try_from(code).ok()) {
        Some(code) => How::Code(code),
        None => How::Lost(status.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(command: &str, options: &Options) -> Result<Vec<String>, String> {
        let host = Host {
            others: Vec::new(),
            name: "node-1".into(),
            address: "10.0.0.1".into(),
        };
        let template = Template::new(command, &host, options);
        template
            .map(|it| it.words)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_command_is_taken_apart_and_filled_in() {
        let options = Options {
            user: Some("me".into()),
            ..Options::default()
        };
        let words = filled("ssh -l {user} '-o Opt=a b' {address} {node}", &options).unwrap();
        assert_eq!(
            words,
            ["ssh", "-l", "me", "-o Opt=a b", "10.0.0.1", "node-1"]
        );
        let refused = |command| filled(command, &options).unwrap_err();
        assert!(refused("ssh -p {port}").contains("--ssh-port"));
        assert!(refused("ssh 'a").contains("quote"));
        assert!(refused("ssh {host}").contains("it has {host}; {node}"));
        assert!(filled("ssm '{\"portNumber\":[\"{node}\"]}' {}", &options).is_ok());
        assert!(refused(" ").contains("empty"));
    }
}
