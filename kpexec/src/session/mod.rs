//! The client of the session protocol: the user's streams, terminal and signals on one side, frames
//! on the other.
//!
//! One task owns all state; threads read and write the user's streams, which may block at any time.
//! Nothing that comes waits for anything that goes: what is to be sent is kept until there is room.

mod error;
mod input;
mod output;
mod signals;
mod terminal;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};
use std::time::Duration;

use bytes::Bytes;
use cnsenter_protocol::credit::{Allowance, Window};
use cnsenter_protocol::frame::{MAX_DATA, put_data, put_end};
use cnsenter_protocol::times::{LEASE, LONGEST_HOLD, PING_INTERVAL};
use cnsenter_protocol::{
    Control, Decoder, Exit, Failure, FailureKind, Hello, Item, PROTOCOL, SessionId, Signal, Stream,
    exit,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

use crate::error::say;
use crate::request::Io;
use crate::transport::{Duplex, Incoming};
use output::{Outputs, Written};
use signals::{Event, Signals};

pub use error::Error;
pub use terminal::{Terminal, size};

/// The only session of our streams.
const SESSION: SessionId = SessionId(1);

/// How long cnsenter may take to greet: the runtime has to start it on the node.
const HELLO_LIMIT: Duration = Duration::from_secs(30);

/// How long what was said last may take to be written.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// A second SIGINT within this time is for us.
const TWICE: Duration = Duration::from_secs(1);

/// How long the answer to a Hold is waited for before we stop.
const HOLD_LIMIT: Duration = Duration::from_secs(1);

/// What a session needs to know besides its stream.
pub struct Options {
    /// The command's streams.
    pub io: Io,
    /// The payload of the Request frame, if there is one.
    pub supplement: Option<Vec<u8>>,
    /// How long a silent end is believed to be there.
    pub lease: Option<Duration>,
    /// The node, for messages.
    pub node: String,
}

/// The user's streams.
struct Streams {
    stdin: Box<dyn Read + Send>,
    stdout: Box<dyn Write + Send>,
    stderr: Box<dyn Write + Send>,
}

impl Streams {
    fn ours() -> Self {
        Self {
            stdin: Box::new(io::stdin()),
            stdout: output::unbuffered_stdout(),
            stderr: Box::new(io::stderr()),
        }
    }
}

/// How a session ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// The command ended.
    Exit(Exit),
    /// A signal for us, by its number.
    Interrupted(i32),
    /// Nobody reads our stdout any more.
    NoReader,
}

/// Runs the session to its end.
///
/// # Errors
/// When the command was not started, or is lost.
pub async fn run(stream: Duplex, options: Options) -> Result<Ending, Error> {
    let signals = Signals::new(options.io.tty);
    run_with(stream, options, Streams::ours(), signals).await
}

async fn run_with(
    stream: Duplex,
    options: Options,
    streams: Streams,
    signals: Signals,
) -> Result<Ending, Error> {
    let mut session = Session::new(stream, options, streams, signals);
    let ending = match session.greet().await {
        // A quick command has ended by then.
        Ok(Some(exit)) => Ok(Ending::Exit(exit)),
        Ok(None) => session.serve().await,
        Err(error) => Err(error),
    };
    session.close(ending).await
}

/// A piece of stdin that waits for credit.
enum Piece {
    Data(Bytes),
    End,
}

struct Session {
    options: Options,
    incoming: mpsc::Receiver<Incoming>,
    outgoing: Option<mpsc::Sender<Bytes>>,
    writer: tokio::task::JoinHandle<()>,
    decoder: Decoder,
    /// Control frames that are to be sent; they go before any data.
    control: Vec<u8>,
    /// stdin, until it is read.
    stdin: Option<Box<dyn Read + Send>>,
    /// stdin, once it is read and while it is open.
    input: Option<mpsc::Receiver<io::Result<Bytes>>>,
    piece: Option<Piece>,
    allowance: Allowance,
    outputs: Outputs,
    windows: [Window; 2],
    terminal: Option<Terminal>,
    signals: Signals,
    begin: Instant,
    /// When something came last.
    heard: Instant,
    /// The round trip's time, once it is known, and the Ping that measures it.
    delay: Option<Duration>,
    ping: (u64, Instant),
    /// Stop ourselves at the Pong of this Ping, or at this time.
    stop_at: Option<(u64, Instant)>,
    interrupted: Option<Instant>,
    hello: Option<Hello>,
    pid: Option<u32>,
}

