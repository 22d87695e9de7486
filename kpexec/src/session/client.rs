//! One session: the loop that serves it, from Hello to the end.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use cnsenter_protocol::times::LONGEST_HOLD;
use cnsenter_protocol::{Control, Decoder, Exit, Signal, Stream};
use futures_util::stream::{BoxStream, StreamExt, empty};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout, timeout_at};

use super::input::{Input, Source};
use super::outbox::Outbox;
use super::output::{Outputs, Written};
use super::pulse::Pulse;
use super::signals::{self, Event, Signals};
use super::silence::{self, Silence, Step};
use super::terminal::{self, Terminal};
use super::{Ending, Error, Options, Streams};
use crate::stderr::say;
use crate::transport::{Duplex, Incoming};

/// How long cnsenter may take to greet: the runtime has to start it on the node.
const HELLO_LIMIT: Duration = Duration::from_secs(30);

/// After how long of it the user is told.
const HELLO_PATIENCE: Duration = Duration::from_secs(5);

/// How long what was said last may take to be written.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// After how long without a command Ctrl-C is for us.
const START_PATIENCE: Duration = Duration::from_secs(3);

/// The key, as a raw terminal gives it.
const CTRL_C: u8 = 3;

/// The same signal once more within this time is for us.
const TWICE: Duration = Duration::from_secs(1);

/// How long the answer to a Hold is waited for before we stop.
const HOLD_LIMIT: Duration = Duration::from_secs(1);

/// What is known of a session; [`super::incoming`] has what comes of what comes.
pub(super) struct Session {
    pub(super) options: Options,
    pub(super) decoder: Decoder,
    pub(super) outbox: Outbox,
    pub(super) outputs: Outputs,
    pub(super) pulse: Pulse,
    /// stdin, once it is read and while it is open.
    pub(super) input: Option<Input>,
    /// When the other end's Hello came.
    pub(super) greeted: Option<Instant>,
    /// The command's process ID on the node, once it runs.
    pub(super) pid: Option<u32>,
    /// Stop ourselves at the Pong of this Ping, or at this time.
    pub(super) stop_at: Option<(u64, Instant)>,
    incoming: BoxStream<'static, Incoming>,
    outgoing: Option<mpsc::Sender<Bytes>>,
    writer: tokio::task::JoinHandle<()>,
    /// stdin, until it is read.
    stdin: Option<Source>,
    terminal: Option<Terminal>,
    signals: Signals,
    /// Signals for the command that came before Hello, and end nobody's waiting for it.
    early: Vec<Signal>,
    interrupted: Option<(Signal, Instant)>,
    silence: Silence,
}

impl Session {
    pub(super) fn new(
        stream: Duplex,
        options: Options,
        streams: Streams,
        signals: Signals,
    ) -> Self {
        Self {
            pulse: Pulse::new(options.lease),
            options,
            decoder: Decoder::of_client(),
            outbox: Outbox::default(),
            outputs: Outputs::start(streams.stdout, streams.screen, streams.stderr),
            input: None,
            greeted: None,
            pid: None,
            stop_at: None,
            incoming: stream.incoming,
            outgoing: Some(stream.outgoing),
            writer: stream.writer,
            stdin: Some(streams.stdin),
            terminal: None,
            signals,
            early: Vec::new(),
            interrupted: None,
            silence: Silence::default(),
        }
    }

    /// Waits for Hello. The Exit, if that has come as well.
    pub(super) async fn greet(&mut self) -> Result<Option<Exit>, Error> {
        let begun = Instant::now();
        let until = begun + HELLO_LIMIT;
        let mut is_told = false;
        while self.greeted.is_none() {
            tokio::select! {
                item = timeout_at(until, self.incoming.next()) => match item {
                    Ok(item) => {
                        if let Some(exit) = self.receive(item)? {
                            return Ok(Some(exit));
                        }
                    }
                    Err(_) => {
                        let limit = humantime::format_duration(HELLO_LIMIT);
                        let reason = format!("cnsenter did not answer within {limit}");
                        return Err(self.lost(reason));
                    }
                },
                () = sleep_until(begun + HELLO_PATIENCE), if !is_told => {
                    is_told = true;
                    self.tell_of_no_hello();
                }
                event = self.signals.next() => match event {
                    Event::End(signal) => return Err(Error::Interrupted(signal)),
                    Event::Forward(signal @ (Signal::Usr1 | Signal::Usr2 | Signal::Winch)) => {
                        self.early.push(signal);
                    }
                    Event::Forward(signal) => return Err(Error::Interrupted(signal.number())),
                    Event::Resize | Event::Stop => {}
                },
            }
        }
        Ok(None)
    }

