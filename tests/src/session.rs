//! The other end of `cnsenter session`: a small client on a node, which tests drive step by step.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use cnsenter_protocol::control::{Control, Exit, Failure, Hello};
use cnsenter_protocol::credit::Allowance;
use cnsenter_protocol::{Decoder, Item, PREAMBLE, Request, SessionId, Stream, frame};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::live::Collected;
use crate::{Cmd, Node};

/// How long a test waits for the next frame.
const PATIENCE: Duration = Duration::from_secs(60);

/// What has come from cnsenter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Output of a session, or the end of a stream as its writer or reader tells it.
    Data {
        /// Of which session.
        session: u16,
        /// Which stream.
        stream: Stream,
        /// The bytes.
        bytes: Vec<u8>,
        /// Whether it ended.
        end: bool,
    },
    /// A message, with its session.
    Control(u16, Control),
    /// The stream's end; of its frames it says whether they were all whole.
    End(bool),
}

/// What became of one session.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// How it ended, or why it did not.
    pub result: Option<Result<Exit, Failure>>,
}

impl Ending {
    /// The exit code.
    ///
    /// # Panics
    /// If the command was not run, or lost.
    pub fn code(&self) -> u8 {
        match &self.result {
            Some(Ok(exit)) => exit.code,
            other => panic!("no exit code: {other:?}, stderr: {}", self.err()),
        }
    }

    /// Why there is no exit code.
    ///
    /// # Panics
    /// If there is one.
    pub fn failure(&self) -> &Failure {
        match &self.result {
            Some(Err(failure)) => failure,
            other => panic!("no failure: {other:?}"),
        }
    }

    /// Standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// A stream to `cnsenter session` on a node. Dropped, it is closed, and cnsenter killed.
#[derive(Debug)]
pub struct SessionClient {
    /// The node must not end before.
    _node: Node,
    child: Child,
    stdin: Option<ChildStdin>,
    events: Receiver<Event>,
    diagnostics: Collected,
    kept: VecDeque<Event>,
    allowances: HashMap<u16, Allowance>,
    /// What came for sessions that nobody has asked for yet.
    endings: HashMap<u16, Ending>,
    /// Whether credit is given for what has come.
    pub gives_credit: bool,
}

impl SessionClient {
    /// Asks for this request, and sends its Request frame if it has one.
    ///
    /// # Panics
    /// If the request cannot be encoded, or cnsenter does not greet.
    pub fn start(node: &Node, request: &Request) -> Self {
        let encoded = request.encode().expect("the request can be encoded");
        let mut client = Self::with_words(node, &encoded.words);
        if let Some(payload) = encoded.supplement {
            client.send(1, &Control::Request(payload));
        }
        client
    }

    /// Runs cnsenter with these words, and waits for its greeting.
    ///
    /// # Panics
    /// If there is none.
    pub fn with_words<S: AsRef<str>>(node: &Node, words: &[S]) -> Self {
        let words = words.iter().map(|word| word.as_ref().to_owned());
        Self::of(&node.cnsenter(words), node)
    }

    /// Runs a command that becomes cnsenter, and waits for its greeting.
    ///
    /// # Panics
    /// If there is none.
    pub fn of(command: &Cmd, node: &Node) -> Self {
        let mut command = command.command();
        let pipe = Stdio::piped;
        command.stdin(pipe()).stdout(pipe()).stderr(pipe());
        let mut child = command.spawn().expect("the node's helper starts");
        let stdout = child.stdout.take().expect("it is a pipe");
        let stderr = child.stderr.take().expect("it is a pipe");
        let mut client = Self {
            _node: node.clone(),
            stdin: child.stdin.take(),
            child,
            events: read_events(stdout),
            diagnostics: Collected::from_reader(stderr),
            kept: VecDeque::new(),
            allowances: HashMap::new(),
            endings: HashMap::new(),
            gives_credit: true,
        };
        match client.receive() {
            Event::Control(0, Control::Hello(_)) => client,
            other => panic!("no Hello but {other:?}: {}", client.diagnostics.text()),
        }
    }