impl Session {
    fn new(stream: Duplex, options: Options, streams: Streams, signals: Signals) -> Self {
        let begin = Instant::now();
        Self {
            stdin: Some(streams.stdin),
            signals,
            options,
            incoming: stream.incoming,
            outgoing: Some(stream.outgoing),
            writer: stream.writer,
            decoder: Decoder::of_client(),
            control: Vec::new(),
            input: None,
            piece: None,
            allowance: Allowance::default(),
            outputs: Outputs::start(streams.stdout, streams.stderr),
            windows: [Window::new(Duration::ZERO), Window::new(Duration::ZERO)],
            terminal: None,
            begin,
            heard: begin,
            delay: None,
            ping: (0, begin),
            stop_at: None,
            interrupted: None,
            hello: None,
            pid: None,
        }
    }

    /// Waits for Hello, and says what was kept until then. The Exit, if that has come as well.
    async fn greet(&mut self) -> Result<Option<Exit>, Error> {
        let until = Instant::now() + HELLO_LIMIT;
        while self.hello.is_none() {
            tokio::select! {
                item = timeout_at(until, self.incoming.recv()) => match item {
                    Ok(item) => {
                        if let Some(exit) = self.receive(item)? {
                            return Ok(Some(exit));
                        }
                    }
                    Err(_) => return Err(self.no_hello(Some("it took too long".to_owned()))),
                },
                event = self.signals.next() => match event {
                    Event::End(signal) => return Err(Error::Interrupted(signal)),
                    Event::Forward(signal) => return Err(Error::Interrupted(signal.number())),
                    Event::Resize | Event::Stop => {}
                },
            }
        }
        if let Some(payload) = self.options.supplement.take() {
            self.put(&Control::Request(payload));
        }
        if self.options.io.tty {
            self.terminal = Some(Terminal::raw().map_err(Error::Terminal)?);
            self.resize();
        }
        if self.options.io.stdin {
            self.input = self.stdin.take().map(input::read);
        }
        self.send_ping();
        Ok(None)
    }

