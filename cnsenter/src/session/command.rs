//! A command as its session sees it: the process that runs it, its streams, and how far they are.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use cnsenter_protocol::credit::{self, Window};
use cnsenter_protocol::{Control, Failure, FailureKind, SessionId, Stream as Name, exit};
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::poll::PollFlags;
use nix::sys::socket::{Shutdown, shutdown};
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pipe2};

use super::Error;
use super::input::{Input, Wrote};
use super::outbox::Outbox;
use super::output::Output;
use crate::causes::chain;
use crate::link::{self, Cause, End, Heard, Link, Order, Report};
use crate::request::Request;
use crate::seal;
use crate::supervise::{Direction, Stream};
use crate::sys::image::let_go_of_code;
use crate::sys::process::{Fork, exit_now, fork, standard_fds};
use crate::sys::signals::send;
use crate::sys::stream::replace;

/// Which of a command's descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Link,
    Input,
    Output(usize),
}

/// A command that is being started, runs, or has something to tell yet.
pub(super) struct Command {
    session: SessionId,
    pid: Pid,
    /// None once its process is gone.
    link: Option<OwnedFd>,
    /// None once nothing more is written.
    input: Option<Input>,
    /// The client has ended it.
    input_ended: bool,
    window: Window,
    outputs: [Output; 2],
    end: Option<End>,
}

impl Command {
    /// Starts cnsenter anew for one command: it has a process of its own, which is sealed and has
    /// one thread, as any run has.
    ///
    /// # Errors
    /// When there are no processes or descriptors left.
    pub(super) fn start(session: SessionId, run: Request, now: Duration) -> Result<Self, Error> {
        let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(Error::during("make a pipe"));
        let own =
            |fd, direction| Stream::own(fd, direction).map_err(Error::during("set up a pipe"));
        let (ours, theirs) = link::pair().map_err(Error::during("make a socket"))?;
        let (stderr, their_stderr) = pipe()?;
        let stderr = Output::of_pipe(Name::Stderr, own(stderr, Direction::Read)?);
        let reads = run.io.stdin;
        // A terminal is made in the container, and comes by the link.
        let (input, stdout, streams) = if run.io.tty.is_some() {
            let input = reads.then(Input::of_terminal);
            let stdout = Output::of_terminal(Name::Stdout);
            (input, stdout, [null()?, null()?, their_stderr])
        } else {
            let (their_input, input) = if reads {
                let (read, write) = pipe()?;
                (read, Some(Input::of_pipe(own(write, Direction::Write)?)))
            } else {
                (null()?, None)
            };
            let (stdout, their_stdout) = pipe()?;
            let stdout = Output::of_pipe(Name::Stdout, own(stdout, Direction::Read)?);
            (input, stdout, [their_input, their_stdout, their_stderr])
        };
        let pid = match fork().map_err(Error::during("fork"))? {
            Fork::Child => become_run(run, &theirs, &streams),
            Fork::Parent(pid) => pid,
        };
        Ok(Self {
            session,
            pid,
            link: Some(ours),
            input,
            input_ended: false,
            window: Window::new(now),
            outputs: [stdout, stderr],
            end: None,
        })
    }

    /// What to poll; output only if there is room for it.
    pub(super) fn interest(
        &self,
        room: bool,
    ) -> impl Iterator<Item = (Part, BorrowedFd<'_>, PollFlags)> {
        let link = self
            .link
            .iter()
            .map(|fd| (Part::Link, fd.as_fd(), PollFlags::POLLIN));
        let input = self.input.iter().filter_map(|input| {
            let (fd, events) = input.interest()?;
            Some((Part::Input, fd, events))
        });
        let outputs = self.outputs.iter().enumerate();
        let outputs = outputs.filter(move |_| room).filter_map(|(index, output)| {
            Some((Part::Output(index), output.interest()?, PollFlags::POLLIN))
        });
        link.chain(input).chain(outputs)
    }

