//! The loop: whatever happens next, and what is done about it.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::command::Command;
use super::deadline::{Deadline, Due};
use super::flow::{Ended, Flow};
use super::input_end::InputEnd;
use super::pty::Pty;
use super::signals::{ENDING, Received};
use super::stream::{Direction, Kind, PTY_RETRY, Stream};
use super::{Caller, Error, ExitReason, Options, Running, Signals, Streams, Terminal};
use crate::sys::signals::stop_self;
use crate::sys::tty;

pub(super) struct Session<'a> {
    command: Command<'a>,
    signals: Signals,
    deadline: Deadline,
    kill_on_exit: bool,
    input: Option<Flow<'a>>,
    outputs: Vec<(Flow<'a>, &'static str)>,
    pty: Option<Pty>,
    ended: Option<ExitReason>,
    /// Set to leave although the command, or its output, has not ended.
    over: Option<ExitReason>,
    fault: Option<(&'static str, io::Error)>,
    /// Somebody has sent a signal that is to end the run.
    told_to_end: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        running: Running<'a>,
        signals: Signals,
        terminal: Option<Terminal>,
        options: &Options,
        caller: Caller<'a>,
        grace: Duration,
    ) -> Result<Self, Error> {
        let mut session = Self {
            command: Command::new(running.pid, running.group),
            signals,
            deadline: Deadline::new(options.timeout, grace),
            kill_on_exit: options.kill_on_exit,
            input: None,
            outputs: Vec::with_capacity(2),
            pty: None,
            ended: None,
            over: None,
            fault: None,
            told_to_end: false,
        };
        session
            .connect(running.streams, terminal, caller)
            .map_err(|source| Error::System {
                what: "the setup of the streams",
                source,
            })?;
        Ok(session)
    }

    fn connect(
        &mut self,
        streams: Streams,
        terminal: Option<Terminal>,
        caller: Caller<'a>,
    ) -> io::Result<()> {
        let stdin = || Stream::caller(caller.stdin, Direction::Read);
        let stdout = Stream::caller(caller.stdout, Direction::Write)?;
        match streams {
            Streams::Pipes {
                stdin: inner,
                stdout: out,
                stderr: err,
            } => {
                if let Some(inner) = inner {
                    self.input = Some(Flow::new(stdin()?, Stream::own(inner, Direction::Write)?));
                }
                let out = Flow::new(Stream::own(out, Direction::Read)?, stdout);
                self.outputs.push((out, "write to stdout"));
                if let Some(err) = err {
                    let stderr = Stream::caller(caller.stderr, Direction::Write)?;
                    let err = Flow::new(Stream::own(err, Direction::Read)?, stderr);
                    self.outputs.push((err, "write to stderr"));
                }
            }
            Streams::Pty {
                master,
                stdin: reads,
                lent,
            } => {
                let end = |direction| Stream::pty_master(master.try_clone()?, direction);
                if reads && !lent {
                    self.input = Some(Flow::new(stdin()?, end(Direction::Write)?));
                }
                if !lent {
                    let out = Flow::new(end(Direction::Read)?, stdout);
                    self.outputs.push((out, "write to stdout"));
                }
                let keys = reads && terminal.as_ref().is_some_and(Terminal::is_stdin);
                self.pty = Some(Pty {
                    master,
                    terminal,
                    raw: None,
                    keys,
                    waits: true,
                    input_end: None,
                });
            }
        }
        Ok(())
    }

    pub(super) fn run(mut self) -> Result<ExitReason, Error> {
        if let Some(pty) = &mut self.pty {
            pty.take_terminal();
        }
        self.look_for_end()?;
        // Those that came before the start are due now.
        self.take_signals()?;
        while self.over.is_none() && !(self.ended.is_some() && self.outputs.is_empty()) {
            if self.wait_and_relay()? {
                self.take_signals()?;
            }
            self.on_time(Instant::now());
        }
        self.conclude()
    }

    fn take_signals(&mut self) -> Result<(), Error> {
        while let Some(received) = self.signals.next() {
            self.on_received(received)?;
        }
        Ok(())
    }

    /// Waits for the next event; relays if it was one of the streams. Says whether signals came.
    fn wait_and_relay(&mut self) -> Result<bool, Error> {
        let timeout = self.timeout(Instant::now());
        let flows = || self.input.iter().chain(self.outputs.iter().map(|(f, _)| f));
        let mut fds = Vec::with_capacity(8);
        fds.push(PollFd::new(self.signals.as_fd(), PollFlags::POLLIN));
        let guard = self.command.guard_end();
        fds.extend(guard.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        for (fd, events) in flows().flat_map(Flow::interest).flatten() {
            fds.push(PollFd::new(fd, events));
        }
        match poll(&mut fds, timeout) {
            Ok(_) => {}
            Err(nix::Error::EINTR) => return Ok(true),
            Err(error) => {
                return Err(Error::System {
                    what: "poll",
                    source: error.into(),
                });
            }
        }
        // In the order in which they were added.
        let mut results = fds.iter().filter_map(PollFd::revents);
        let mut is_next_ready = || results.next().is_some_and(|revents| !revents.is_empty());
        let signalled = is_next_ready();
        let unguarded = guard.is_some() && is_next_ready();
        let mut ready = [[PollFlags::empty(); 2]; 3];
        for (flow, ready) in flows().zip(&mut ready) {
            for (interest, ready) in flow.interest().iter().zip(ready) {
                if interest.is_some() {
                    *ready = results.next().unwrap_or(PollFlags::empty());
                }
            }
        }
        drop(fds);
        if unguarded {
            self.command.replace_guard();
        }
        self.relay(&ready);
        Ok(signalled)
    }

    fn relay(&mut self, mut ready: &[[PollFlags; 2]]) {
        if let (Some(flow), [[source, sink], rest @ ..]) = (&mut self.input, ready) {
            ready = rest;
            if !source.is_empty()
                && let Some(pty) = &mut self.pty
            {
                pty.take_terminal_if_foreground();
            }
            if let Some(ended) = flow.on_ready(*source, *sink) {
                self.on_input_end(ended);
            }
        }
        // From the last one: an ended one is taken out.
        for (index, [source, sink]) in ready.iter().enumerate().rev() {
            if let Some((flow, _)) = self.outputs.get_mut(index)
                && let Some(ended) = flow.on_ready(*source, *sink)
            {
                self.on_output_end(index, ended);
            }
        }
    }

    fn on_input_end(&mut self, ended: Ended) {
        let Some(flow) = self.input.take() else {
            return;
        };
        match ended {
            Ended::Eof => {
                if let Some(pty) = &mut self.pty {
                    if flow.source_kind() == Kind::Terminal {
                        self.over.get_or_insert(ExitReason::HungUp);
                    } else {
                        pty.input_end = Some(InputEnd::after(flow.last_byte()));
                    }
                }
            }
            Ended::SinkGone | Ended::WriteFault(_) => flow.into_ends().0.release(),
            Ended::ReadFault(error) => {
                self.fault.get_or_insert(("read stdin", error.into()));
            }
        }
    }

    fn on_output_end(&mut self, index: usize, ended: Ended) {
        // Its source is closed: the command's next write fails.
        let (flow, what) = self.outputs.swap_remove(index);
        drop(flow);
        match ended {
            Ended::Eof => {}
            Ended::SinkGone => {
                if self.pty.as_ref().is_some_and(|pty| pty.keys) {
                    self.over.get_or_insert(ExitReason::HungUp);
                }
            }
            Ended::ReadFault(error) => {
                self.fault
                    .get_or_insert(("read the command's output", error.into()));
            }
            Ended::WriteFault(error) => {
                self.fault.get_or_insert((what, error.into()));
            }
        }
    }

    fn look_for_end(&mut self) -> Result<(), Error> {
        if self.ended.is_some() {
            return Ok(());
        }
        let end = self.command.end().map_err(|source| Error::System {
            what: "waitid",
            source,
        })?;
        let Some(end) = end else { return Ok(()) };
        self.ended = Some(end.into());
        self.input = None;
        if let Some(pty) = &mut self.pty {
            pty.input_end = None;
        }
        if self.kill_on_exit {
            self.command.kill_all();
        }
        for index in (0..self.outputs.len()).rev() {
            if let Some(ended) = self.outputs[index].0.finish() {
                self.on_output_end(index, ended);
            }
        }
        Ok(())
    }

    fn on_received(&mut self, received: Received) -> Result<(), Error> {
        match received {
            Received::Signal {
                number,
                from_terminal,
            } => return self.on_signal(number, from_terminal),
            Received::Size(rows, columns) => {
                if let Some(pty) = &self.pty {
                    // It goes on with the size it had.
                    tty::set_window_size(pty.master.as_fd(), &tty::size_of(rows, columns)).ok();
                }
            }
            Received::InputEnd(last) => {
                if let Some(pty) = &mut self.pty
                    && self.ended.is_none()
                {
                    pty.input_end = Some(InputEnd::after(last));
                }
            }
            Received::HungUp => {
                self.over.get_or_insert(ExitReason::HungUp);
            }
        }
        Ok(())
    }

    fn on_signal(&mut self, number: i32, from_terminal: bool) -> Result<(), Error> {
        self.told_to_end |= ENDING.contains(&number);
        if self.told_to_end && self.pty.as_ref().is_some_and(|pty| pty.waits) {
            // To read the terminal in the background would stop us before the end.
            self.input = None;
        }
        match number {
            libc::SIGCHLD => self.look_for_end()?,
            libc::SIGTSTP => self.stop(),
            libc::SIGCONT => self.go_on(),
            libc::SIGWINCH if self.pty.is_some() => self.resize(),
            libc::SIGHUP if self.pty.is_some() => {
                self.over.get_or_insert(ExitReason::HungUp);
            }
            _ if self.ended.is_some() => {
                if ENDING.contains(&number) {
                    self.over.get_or_insert(ExitReason::Signaled(number));
                }
            }
            _ if from_terminal => match &self.pty {
                Some(pty) => {
                    // What else a terminal sends has no counterpart there.
                    tty::signal_foreground(pty.master.as_fd(), number).ok();
                }
                None => self.command.signal_group(number),
            },
            _ => self.command.signal(number),
        }
        Ok(())
    }

    /// Ctrl-Z at the operator's terminal, or SIGTSTP from elsewhere.
    fn stop(&mut self) {
        match &mut self.pty {
            Some(pty) => pty.raw = None,
            // Its process group is orphaned: SIGTSTP would do nothing to it.
            None => self.command.signal_group(libc::SIGSTOP),
        }
        stop_self().ok();
        // Nothing was stopped if nobody could have continued us; else SIGCONT has come.
        self.go_on();
    }

    fn go_on(&mut self) {
        match &mut self.pty {
            // Continued in the background before it ever had the terminal, it stops again, but not
            // when timeout(1) has sent TERM before SIGCONT.
            Some(pty) if pty.waits && !self.told_to_end => pty.take_terminal(),
            Some(pty) => {
                pty.take_terminal_if_foreground();
                pty.resize();
            }
            None => self.command.signal_group(libc::SIGCONT),
        }
    }

    fn resize(&mut self) {
        if let Some(pty) = &self.pty {
            pty.resize();
        }
    }

    fn on_time(&mut self, now: Instant) {
        match self.deadline.take_due(now) {
            Some(Due::Ask) if self.ended.is_none() => {
                self.command.signal_group(libc::SIGTERM);
                // One that is stopped could not end.
                self.command.signal_group(libc::SIGCONT);
            }
            Some(Due::Kill) if self.ended.is_none() => self.command.kill_all(),
            // All that is left is output that nobody takes.
            Some(_) => {
                self.over.get_or_insert(ExitReason::TimedOut);
            }
            None => {}
        }
        if let Some(pty) = &mut self.pty
            && let Some(end) = &mut pty.input_end
            && !end.go_on(pty.master.as_fd(), now)
        {
            pty.input_end = None;
        }
        if let Some((flow, _)) = self.outputs.first_mut()
            && let Some(ended) = flow.retry()
        {
            self.on_output_end(0, ended);
        }
    }

    fn timeout(&self, now: Instant) -> PollTimeout {
        let retry = self.outputs.iter().any(|(flow, _)| flow.wants_retry());
        let next = [
            self.deadline.at(),
            self.pty
                .as_ref()
                .and_then(|pty| Some(pty.input_end.as_ref()?.at())),
            retry.then(|| now + PTY_RETRY),
        ];
        let Some(next) = next.into_iter().flatten().min() else {
            return PollTimeout::NONE;
        };
        // Rounded up, or the last millisecond would be spent in a busy loop.
        let millis = next
            .saturating_duration_since(now)
            .as_micros()
            .div_ceil(1000);
        i32::try_from(millis)
            .ok()
            .and_then(|millis| PollTimeout::try_from(millis).ok())
            .unwrap_or(PollTimeout::MAX)
    }

    fn conclude(self) -> Result<ExitReason, Error> {
        let timed_out = self.deadline.has_passed();
        if timed_out {
            // What is left of it has had its time as well.
            self.command.kill_all();
        }
        if self.ended.is_some() {
            // Nothing is sent to its PID any more.
            self.command.reap();
        }
        let reason = match (self.over, self.ended) {
            (Some(reason), _) => reason,
            (None, _) if timed_out => ExitReason::TimedOut,
            (None, Some(reason)) => reason,
            (None, None) => ExitReason::HungUp,
        };
        match self.fault {
            Some((what, source)) => Err(Error::Stream {
                what,
                source,
                reason,
            }),
            None => Ok(reason),
        }
    }
}