    /// The loop between Hello and the end.
    async fn serve(&mut self) -> Result<Ending, Error> {
        let lease = self.options.lease.unwrap_or(LEASE);
        let mut ticks = interval(PING_INTERVAL.min(lease / 4).max(Duration::from_millis(100)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let outgoing = self.outgoing.clone();
            let has_room = async {
                match &outgoing {
                    Some(outgoing) => outgoing.reserve().await,
                    None => std::future::pending().await,
                }
            };
            let next_input = async {
                match &mut self.input {
                    Some(input) => input.recv().await,
                    None => std::future::pending().await,
                }
            };
            let stop = self
                .stop_at
                .map_or_else(|| Instant::now() + LONGEST_HOLD, |(_, at)| at);
            let sendable = !self.control.is_empty()
                || match &self.piece {
                    Some(Piece::Data(_)) => self.allowance.left() > 0,
                    Some(Piece::End) => true,
                    None => false,
                };
            tokio::select! {
                item = self.incoming.recv() => {
                    if let Some(exit) = self.receive(item)? {
                        return Ok(Ending::Exit(exit));
                    }
                }
                room = has_room, if sendable => match room {
                    Ok(room) => room.send(self.next_to_send()),
                    // Why is for the reader to say.
                    Err(_) => self.outgoing = None,
                },
                chunk = next_input, if self.piece.is_none() => self.took_input(chunk),
                written = self.outputs.written.recv() => {
                    if let Some(ending) = written.map(|w| self.wrote(w)).transpose()?.flatten() {
                        return Ok(ending);
                    }
                }
                event = self.signals.next() => {
                    if let Some(ending) = self.signalled(event) {
                        return Ok(ending);
                    }
                }
                _ = tokio::time::sleep_until(stop), if self.stop_at.is_some() => self.stop(),
                _ = ticks.tick() => {
                    if self.heard.elapsed() > lease {
                        return Err(self.lost(Some(format!("it was silent for {}", humantime::format_duration(lease)))));
                    }
                    self.send_ping();
                }
            }
        }
    }

    /// Writes what has come, says goodbye, and restores the terminal.
    async fn close(mut self, ending: Result<Ending, Error>) -> Result<Ending, Error> {
        if matches!(ending, Ok(Ending::Exit(_)) | Err(Error::Failed(_))) {
            self.put(&Control::Ack);
        }
        if let Some(outgoing) = self.outgoing.take() {
            let words = Bytes::from(std::mem::take(&mut self.control));
            let _ = timeout(CLOSE_LIMIT, async {
                if !words.is_empty() {
                    let _ = outgoing.send(words).await;
                }
                drop(outgoing);
                // Nobody is to wait for what the other end still says.
                self.incoming.close();
                let _ = self.writer.await;
            })
            .await;
        }
        let failed = self
            .outputs
            .finish(matches!(
                ending,
                Ok(Ending::NoReader | Ending::Interrupted(_))
            ))
            .await;
        drop(self.terminal);
        match (ending, failed) {
            (Ok(Ending::Exit(_)), Some(error)) => output_failed(error),
            (ending, _) => ending,
        }
    }

    fn put(&mut self, message: &Control) {
        let session = match message {
            Control::Ping(_) | Control::Pong(_) | Control::Hold(_) => SessionId::STREAM,
            _ => SESSION,
        };
        message.put(&mut self.control, session);
    }

    fn send_ping(&mut self) {
        self.ping = (self.ping.0 + 1, Instant::now());
        self.put(&Control::Ping(self.ping.0));
    }

    fn resize(&mut self) {
        if let Some(size) = size() {
            self.put(&Control::Resize(size));
        }
    }

    /// Control frames first; else as much of stdin as there is credit for.
    fn next_to_send(&mut self) -> Bytes {
        if !self.control.is_empty() {
            return std::mem::take(&mut self.control).into();
        }
        let mut frame = Vec::new();
        match self.piece.take() {
            Some(Piece::Data(mut bytes)) => {
                let now = bytes.split_to(bytes.len().min(self.allowance.left()).min(MAX_DATA));
                self.allowance.spend(now.len());
                put_data(&mut frame, SESSION, Stream::Stdin, &now);
                self.piece = (!bytes.is_empty()).then_some(Piece::Data(bytes));
            }
            Some(Piece::End) => put_end(&mut frame, SESSION, Stream::Stdin),
            None => {}
        }
        frame.into()
    }

    fn took_input(&mut self, chunk: Option<io::Result<Bytes>>) {
        self.piece = Some(match chunk {
            Some(Ok(bytes)) => Piece::Data(bytes),
            ended => {
                if let Some(Err(error)) = ended {
                    self.tell(&format!("kpexec: cannot read stdin any more: {error}"));
                }
                self.input = None;
                Piece::End
            }
        });
    }

    /// A line for the user, also where the terminal is raw.
    fn tell(&self, text: &str) {
        match &self.terminal {
            Some(_) => say(text.replace('\n', "\r\n") + "\r"),
            None => say(text),
        }
    }

    /// Takes what came; the Exit, if that is it.
    fn receive(&mut self, item: Option<Incoming>) -> Result<Option<Exit>, Error> {
        self.heard = Instant::now();
        match item {
            Some(Incoming::Stream(bytes)) => self.decode(&bytes),
            Some(Incoming::Diagnostics(bytes)) => {
                self.tell(String::from_utf8_lossy(&bytes).trim_end());
                Ok(None)
            }
            Some(Incoming::End(reason)) => Err(self.lost(reason)),
            None => Err(self.lost(None)),
        }
    }

    fn decode(&mut self, bytes: &Bytes) -> Result<Option<Exit>, Error> {
        let mut rest: &[u8] = bytes;
        loop {
            // The decoder borrows what it gives; it is taken out for that time.
            let mut decoder = std::mem::replace(&mut self.decoder, Decoder::of_server());
            let item = decoder.next(&mut rest);
            let taken = match item {
                Ok(Some(Item::Data {
                    session: SESSION,
                    stream: Stream::Stdin,
                    end: true,
                    ..
                })) => {
                    // The command does not read any more.
                    self.input = None;
                    self.piece = None;
                    Ok(Some(None))
                }
                Ok(Some(Item::Data {
                    session: SESSION,
                    stream,
                    bytes: part,
                    ..
                })) => self
                    .take_data(stream, bytes.slice_ref(part))
                    .map(|()| Some(None)),
                Ok(Some(Item::Data { session, .. })) => {
                    Err(Error::Protocol(format!("data of {session} came")))
                }
                Ok(Some(Item::Control {
                    session: _,
                    message,
                })) => self.control(message).map(Some),
                Ok(None) => Ok(None),
                Err(error) => Err(Error::Protocol(error.to_string())),
            };
            self.decoder = decoder;
            match taken? {
                None => return Ok(None),
                Some(Some(exit)) => return Ok(Some(exit)),
                Some(None) => {}
            }
        }
    }

    fn take_data(&mut self, stream: Stream, bytes: Bytes) -> Result<(), Error> {
        let window = self.window(stream)?;
        window
            .receive(bytes.len())
            .map_err(|error| Error::Protocol(error.to_string()))?;
        if !bytes.is_empty() {
            self.outputs.write(stream, bytes);
        }
        Ok(())
    }

    fn window(&mut self, stream: Stream) -> Result<&mut Window, Error> {
        match stream {
            Stream::Stdout => Ok(&mut self.windows[0]),
            Stream::Stderr => Ok(&mut self.windows[1]),
            Stream::Stdin => Err(Error::Protocol("stdin came from the node".to_owned())),
        }
    }

    fn control(&mut self, message: Control) -> Result<Option<Exit>, Error> {
        match message {
            Control::Hello(hello) => {
                if !(hello.oldest..=hello.newest).contains(&PROTOCOL) {
                    return Err(Error::Version(hello));
                }
                self.hello = Some(hello);
            }
            Control::Credit {
                stream: Stream::Stdin,
                bytes,
            } => {
                let granted = self.allowance.grant(bytes);
                granted.map_err(|error| Error::Protocol(error.to_string()))?;
            }
            Control::Ping(number) => self.put(&Control::Pong(number)),
            Control::Pong(number) => self.ponged(number),
            Control::Started { pid } => self.pid = Some(pid),
            Control::Exit(exit) => return Ok(Some(exit)),
            Control::Error(failure) => return Err(self.failed(failure)),
            // A later version's.
            Control::Hold(_) | Control::Ack => {}
            other => {
                return Err(Error::Protocol(format!(
                    "{} came from the node",
                    other.name()
                )));
            }
        }
        Ok(None)
    }

    fn ponged(&mut self, number: u64) {
        if number == self.ping.0 {
            self.delay = Some(self.ping.1.elapsed());
        }
        if self.stop_at.is_some_and(|(expected, _)| expected == number) {
            self.stop();
        }
    }

    fn failed(&self, failure: Failure) -> Error {
        match failure.kind {
            FailureKind::Lost => self.lost(Some(failure.message)),
            _ => Error::Failed(failure),
        }
    }

    /// Output was written: there is room for more.
    fn wrote(&mut self, written: Written) -> Result<Option<Ending>, Error> {
        let Written {
            stream,
            bytes,
            result,
        } = written;
        match result {
            Err(error) if stream == Stream::Stdout => return output_failed(error).map(Some),
            // Nobody reads our stderr; the command need not know.
            _ => {}
        }
        let (now, delay) = (self.begin.elapsed(), self.delay);
        let window = self.window(stream)?;
        window.release(bytes);
        if let Some(bytes) = window.due(now, delay) {
            self.put(&Control::Credit { stream, bytes });
        }
        Ok(None)
    }

    fn signalled(&mut self, event: Event) -> Option<Ending> {
        match event {
            Event::Forward(Signal::Int) => {
                let now = Instant::now();
                let last = self.interrupted.replace(now);
                if last.is_some_and(|last| now - last < TWICE) {
                    return Some(Ending::Interrupted(Signal::Int.number()));
                }
                self.put(&Control::Signal(Signal::Int));
            }
            Event::Forward(signal) => self.put(&Control::Signal(signal)),
            Event::Resize => self.resize(),
            Event::End(signal) => return Some(Ending::Interrupted(signal)),
            Event::Stop => {
                // The node is asked to wait for us; once it has heard that, we stop.
                self.put(&Control::Hold(LONGEST_HOLD));
                self.send_ping();
                self.stop_at = Some((self.ping.0, Instant::now() + HOLD_LIMIT));
            }
        }
        None
    }

    /// Stops this process, as it was told; what follows is after it was continued.
    fn stop(&mut self) {
        self.stop_at = None;
        let was_raw = self.terminal.take().is_some();
        signals::stop_ourselves();
        if was_raw {
            self.terminal = Terminal::raw().ok();
            self.resize();
        }
        self.heard = Instant::now();
        self.send_ping();
    }

    fn no_hello(&self, reason: Option<String>) -> Error {
        let noise = String::from_utf8_lossy(self.decoder.noise())
            .trim()
            .to_owned();
        let words = [reason, Some(noise).filter(|noise| !noise.is_empty())];
        let words: Vec<_> = words.into_iter().flatten().collect();
        Error::NoHello {
            node: self.options.node.clone(),
            reason: words.join("; "),
        }
    }

    /// The stream is over, and the command has not ended: what is known of it.
    fn lost(&self, reason: Option<String>) -> Error {
        if self.hello.is_none() {
            return self.no_hello(reason);
        }
        Error::Lost {
            node: self.options.node.clone(),
            reason: reason.unwrap_or_else(|| "the connection was closed".to_owned()),
            pid: self.pid,
            lease: self.options.lease.unwrap_or(LEASE),
        }
    }
}

/// What a closed pipe does to a program, and what a full disk does.
fn output_failed(error: io::Error) -> Result<Ending, Error> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(Ending::NoReader),
        _ => Err(Error::Output(error)),
    }
}

impl Ending {
    /// The exit code that tells it.
    #[must_use]
    pub fn code(&self) -> u8 {
        const PIPE: i32 = 13;
        match self {
            Self::Exit(exit) => exit.code,
            Self::Interrupted(signal) => exit::of_signal(*signal),
            Self::NoReader => exit::of_signal(PIPE),
        }
    }
}