    /// Goes on after poll(2) found this at one of the descriptors.
    pub(super) fn on_ready(&mut self, part: Part, found: PollFlags, outbox: &mut Outbox) {
        match part {
            Part::Link => self.hear(outbox),
            Part::Input if found.contains(PollFlags::POLLERR) => self.input_gone(outbox),
            Part::Input => self.write_input(outbox),
            Part::Output(index) => {
                if let Some(output) = self.outputs.get_mut(index) {
                    output.read(self.session, outbox);
                }
            }
        }
    }

    fn hear(&mut self, outbox: &mut Outbox) {
        let Some(link) = &self.link else { return };
        match link::hear(link) {
            Heard::Nothing => {}
            Heard::Message(Report::Started(pid), master) => {
                outbox.put(self.session, &Control::Started { pid });
                self.connect(master, outbox);
                let_go_of_code();
            }
            Heard::Message(report, _) => self.end = End::of(report),
            Heard::End => {
                self.link = None;
                // It is past the point where anything could hold it up.
                let _ = waitpid(self.pid, None);
                self.end.get_or_insert_with(|| End::Failure(killed()));
            }
        }
    }

    /// Takes the terminal over, if the client still wants it.
    fn connect(&mut self, master: Option<OwnedFd>, outbox: &mut Outbox) {
        let [stdout, _] = &mut self.outputs;
        let input = self.input.as_mut().filter(|i| i.awaits_terminal());
        if input.is_none() && !stdout.awaits_terminal() {
            return;
        }
        let both = master.ok_or(nix::Error::EMFILE.into()).and_then(|master| {
            let write = Stream::pty_master(master.try_clone()?, Direction::Write)?;
            Ok((Stream::pty_master(master, Direction::Read)?, write))
        });
        match both {
            Ok((read, write)) => {
                if stdout.awaits_terminal() {
                    stdout.connect(read);
                }
                if let Some(input) = input {
                    input.connect(write);
                }
                self.write_input(outbox);
            }
            Err(source) => {
                self.end = Some(End::Failure(unconnected(&source)));
                self.abandon();
            }
        }
    }

    /// What is due although nothing tells of it.
    pub(super) fn go_on(&mut self, now: Instant, outbox: &mut Outbox) {
        for output in &mut self.outputs {
            if self.link.is_none() {
                output.finish(self.session, outbox);
            }
            output.retry(now);
        }
    }

    /// When [`Command::go_on`] is to be called at the latest.
    pub(super) fn next(&self) -> Option<Instant> {
        self.outputs.iter().filter_map(Output::retry_at).min()
    }