    /// A node may be that slow, or its runtime, or cnsenter there, may hang.
    fn tell_of_no_hello(&self) {
        self.options.report.note(&format!(
            "node {} was asked to start cnsenter, and has not answered for {}; it is given {} (Ctrl-C \
             ends this)",
            self.options.node,
            humantime::format_duration(HELLO_PATIENCE),
            humantime::format_duration(HELLO_LIMIT),
        ));
    }

    /// Says what was kept until Hello, before anything that comes after it is taken: on a terminal,
    /// not a byte may be written before that is raw.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        self.greeted = Some(Instant::now());
        self.options.report.end();
        if let Some(payload) = self.options.supplement.take() {
            self.outbox.put(&Control::Request(payload));
        }
        for signal in self.early.drain(..) {
            self.outbox.put(&Control::Signal(signal));
        }
        if self.options.io.tty {
            self.terminal = Some(Terminal::raw().map_err(Error::Terminal)?);
            self.resize();
        }
        if self.options.io.stdin {
            self.input = self.stdin.take().map(Input::start);
        }
        self.ping();
        Ok(())
    }

    /// The loop between Hello and the end.
    pub(super) async fn serve(&mut self) -> Result<Ending, Error> {
        let mut ticks = interval(self.pulse.interval());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = interval(silence::INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.send() {
                // A key is on its way before everything else is looked at.
                yield_now().await;
            }
            let outgoing = self.outgoing.clone();
            let has_room = async {
                match &outgoing {
                    Some(outgoing) => outgoing.reserve().await,
                    None => std::future::pending().await,
                }
            };
            let next_input = async {
                match &mut self.input {
                    Some(input) => input.next().await,
                    None => std::future::pending().await,
                }
            };
            let stop = self
                .stop_at
                .map_or_else(|| Instant::now() + LONGEST_HOLD, |(_, at)| at);
            tokio::select! {
                item = self.incoming.next() => {
                    if let Some(exit) = self.receive(item)? {
                        return Ok(Ending::Exit(exit));
                    }
                }
                room = has_room, if self.outbox.is_sendable() => match room {
                    Ok(room) => room.send(self.outbox.next()),
                    // Why is for the reader to say.
                    Err(_) => self.outgoing = None,
                },
                chunk = next_input, if self.outbox.takes_input() => self.took_input(chunk)?,
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
                    if self.pulse.is_gone() {
                        let lease = humantime::format_duration(self.pulse.lease);
                        return Err(self.lost(format!("it was silent for {lease}")));
                    }
                    self.ping();
                }
                _ = looks.tick(), if self.silence.may_be() => self.look_at_silence(),
            }
        }
    }

    /// Sends what there is room for; whether there was anything.
    fn send(&mut self) -> bool {
        let mut has_sent = false;
        while self.outbox.is_sendable()
            && let Some(Ok(room)) = self.outgoing.as_ref().map(mpsc::Sender::try_reserve)
        {
            room.send(self.outbox.next());
            has_sent = true;
        }
        has_sent
    }

    /// Writes what has come, says goodbye, and restores the terminal.
    pub(super) async fn close(mut self, ending: Result<Ending, Error>) -> Result<Ending, Error> {
        if matches!(ending, Ok(Ending::Exit(_)) | Err(Error::Failed(_))) {
            self.outbox.put(&Control::Ack);
        }
        if let Some(outgoing) = self.outgoing.take() {
            let words = self.outbox.control();
            let _ = timeout(CLOSE_LIMIT, async {
                if !words.is_empty() {
                    let _ = outgoing.send(words).await;
                }
                drop(outgoing);
                // Nobody is to wait for what the other end still says.
                self.incoming = empty().boxed();
                let _ = self.writer.await;
            })
            .await;
        }
        let abandon = matches!(ending, Ok(Ending::NoReader | Ending::Interrupted(_)));
        let finished = self.outputs.finish(abandon);
        tokio::pin!(finished);
        let failed = loop {
            tokio::select! {
                failed = &mut finished => break failed,
                // Who reads our output may take as long as it likes: the command hears nothing any more.
                event = self.signals.next() => match event {
                    Event::End(signal) => return Ok(Ending::Interrupted(signal)),
                    Event::Forward(Signal::Usr1 | Signal::Usr2 | Signal::Winch) | Event::Resize => {}
                    Event::Forward(signal) => return Ok(Ending::Interrupted(signal.number())),
                    Event::Stop => signals::stop_ourselves(),
                },
            }
        };
        drop(self.terminal);
        match (ending, failed) {
            (Ok(Ending::Exit(_)), Some(error)) => Ending::of_output(error),
            (ending, _) => ending,
        }
    }

    fn ping(&mut self) {
        let ping = self.pulse.ping();
        self.outbox.put(&ping);
    }

    fn resize(&mut self) {
        if let Some(size) = terminal::size() {
            self.outbox.put(&Control::Resize(size));
        }
    }

    fn took_input(&mut self, chunk: Option<io::Result<Bytes>>) -> Result<(), Error> {
        if let (Some(Ok(keys)), true) = (&chunk, self.terminal.is_some()) {
            if self.silence.typed(keys) {
                let reason = format!("it was given up after {}", self.silent_for());
                return Err(self.lost(reason));
            }
            // No terminal is there yet that would make a signal of it.
            if self.is_stuck() && keys.contains(&CTRL_C) {
                let reason = "it was given up before the command had started".to_owned();
                return Err(self.lost(reason));
            }
        }
        if !matches!(chunk, Some(Ok(_))) {
            self.input = None;
        }
        if let Some(error) = self.outbox.take_input(chunk) {
            self.tell(&format!("kpexec: cannot read stdin any more: {error}"));
        }
        Ok(())
    }

    /// Whoever types and sees nothing is told why.
    fn look_at_silence(&mut self) {
        match self.silence.step() {
            Step::Wait => {}
            Step::Ask => self.ping(),
            Step::Tell => self.tell(&format!(
                "kpexec: node {} has not answered for {}; ~. gives the connection up, else that is done \
                 after {}",
                self.options.node,
                self.silent_for(),
                humantime::format_duration(self.pulse.lease),
            )),
        }
    }

    /// Whether the command should have started by now: what it needs may be on a file system that hangs.
    fn is_stuck(&self) -> bool {
        let waits = self
            .greeted
            .is_some_and(|then| then.elapsed() >= START_PATIENCE);
        waits && self.pid.is_none()
    }

    fn silent_for(&self) -> humantime::FormattedDuration {
        humantime::format_duration(Duration::from_secs(self.silence.length().as_secs()))
    }

    /// Something came.
    pub(super) fn hear(&mut self) {
        self.pulse.hear();
        if self.silence.ends() {
            self.tell(&format!("kpexec: node {} answers again", self.options.node));
        }
    }

    /// A line for the user, also where the terminal is raw.
    pub(super) fn tell(&self, text: &str) {
        match &self.terminal {
            Some(_) => say(text.replace('\n', "\r\n") + "\r"),
            None => self.options.report.say(text),
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
            Err(error) if stream == Stream::Stdout => return Ending::of_output(error).map(Some),
            // Nobody reads our stderr; the command need not know.
            _ => {}
        }
        if let Some(credit) = self.outputs.release(stream, bytes, self.pulse.delay)? {
            self.outbox.put(&credit);
        }
        Ok(None)
    }

    fn signalled(&mut self, event: Event) -> Option<Ending> {
        match event {
            Event::Forward(signal @ (Signal::Int | Signal::Term)) => {
                let now = Instant::now();
                let last = self.interrupted.replace((signal, now));
                if last.is_some_and(|(last, at)| last == signal && now - at < TWICE) {
                    return Some(Ending::Interrupted(signal.number()));
                }
                self.outbox.put(&Control::Signal(signal));
            }
            Event::Forward(signal) => self.outbox.put(&Control::Signal(signal)),
            Event::Resize => self.resize(),
            Event::End(signal) => return Some(Ending::Interrupted(signal)),
            Event::Stop => {
                // The node is asked to wait for us; once it has heard that, we stop.
                self.outbox.put(&Control::Hold(LONGEST_HOLD));
                self.ping();
                self.stop_at = Some((self.pulse.number(), Instant::now() + HOLD_LIMIT));
            }
        }
        None
    }

    /// Stops this process, as it was told; what follows is after it was continued.
    pub(super) fn stop(&mut self) {
        self.stop_at = None;
        let was_raw = self.terminal.take().is_some();
        signals::stop_ourselves();
        if was_raw {
            self.terminal = Terminal::raw().ok();
            self.resize();
        }
        self.pulse.hear();
        self.silence.ends();
        self.ping();
    }
}
