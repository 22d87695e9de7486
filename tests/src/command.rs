//! Commands on a node: how they are described, and what came of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::node::Request;
use crate::{Live, Node, Pty, cache};

/// How long a command may take if nothing else is said.
const DEADLINE: Duration = Duration::from_secs(60);

/// Where programs are on a node; `/usr/bin/docker` is found before other clients of that name.
const PATH: &str = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command on a node. Nothing of the test's environment is handed on to it.
///
/// It always has a deadline: when that has passed it is killed, and the test fails with what the
/// command had written by then.
#[derive(Clone, Debug)]
#[must_use = "a command does nothing until it is run"]
pub struct Cmd {
    node: Node,
    argv: Vec<OsString>,
    env: BTreeMap<String, OsString>,
    stdin: Option<Vec<u8>>,
    folder: String,
    user: (u32, u32),
    deadline: Duration,
}

impl Cmd {
    pub(crate) fn new(node: Node, argv: Vec<OsString>) -> Self {
        let env = [
            ("PATH", PATH),
            ("HOME", "/root"),
            ("USER", "root"),
            ("TERM", "xterm"),
        ];
        let env = env
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into();
        let folder = "/".to_owned();
        Self {
            node,
            argv,
            env,
            stdin: None,
            folder,
            user: (0, 0),
            deadline: DEADLINE,
        }
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// Puts a folder at the front of PATH.
    pub fn path_first(mut self, folder: impl Into<OsString>) -> Self {
        let mut path = folder.into();
        path.push(":");
        path.push(&self.env["PATH"]);
        self.env.insert("PATH".to_owned(), path);
        self
    }

    /// What the command finds on standard input; without it, standard input is `/dev/null`.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// The working directory; `/` without it.
    pub fn cwd(mut self, folder: &str) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// Whose command it is; root's without it.
    pub fn user(mut self, user: u32, group: u32) -> Self {
        self.user = (user, group);
        self
    }

    /// How long it may take; 60 seconds without it.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// A script of Bash instead of the command, in which `"$@"` is the command. Of a pipeline, what
    /// fails counts.
    pub fn within(mut self, script: &str) -> Self {
        let script = format!("set -o pipefail; {script}");
        let front = ["bash", "-c", &script, "bash"].map(OsString::from);
        self.argv.splice(..0, front);
        self
    }

    /// Runs the command to its end and to the end of its output.
    ///
    /// # Panics
    /// If that takes longer than the deadline.
    pub fn run(mut self) -> Output {
        let input = self.stdin.take();
        let mut live = self.spawn();
        if let Some(input) = input {
            live.write_in_background(input);
        }
        live.wait()
    }

    /// As [`Cmd::run`], for commands that are known to work; gives standard output, trimmed.
    ///
    /// # Panics
    /// If the command fails.
    pub fn ok(self) -> String {
        let what = format!("{self}");
        let output = self.run();
        assert!(output.code == 0, "{what} failed: {output}");
        output.out().trim().to_owned()
    }

    /// Starts the command, for the test to talk to; standard input is a pipe.
    pub fn spawn(self) -> Live {
        let what = self.to_string();
        let mut command = self.command();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Live::start(self.node, what, command, self.deadline)
    }

    /// Starts the command on a terminal of its own, 24 rows and 80 columns.
    pub fn pty(self) -> Pty {
        Pty::start(self)
    }

    /// The command for a test that wires it up by itself; it has no deadline then.
    pub fn command(&self) -> Command {
        self.command_with(&[])
    }

    pub(crate) fn command_with(&self, wrapper: &[&str]) -> Command {
        let argv = wrapper
            .iter()
            .map(OsString::from)
            .chain(self.argv.iter().cloned())
            .collect();
        let request = Request {
            groups: self.node.groups_file(),
            init: self.node.init(),
            user: self.user.0,
            group: self.user.1,
            folder: self.folder.clone(),
            argv,
        };
        let mut command = Command::new(cache::helper());
        command
            .args(request.to_arguments())
            .env_clear()
            .envs(&self.env);
        command
    }

    /// The node, the user's ID and the deadline.
    pub(crate) fn parts(&self) -> (&Node, u32, Duration) {
        (&self.node, self.user.0, self.deadline)
    }
}

impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self
            .argv
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        write!(f, "`{}`", words.join(" "))
    }
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// All of standard output.
    pub stdout: Vec<u8>,
    /// All of standard error.
    pub stderr: Vec<u8>,
    /// The exit code; 128 and the signal's number if a signal ended it.
    pub code: i32,
}

impl Output {
    /// Standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, .. } = self;
        write!(
            f,
            "exit code {code}\nstdout: {}\nstderr: {}",
            self.out(),
            self.err()
        )
    }
}