    /// What the client has written to the command.
    ///
    /// # Errors
    /// When that is more than it may be.
    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        end: bool,
        outbox: &mut Outbox,
    ) -> Result<(), credit::Error> {
        self.window.receive(bytes.len())?;
        self.input_ended |= end;
        let Some(input) = &mut self.input else {
            // It was told that nobody reads this; that may have been on its way.
            self.window.release(bytes.len());
            return Ok(());
        };
        self.window.release(input.push(bytes));
        self.write_input(outbox);
        Ok(())
    }

    /// Whether the client may still write to it.
    pub(super) fn takes_input(&self) -> bool {
        !self.input_ended
    }

    fn write_input(&mut self, outbox: &mut Outbox) {
        let Some(input) = &mut self.input else { return };
        let (wrote, count) = input.write();
        self.window.release(count);
        match wrote {
            Wrote::Some => {}
            Wrote::Gone => self.input_gone(outbox),
            Wrote::All if self.input_ended => {
                if input.is_terminal() {
                    let last = input.last();
                    self.order(Order::InputEnd(last));
                }
                self.input = None;
            }
            Wrote::All => {}
        }
    }

    /// The command does not read any more: the client need not send.
    fn input_gone(&mut self, outbox: &mut Outbox) {
        if let Some(input) = self.input.take() {
            self.window.release(input.waiting());
            if !self.input_ended {
                outbox.put_end(self.session, Name::Stdin);
            }
        }
    }

    /// The client's credit for one of the outputs.
    ///
    /// # Errors
    /// When that is more than there can be.
    pub(super) fn grant(&mut self, name: Name, bytes: u32) -> Result<(), credit::Error> {
        let mut outputs = self.outputs.iter_mut();
        match outputs.find(|output| output.name == name) {
            Some(output) => output.grant(bytes),
            None => Err(credit::Error::Excess),
        }
    }

    /// The credit that the client is due for the command's stdin, if any is.
    pub(super) fn credit_due(&mut self, now: Duration, delay: Option<Duration>) -> Option<u32> {
        self.window.due(now, delay)
    }

    /// The client does not read this output any more: its writer gets EPIPE, or SIGPIPE.
    pub(super) fn close_output(&mut self, name: Name) {
        for output in self.outputs.iter_mut().filter(|output| output.name == name) {
            output.close();
        }
    }

    /// Passes an order on; one for a command that has ended is none.
    pub(super) fn order(&self, order: Order) {
        if let Some(link) = &self.link {
            link::tell(link, &order);
        }
    }

    /// How it ended, once it has and all its output is on its way.
    pub(super) fn take_end(&mut self) -> Option<End> {
        let over = self.link.is_none() && self.outputs.iter().all(Output::is_over);
        self.end.take_if(|_| over)
    }

    /// Whether its process is gone, and with it all that was to be killed.
    pub(super) fn is_gone(&self) -> bool {
        self.link.is_none()
    }

    /// Kills it and all that it has started: nobody wants to know how it ends.
    pub(super) fn abandon(&mut self) {
        if let Some(link) = &self.link {
            let _ = shutdown(link.as_raw_fd(), Shutdown::Write);
        }
        self.input = None;
        self.outputs.iter_mut().for_each(Output::close);
    }

    /// Kills the process that did not do so: its guard will.
    pub(super) fn kill(&self) {
        if self.link.is_some() {
            let _ = send(self.pid, libc::SIGKILL);
        }
    }
}

fn null() -> Result<OwnedFd, Error> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
    open("/dev/null", flags, Mode::empty()).map_err(Error::during("open /dev/null"))
}

fn unconnected(source: &io::Error) -> Failure {
    Failure {
        kind: FailureKind::Lost,
        code: exit::CANNOT_ENTER,
        message: format!("the node's session cannot take over the command's terminal: {source}"),
    }
}

fn killed() -> Failure {
    Failure {
        kind: FailureKind::Lost,
        code: exit::CONNECTION_LOST,
        message:
            "the node's process that ran the command was killed, and all that the command had \
                  started with it"
                .to_owned(),
    }
}

/// In the new process: executes the sealed image on those streams.
fn become_run(mut run: Request, socket: &OwnedFd, streams: &[OwnedFd; 3]) -> ! {
    let command = run.command.iter().cloned();
    let title = [
        OsString::from("cnsenter"),
        run.target.to_string().into(),
        "--".into(),
    ];
    let title: Vec<_> = title.into_iter().chain(command).collect();
    let prepare = || {
        for (number, stream) in standard_fds().into_iter().zip(streams) {
            replace(number, stream)?;
        }
        // Unlike all others it is to stay open.
        Ok(fcntl(socket, FcntlArg::F_DUPFD(3))?)
    };
    let error = match prepare() {
        Ok(number) => {
            run.link = Some(number);
            let Err(error) = seal::run_sealed(&run, &title);
            error.into()
        }
        Err(source) => Error::System {
            what: "set up the command's streams",
            source,
        },
    };
    if let Ok(link) = Link::new(socket) {
        link.failed(Cause::Enter, exit::CANNOT_ENTER, &chain(&error));
    }
    exit_now(exit::CANNOT_ENTER.into())
}