    /// The process ID of cnsenter on the host.
    pub fn pid(&self) -> u32 {
        let helper = self.child.id();
        let children = format!("/proc/{helper}/task/{helper}/children");
        let text = std::fs::read_to_string(children).unwrap_or_default();
        let pid = text
            .split_whitespace()
            .next()
            .and_then(|pid| pid.parse().ok());
        pid.expect("cnsenter runs")
    }

    /// Sends a message.
    pub fn send(&mut self, session: u16, message: &Control) {
        let mut bytes = Vec::new();
        message.put(&mut bytes, SessionId(session));
        self.send_raw(&bytes);
    }

    /// Sends bytes as they are. That cnsenter may be gone is for the test to see in its events.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("the stream is open");
        let _ = stdin.write_all(bytes);
    }

    /// Writes to a command's stdin, as credit allows.
    pub fn write(&mut self, session: u16, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let left = self.allowances.entry(session).or_default().left();
            if left == 0 {
                let event = self.receive_one();
                self.kept.extend(event);
                continue;
            }
            let (now, rest) = bytes.split_at(left.min(bytes.len()).min(frame::MAX_DATA));
            bytes = rest;
            self.allowances.entry(session).or_default().spend(now.len());
            let mut wire = Vec::with_capacity(now.len() + frame::HEADER);
            frame::put_data(&mut wire, SessionId(session), Stream::Stdin, now);
            self.send_raw(&wire);
        }
    }

    /// Ends a command's stdin, or says that one of its outputs is not read any more.
    pub fn end(&mut self, session: u16, stream: Stream) {
        let mut wire = Vec::new();
        frame::put_end(&mut wire, SessionId(session), stream);
        self.send_raw(&wire);
    }

    /// Closes the stream as a client that is gone does.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    /// The next thing that is no Ping and no Credit; those are answered and heeded.
    ///
    /// # Panics
    /// If nothing comes for a minute.
    pub fn next_event(&mut self) -> Event {
        match self.kept.pop_front() {
            Some(event) => event,
            None => self.receive(),
        }
    }

    fn receive(&mut self) -> Event {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(event) = self.receive_one() {
                return event;
            }
            assert!(Instant::now() < until, "nothing comes but Pings");
        }
    }

    /// One thing; None if it was a Ping or Credit.
    fn receive_one(&mut self) -> Option<Event> {
        let event = match self.events.recv_timeout(PATIENCE) {
            Ok(event) => event,
            Err(RecvTimeoutError::Disconnected) => Event::End(true),
            Err(RecvTimeoutError::Timeout) => {
                panic!("nothing comes; stderr: {}", self.diagnostics.text())
            }
        };
        let listens = self.stdin.is_some();
        match &event {
            Event::Control(0, Control::Ping(number)) => {
                let pong = Control::Pong(*number);
                listens.then(|| self.send(0, &pong));
                return None;
            }
            Event::Control(session, Control::Credit { bytes, .. }) => {
                let allowance = self.allowances.entry(*session).or_default();
                let granted = allowance.grant(*bytes);
                granted.expect("cnsenter gives no credit that it has not");
                return None;
            }
            Event::Data {
                session,
                stream,
                bytes,
                ..
            } if self.gives_credit && listens && !bytes.is_empty() => {
                self.give_credit(*session, *stream, bytes.len());
            }
            _ => {}
        }
        Some(event)
    }

    /// Lets cnsenter send that many bytes more.
    pub fn give_credit(&mut self, session: u16, stream: Stream, bytes: usize) {
        let bytes = u32::try_from(bytes).expect("no window is that large");
        self.send(session, &Control::Credit { stream, bytes });
    }

    /// Waits until the command runs; its process ID on the node. What cnsenter has to say before
    /// that is on the session's stderr.
    ///
    /// # Panics
    /// If it does not run.
    pub fn wait_started(&mut self, session: u16) -> u32 {
        loop {
            match self.next_event() {
                Event::Control(which, Control::Started { pid }) if which == session => return pid,
                event => self.note(event),
            }
        }
    }

    /// Waits until a session's stdout has this text; all of it so far.
    ///
    /// # Panics
    /// If it ends before that.
    pub fn wait_for(&mut self, session: u16, text: &str) -> String {
        loop {
            let ending = self.endings.entry(session).or_default();
            let out = ending.out();
            if out.contains(text) {
                return out;
            }
            assert!(
                ending.result.is_none(),
                "no {text:?} in {out:?}: {ending:?}"
            );
            self.step();
        }
    }

    /// Waits for a session's end, and acknowledges it.
    pub fn wait(&mut self, session: u16) -> Ending {
        loop {
            if self
                .endings
                .get(&session)
                .is_some_and(|ending| ending.result.is_some())
            {
                self.send(session, &Control::Ack);
                return self.endings.remove(&session).unwrap_or_default();
            }
            self.step();
        }
    }

    fn step(&mut self) {
        let event = self.next_event();
        self.note(event);
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Data {
                session,
                stream,
                bytes,
                ..
            } => {
                let ending = self.endings.entry(session).or_default();
                match stream {
                    Stream::Stdout => ending.stdout.extend(bytes),
                    Stream::Stderr => ending.stderr.extend(bytes),
                    Stream::Stdin => {}
                }
            }
            Event::Control(session, Control::Exit(exit)) => {
                self.endings.entry(session).or_default().result = Some(Ok(exit));
            }
            Event::Control(session, Control::Error(failure)) if session != 0 => {
                self.endings.entry(session).or_default().result = Some(Err(failure));
            }
            Event::Control(_, Control::Started { .. }) => {}
            other => panic!("{other:?} came; stderr: {}", self.diagnostics.text()),
        }
    }

    /// Waits for the failure of the whole stream.
    ///
    /// # Panics
    /// If it does not fail.
    pub fn wait_failure(&mut self) -> Failure {
        loop {
            match self.next_event() {
                Event::Control(0, Control::Error(failure)) => return failure,
                Event::End(_) => panic!("it ended without an Error: {}", self.diagnostics.text()),
                _ => {}
            }
        }
    }

    /// Waits until cnsenter has ended; its exit code.
    ///
    /// # Panics
    /// If it does not, or not with whole frames.
    pub fn wait_end(&mut self) -> i32 {
        loop {
            if let Event::End(whole) = self.next_event() {
                assert!(whole, "the stream ended within a frame");
                break;
            }
        }
        let status = self.child.wait().expect("a child can be waited for");
        status.code().expect("the node's helper was not killed")
    }

    /// What cnsenter itself wrote to its stderr.
    pub fn diagnostics(&self) -> String {
        self.diagnostics.text()
    }
}

