//! A command that runs while the test goes on.

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Node, Output};

/// How often the state of a process is looked at.
const TICK: Duration = Duration::from_millis(1);

/// A command that is running on a node. It is killed when dropped.
#[derive(Debug)]
pub struct Live {
    /// The node must not end before the command.
    _node: Node,
    what: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Collected,
    stderr: Collected,
    until: Instant,
}

impl Live {
    pub(crate) fn start(
        node: Node,
        what: String,
        mut command: Command,
        deadline: Duration,
    ) -> Self {
        let mut child = command.spawn().expect("the node's helper starts");
        let stdin = child.stdin.take();
        let stdout = child
            .stdout
            .take()
            .map(Collected::from_reader)
            .unwrap_or_default();
        let stderr = child
            .stderr
            .take()
            .map(Collected::from_reader)
            .unwrap_or_default();
        let until = Instant::now() + deadline;
        Self {
            what,
            child,
            stdin,
            stdout,
            stderr,
            until,
            _node: node,
        }
    }

    /// The host's process ID of the command.
    ///
    /// # Panics
    /// If it has ended, or does not begin within the deadline.
    pub fn pid(&self) -> u32 {
        let helper = self.child.id();
        let children = format!("/proc/{helper}/task/{helper}/children");
        loop {
            let text = fs::read_to_string(&children).unwrap_or_default();
            if let Some(pid) = text
                .split_whitespace()
                .next()
                .and_then(|pid| pid.parse().ok())
            {
                // Until it executes the command, it is a copy of the helper.
                let executable = |pid| fs::read_link(format!("/proc/{pid}/exe")).ok();
                if executable(pid) != executable(helper) {
                    return pid;
                }
            }
            assert!(Instant::now() < self.until, "{} has no process", self.what);
            thread::sleep(TICK);
        }
    }

    /// The letter of proc(5) for the state of the command.
    pub fn state(&self) -> char {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        let state = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next());
        state.unwrap_or('X')
    }

    /// Sends a signal to the command itself.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).expect("a process ID fits");
        kill(Pid::from_raw(pid), signal).expect("the signal can be sent");
    }

    /// Writes to standard input.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        stdin
            .write_all(bytes.as_ref())
            .expect("the command reads its standard input");
    }

    /// Ends standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    pub(crate) fn write_in_background(&mut self, bytes: Vec<u8>) {
        if let Some(mut stdin) = self.stdin.take() {
            // A command need not read all of it.
            thread::spawn(move || stdin.write_all(&bytes));
        }
    }

    /// Waits until standard output has this text, and gives all of it.
    ///
    /// # Panics
    /// If the deadline passes or the output ends before that.
    pub fn wait_for(&self, text: &str) -> String {
        self.stdout
            .wait_for(text, self.until)
            .unwrap_or_else(|so_far| {
                let stderr = self.stderr.text();
                panic!(
                    "{} did not print {text:?}; stdout: {so_far}\nstderr: {stderr}",
                    self.what
                )
            })
    }

    /// Waits until standard error has this text, and gives all of it.
    ///
    /// # Panics
    /// As [`Live::wait_for`].
    pub fn wait_for_error(&self, text: &str) -> String {
        self.stderr
            .wait_for(text, self.until)
            .unwrap_or_else(|so_far| panic!("{} did not say {text:?}: {so_far}", self.what))
    }

    /// What standard output and standard error have so far.
    pub fn so_far(&self) -> (String, String) {
        (self.stdout.text(), self.stderr.text())
    }

    /// The exit code as soon as the command has ended, whoever may still hold its output open.
    ///
    /// # Panics
    /// If the deadline passes before that; the command is killed.
    pub fn wait_exit(&mut self) -> i32 {
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status.code().expect("the node's helper was not killed");
            }
            if Instant::now() >= self.until {
                self.kill();
                let (stdout, stderr) = self.so_far();
                panic!(
                    "{} took too long; stdout: {stdout}\nstderr: {stderr}",
                    self.what
                );
            }
            thread::sleep(TICK);
        }
    }

    /// Ends standard input and waits for the end of the command and of its output.
    ///
    /// # Panics
    /// If the deadline passes before that.
    pub fn wait(mut self) -> Output {
        self.close_stdin();
        let code = self.wait_exit();
        let ended = self.stdout.wait_end(self.until) && self.stderr.wait_end(self.until);
        let (stdout, stderr) = (self.stdout.bytes(), self.stderr.bytes());
        let output = Output {
            stdout,
            stderr,
            code,
        };
        assert!(
            ended,
            "{} ended, but its output is still held open: {output}",
            self.what
        );
        output
    }

    fn kill(&mut self) {
        let helper = self.child.id();
        let children = fs::read_to_string(format!("/proc/{helper}/task/{helper}/children"));
        for child in children.unwrap_or_default().split_whitespace() {
            if let Ok(pid) = child.parse() {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

/// Output as it comes, read by a thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collected(Arc<(Mutex<Content>, Condvar)>);

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    ended: bool,
}

impl Collected {
    pub(crate) fn from_reader(mut reader: impl Read + Send + 'static) -> Self {
        let collected = Self::default();
        let shared = collected.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            loop {
                // A terminal's master says EIO where a pipe says end of file.
                let count = reader.read(&mut buffer).unwrap_or(0);
                let mut content = shared.content();
                content.bytes.extend_from_slice(&buffer[..count]);
                content.ended = count == 0;
                shared.0.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        collected
    }

    fn content(&self) -> std::sync::MutexGuard<'_, Content> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.content().bytes.clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.content().bytes).into_owned()
    }

    /// Waits for a text; gives what there is, as an error if it is not in that.
    pub(crate) fn wait_for(&self, text: &str, until: Instant) -> Result<String, String> {
        self.wait(until, |content| {
            find(&content.bytes, text.as_bytes()) || content.ended
        });
        let found = self.text();
        if find(found.as_bytes(), text.as_bytes()) {
            Ok(found)
        } else {
            Err(found)
        }
    }

    /// Waits for the end; false if the deadline passed before.
    pub(crate) fn wait_end(&self, until: Instant) -> bool {
        self.wait(until, |content| content.ended)
    }

    pub(crate) fn wait_with<T>(
        &self,
        until: Instant,
        mut look: impl FnMut(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let mut found = None;
        self.wait(until, |content| {
            found = look(&content.bytes);
            found.is_some() || content.ended
        });
        found
    }

    fn wait(&self, until: Instant, mut done: impl FnMut(&Content) -> bool) -> bool {
        let mut content = self.content();
        loop {
            if done(&content) {
                return true;
            }
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return false;
            };
            let woken = self.0.1.wait_timeout(content, left);
            content = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn find(bytes: &[u8], text: &[u8]) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text)
}
