//! The loop that serves one stream: frames in, frames out, and the commands in between.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use cnsenter_protocol::times::{ACK_LIMIT, LEASE, PING_INTERVAL};
use cnsenter_protocol::{
    Argv, Control, Decoder, Hello, Item, PREAMBLE, PROTOCOL, Request, SessionId, Stream as Name,
    exit, request::Error as WordsError,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::command::{Command, Part};
use super::init::Init;
use super::lease::Lease;
use super::outbox::Outbox;
use super::sessions::{Session, Sessions};
use super::{Error, request};
use crate::link::Order;
use crate::supervise::{Direction, Stream};
use crate::sys::process::standard_fds;

/// How much is read at once, in bytes; an idle session has no memory for that.
const BUFFER: usize = 64 << 10;
/// The same before anything fills it.
const FIRST_BUFFER: usize = 4 << 10;
/// Nobody reads our stdout any more.
const GONE: PollFlags = PollFlags::POLLERR.union(PollFlags::POLLHUP);
/// Why the loop ends.
enum Outcome {
    /// The client has all that it wanted.
    Done,
    /// It is gone.
    Gone,
}

/// Which descriptor.
#[derive(Clone, Copy)]
enum Token {
    Input,
    Output,
    Init,
    Command(SessionId, Part),
}

pub(super) struct Server {
    input: Stream<'static>,
    output: Stream<'static>,
    /// What is read into: little, until much comes.
    buffer: Vec<u8>,
    decoder: Decoder,
    outbox: Outbox,
    sessions: Sessions,
    /// The init of the agent's pod, where this runs in one.
    init: Option<Init>,
    /// The words, and the whole request once that is known.
    argv: Option<Argv>,
    request: Option<Request>,
    origin: Instant,
    lease: Lease,
    next_ping: Instant,
    /// The number of the last Ping: when it was sent, in microseconds.
    pinged: Option<u64>,
    /// How long a round trip takes.
    delay: Option<Duration>,
    /// When the last session's end was told.
    told_at: Option<Instant>,
    /// The stream has failed: nothing more is read but its end.
    failed: bool,
}

impl Server {
    pub(super) fn new() -> Result<Self, Error> {
        let [stdin, stdout, _] = standard_fds();
        let mut output =
            Stream::caller(stdout, Direction::Write).map_err(Error::during("use stdout"))?;
        let now = Instant::now();
        Ok(Self {
            input: Stream::caller(stdin, Direction::Read).map_err(Error::during("use stdin"))?,
            outbox: Outbox::to(&mut output),
            output,
            buffer: vec![0; FIRST_BUFFER],
            decoder: Decoder::of_server(),
            sessions: Sessions::default(),
            init: None,
            argv: None,
            request: None,
            origin: now,
            lease: Lease::new(LEASE, now),
            next_ping: now,
            pinged: None,
            delay: None,
            told_at: None,
            failed: false,
        })
    }

    /// Greets, whatever the words may be; then serves what they ask for.
    pub(super) fn run(mut self, words: &[OsString]) -> Result<u8, Error> {
        self.greet();
        let begun = self.begin(words);
        self.unless_failed(begun);
        let outcome = self.serve()?;
        self.sessions.clear_up(&mut self.outbox);
        Ok(match outcome {
            Outcome::Done if !self.failed => 0,
            _ => exit::CANNOT_ENTER,
        })
    }

    fn greet(&mut self) {
        self.outbox.put_raw(&PREAMBLE);
        let hello = Hello {
            oldest: PROTOCOL,
            newest: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.outbox.put(SessionId::STREAM, &Control::Hello(hello));
    }

    fn begin(&mut self, words: &[OsString]) -> Result<(), Error> {
        let words: Option<Vec<&str>> = words.iter().map(|word| word.to_str()).collect();
        let words = words.ok_or(Error::Words(WordsError::NotUtf8))?;
        let argv = Argv::read(&words).map_err(Error::Words)?;
        let request = argv.request();
        // What can be refused is refused before anything is waited for.
        for target in &request.targets {
            request::run_of(request, target)?;
        }
        self.sessions = Sessions::waiting(request.targets.len());
        self.lease = Lease::new(request.lease.unwrap_or(LEASE), Instant::now());
        self.init = request.in_agent.then(Init::of_this_pod).flatten();
        let starts = argv.is_complete();
        self.argv = Some(argv);
        if starts {
            self.start(SessionId(1), &[])?;
        }
        Ok(())
    }

    fn start(&mut self, session: SessionId, payload: &[u8]) -> Result<(), Error> {
        let out_of_order = |what: &str| Error::Order {
            what: what.to_owned(),
            session,
        };
        let Some(argv) = &self.argv else {
            return Err(out_of_order("a Request"));
        };
        let request = match &self.request {
            Some(request) => request,
            None => {
                let request = argv.complete(payload).map_err(Error::Words)?;
                self.request.insert(request)
            }
        };
        let index = usize::from(session.0).wrapping_sub(1);
        let (Some(target), Some(state)) =
            (request.targets.get(index), self.sessions.get_mut(session))
        else {
            let what = "a Request, but the command line names no such target";
            return Err(out_of_order(what));
        };
        if !matches!(state, Session::Waiting) {
            return Err(out_of_order("a second Request"));
        }
        let run = request::run_of(request, target)?;
        let command = Command::start(session, run, self.origin.elapsed())?;
        *state = Session::Running(Box::new(command));
        Ok(())
    }

    fn serve(&mut self) -> Result<Outcome, Error> {
        loop {
            let now = Instant::now();
            self.sessions.go_on(now, &mut self.outbox);
            self.tell(now);
            if !self.failed && self.sessions.all_over() {
                return Ok(Outcome::Done);
            }
            let told_for_long = self.told_at.is_some_and(|at| now >= at + ACK_LIMIT);
            if now >= self.lease.ends() || told_for_long {
                return Ok(Outcome::Gone);
            }
            for (token, found) in self.wait(now)? {
                match token {
                    Token::Input => {
                        if self.read()? {
                            return Ok(Outcome::Gone);
                        }
                    }
                    Token::Output if found.intersects(GONE) => return Ok(Outcome::Gone),
                    // Below.
                    Token::Output => {}
                    Token::Init => self.init.iter_mut().for_each(Init::on_ready),
                    Token::Command(session, part) => {
                        self.sessions
                            .on_ready(session, part, found, &mut self.outbox);
                    }
                }
            }
            if !self.outbox.is_empty() && self.write().is_err() {
                return Ok(Outcome::Gone);
            }
        }
    }

    /// What there is to say by now: ends, credit, Ping.
    fn tell(&mut self, now: Instant) {
        let since = now - self.origin;
        if self.sessions.tell(since, self.delay, &mut self.outbox) {
            self.told_at = Some(now);
        }
        if !self.failed && !self.sessions.all_told() {
            self.told_at = None;
        }
        if now >= self.next_ping && self.outbox.has_room() && !self.failed {
            let number = u64::try_from((now - self.origin).as_micros()).unwrap_or(0);
            self.outbox.put(SessionId::STREAM, &Control::Ping(number));
            self.pinged = Some(number);
            self.next_ping = now + PING_INTERVAL;
        }
    }

    fn wait(&self, now: Instant) -> Result<Vec<(Token, PollFlags)>, Error> {
        let mut next = self.lease.ends();
        if let Some(told) = self.told_at {
            next = next.min(told + ACK_LIMIT);
        }
        if let Some(at) = self.sessions.next() {
            next = next.min(at);
        }
        // Room comes with a write, which is waited for.
        if self.outbox.has_room() && !self.failed {
            next = next.min(self.next_ping);
        }
        let left = next.saturating_duration_since(now);
        // Rounded up, or the last millisecond would be spent in a busy loop.
        let millis = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);

        let mut tokens = vec![Token::Input];
        let mut fds = vec![PollFd::new(self.input.as_fd(), PollFlags::POLLIN)];
        let mut add = |token, fd, events| {
            tokens.push(token);
            fds.push(PollFd::new(fd, events));
        };
        // That nobody reads any more is told in any case.
        let wants = if self.outbox.is_empty() {
            PollFlags::empty()
        } else {
            PollFlags::POLLOUT
        };
        add(Token::Output, self.output.as_fd(), wants);
        if let Some(init) = self.init.as_ref().and_then(Init::interest) {
            add(Token::Init, init, PollFlags::POLLIN);
        }
        let room = self.outbox.has_room();
        for (session, part, fd, events) in self.sessions.interest(room) {
            add(Token::Command(session, part), fd, events);
        }
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(Error::during("wait")(error)),
        }
        let found = fds
            .iter()
            .map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        Ok(tokens
            .into_iter()
            .zip(found)
            .filter(|(_, found)| !found.is_empty())
            .collect())
    }

    fn write(&mut self) -> io::Result<()> {
        let output = &mut self.output;
        self.outbox.flush(output)?;
        if !self.outbox.is_empty() {
            output.grow();
        }
        Ok(())
    }

    /// Reads what has come; whether that was the stream's end.
    fn read(&mut self) -> Result<bool, Error> {
        // Taken out, for what comes of it needs all the rest.
        let mut buffer = std::mem::take(&mut self.buffer);
        let length = match self.input.read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(length) => length,
            Err(nix::Error::EAGAIN) => 0,
            Err(error) => return Err(Error::during("read stdin")(error)),
        };
        if length > 0 && !self.failed {
            self.lease.renew(Instant::now());
            let done = self.take(&buffer[..length]);
            self.unless_failed(done);
        }
        if length == BUFFER {
            self.input.grow();
        } else if length == buffer.len() {
            buffer.resize(BUFFER, 0);
        }
        self.buffer = buffer;
        Ok(false)
    }

    fn take(&mut self, mut input: &[u8]) -> Result<(), Error> {
        while let Some(item) = self.decoder.next(&mut input)? {
            match item {
                Item::Data {
                    session,
                    stream,
                    bytes,
                    end,
                } => self.on_data(session, stream, bytes, end)?,
                Item::Control { session, message } => self.on_control(session, message)?,
            }
        }
        Ok(())
    }

    fn on_data(
        &mut self,
        session: SessionId,
        stream: Name,
        bytes: &[u8],
        end: bool,
    ) -> Result<(), Error> {
        let outbox = &mut self.outbox;
        let state = self.sessions.get_mut(session);
        match (state, stream) {
            (Some(Session::Running(command)), Name::Stdin) if command.takes_input() => command
                .receive(bytes, end, outbox)
                .map_err(|source| Error::Credit { session, source }),
            (Some(Session::Running(command)), Name::Stdout | Name::Stderr)
                if end && bytes.is_empty() =>
            {
                command.close_output(stream);
                Ok(())
            }
            // On its way when the command ended.
            (Some(Session::Told | Session::Abandoned(_)), _) => Ok(()),
            _ => Err(Error::Order {
                what: format!("data of {} that has no place", stream.name()),
                session,
            }),
        }
    }

    fn on_control(&mut self, session: SessionId, message: Control) -> Result<(), Error> {
        let out_of_order = Error::Order {
            what: format!("a {} that has no place", message.name()),
            session,
        };
        if session == SessionId::STREAM {
            match message {
                Control::Ping(number) => self.outbox.answer(number),
                Control::Pong(number) if self.pinged == Some(number) => {
                    let sent = self.origin + Duration::from_micros(number);
                    // The shortest: a longer one has waited behind data.
                    let delay = self.delay.unwrap_or(Duration::MAX);
                    self.delay = Some(delay.min(sent.elapsed()));
                }
                Control::Pong(_) => {}
                Control::Hold(time) => self.lease.hold(time, Instant::now()),
                _ => return Err(out_of_order),
            }
            return Ok(());
        }
        if let Control::Request(payload) = message {
            return self.start(session, &payload);
        }
        let state = self.sessions.get_mut(session);
        match (state, message) {
            (Some(Session::Running(command)), Control::Resize(size)) => {
                command.order(Order::Size(size.rows, size.columns));
            }
            (Some(Session::Running(command)), Control::Signal(signal)) => {
                command.order(Order::Signal(signal.number()));
            }
            (Some(Session::Running(command)), Control::Credit { stream, bytes }) => command
                .grant(stream, bytes)
                .map_err(|source| Error::Credit { session, source })?,
            (Some(state @ (Session::Told | Session::Waiting)), Control::Ack) => {
                *state = Session::Over;
            }
            (Some(state @ Session::Running(_)), Control::Ack) => state.abandon(),
            // On their way when the command ended.
            (
                Some(Session::Told | Session::Abandoned(_)),
                Control::Resize(_) | Control::Signal(_) | Control::Credit { .. },
            ) => {}
            _ => return Err(out_of_order),
        }
        Ok(())
    }

    /// A failure is the stream's: its commands are killed, and the client is told.
    fn unless_failed(&mut self, result: Result<(), Error>) {
        let Err(error) = result else { return };
        self.failed = true;
        self.sessions.abandon();
        self.outbox
            .put(SessionId::STREAM, &Control::Error(error.failure()));
        self.told_at = Some(Instant::now());
    }
}