impl Drop for SessionClient {
    fn drop(&mut self) {
        self.stdin = None;
        if matches!(self.child.try_wait(), Ok(None)) {
            let helper = self.child.id();
            let children =
                std::fs::read_to_string(format!("/proc/{helper}/task/{helper}/children"));
            for child in children.unwrap_or_default().split_whitespace() {
                if let Ok(pid) = child.parse() {
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
            }
            let _ = self.child.wait();
        }
    }
}

/// Reads all that comes, however much: the test decides what is asked for.
fn read_events(mut stream: impl Read + Send + 'static) -> Receiver<Event> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut decoder = Decoder::of_client();
        let mut buffer = vec![0; 256 << 10];
        loop {
            let count = stream.read(&mut buffer).unwrap_or(0);
            if count == 0 {
                let _ = sender.send(Event::End(decoder.finish().is_ok()));
                return;
            }
            let mut input = &buffer[..count];
            while let Some(item) = decoder.next(&mut input).expect("cnsenter sends frames") {
                let event = match item {
                    Item::Data {
                        session,
                        stream,
                        bytes,
                        end,
                    } => Event::Data {
                        session: session.0,
                        stream,
                        bytes: bytes.to_vec(),
                        end,
                    },
                    Item::Control { session, message } => Event::Control(session.0, message),
                };
                if sender.send(event).is_err() {
                    return;
                }
            }
        }
    });
    receiver
}

/// What a cnsenter 9.9.9 greets with that speaks these protocols.
pub fn hello_of(oldest: u32, newest: u32) -> Vec<u8> {
    let mut hello = PREAMBLE.to_vec();
    let version = "9.9.9".to_owned();
    let message = Control::Hello(Hello {
        oldest,
        newest,
        version,
    });
    message.put(&mut hello, SessionId::STREAM);
    hello
}
