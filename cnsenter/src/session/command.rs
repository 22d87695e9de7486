//! A command as its session sees it: the process that runs it, its streams, and how far they are.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use cnsenter_protocol::credit::{self, Allowance, Window};
use cnsenter_protocol::{Control, Failure, FailureKind, SessionId, Stream as Name, exit};
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::poll::PollFlags;
use nix::sys::socket::{Shutdown, shutdown};
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pipe2};

use super::Error;
use super::backlog::Backlog;
use super::outbox::Outbox;
use crate::causes::chain;
use crate::link::{self, Cause, End, Heard, Link, Order, Report};
use crate::request::Request;
use crate::seal;
use crate::supervise::{Direction, Stream};
use crate::sys::image::let_go_of_code;
use crate::sys::process::{Fork, exit_now, fork, standard_fds};
use crate::sys::signals::send;
use crate::sys::stream::replace;

/// Who reads so much at once, in bytes, is to have a larger pipe, and need not copy.
const MUCH: usize = 32 << 10;

/// What is written to the command.
struct Input {
    pipe: Stream<'static>,
    waiting: Backlog,
}

/// What is read of it.
struct Output {
    name: Name,
    /// None once it has ended, or the client does not want more.
    pipe: Option<Stream<'static>>,
    allowance: Allowance,
    /// It gave much when it was last read.
    busy: bool,
}

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
        let (ours, theirs) = link::pair().map_err(Error::during("make a socket"))?;
        let (their_input, input) = if run.io.stdin {
            let (read, write) = pipe()?;
            (read, Some(write))
        } else {
            let null = open(
                "/dev/null",
                OFlag::O_RDONLY | OFlag::O_CLOEXEC,
                Mode::empty(),
            );
            (null.map_err(Error::during("open /dev/null"))?, None)
        };
        let (stdout, their_stdout) = pipe()?;
        let (stderr, their_stderr) = pipe()?;
        let pid = match fork().map_err(Error::during("fork"))? {
            Fork::Child => become_run(run, &theirs, [&their_input, &their_stdout, &their_stderr]),
            Fork::Parent(pid) => pid,
        };
        let own =
            |fd, direction| Stream::own(fd, direction).map_err(Error::during("set up a pipe"));
        let output = |name, fd| {
            Ok::<_, Error>(Output {
                name,
                pipe: Some(own(fd, Direction::Read)?),
                allowance: Allowance::default(),
                busy: false,
            })
        };
        let input = input.map(|fd| own(fd, Direction::Write)).transpose()?;
        Ok(Self {
            session,
            pid,
            link: Some(ours),
            input: input.map(|pipe| Input {
                pipe,
                waiting: Backlog::default(),
            }),
            input_ended: false,
            window: Window::new(now),
            outputs: [output(Name::Stdout, stdout)?, output(Name::Stderr, stderr)?],
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
        let input = self.input.iter().map(|input| {
            // That nobody reads it is told in any case.
            let events = if input.waiting.is_empty() {
                PollFlags::empty()
            } else {
                PollFlags::POLLOUT
            };
            (Part::Input, input.pipe.as_fd(), events)
        });
        let outputs = self
            .outputs
            .iter()
            .enumerate()
            .filter_map(move |(index, output)| {
                let pipe = output.pipe.as_ref()?;
                let wanted = room && output.allowance.left() > 0;
                wanted.then(|| (Part::Output(index), pipe.as_fd(), PollFlags::POLLIN))
            });
        link.chain(input).chain(outputs)
    }

    /// Goes on after poll(2) found this at one of the descriptors.
    pub(super) fn on_ready(&mut self, part: Part, found: PollFlags, outbox: &mut Outbox) {
        match part {
            Part::Link => self.hear(outbox),
            Part::Input if found.contains(PollFlags::POLLERR) => self.input_gone(outbox),
            Part::Input => self.write_input(outbox),
            Part::Output(index) => self.read_output(index, outbox),
        }
    }

    fn hear(&mut self, outbox: &mut Outbox) {
        let Some(link) = &self.link else { return };
        match link::hear(link) {
            Heard::Nothing => {}
            Heard::Message(Report::Started(pid)) => {
                outbox.put(self.session, &Control::Started { pid });
                let_go_of_code();
            }
            Heard::Message(report) => self.end = End::of(report),
            Heard::End => {
                self.link = None;
                // It is past the point where anything could hold it up.
                let _ = waitpid(self.pid, None);
                self.end.get_or_insert_with(|| End::Failure(killed()));
            }
        }
    }

    fn read_output(&mut self, index: usize, outbox: &mut Outbox) {
        let Some(output) = self.outputs.get_mut(index) else {
            return;
        };
        let Some(pipe) = &mut output.pipe else { return };
        let most = output.allowance.left();
        if most == 0 || !outbox.has_room() {
            return;
        }
        // A few bytes are copied at less cost than a page is moved.
        let taken = if output.busy && most >= MUCH && outbox.splices() {
            outbox.splice_data(self.session, output.name, most, pipe)
        } else {
            outbox.put_data(self.session, output.name, most, |buffer| pipe.read(buffer))
        };
        match taken {
            Ok(0) => {
                output.pipe = None;
                outbox.put_end(self.session, output.name);
            }
            Ok(count) => {
                output.allowance.spend(count);
                output.busy = count >= MUCH;
                if output.busy {
                    pipe.grow();
                }
            }
            Err(nix::Error::EAGAIN) => {}
            Err(_) => output.pipe = None,
        }
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
        // What the pipe takes at once is not kept.
        let written = if input.waiting.is_empty() && !bytes.is_empty() {
            input.pipe.write(bytes).unwrap_or(0)
        } else {
            0
        };
        input.waiting.push(&bytes[written..]);
        self.window.release(written);
        self.write_input(outbox);
        Ok(())
    }

    /// Whether the client may still write to it.
    pub(super) fn takes_input(&self) -> bool {
        !self.input_ended
    }

    fn write_input(&mut self, outbox: &mut Outbox) {
        let Some(input) = &mut self.input else { return };
        while !input.waiting.is_empty() {
            match input.pipe.write(input.waiting.front()) {
                Ok(count) => {
                    input.waiting.advance(count);
                    self.window.release(count);
                }
                Err(nix::Error::EAGAIN) => return input.pipe.grow(),
                Err(_) => return self.input_gone(outbox),
            }
        }
        if self.input_ended {
            self.input = None;
        }
    }

    /// The command does not read any more: the client need not send.
    fn input_gone(&mut self, outbox: &mut Outbox) {
        if let Some(input) = self.input.take() {
            self.window.release(input.waiting.len());
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
            Some(output) => output.allowance.grant(bytes),
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
            output.pipe = None;
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
        let over = self.link.is_none() && self.outputs.iter().all(|output| output.pipe.is_none());
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
        self.outputs
            .iter_mut()
            .for_each(|output| output.pipe = None);
    }

    /// Kills the process that did not do so: its guard will.
    pub(super) fn kill(&self) {
        if self.link.is_some() {
            let _ = send(self.pid, libc::SIGKILL);
        }
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
fn become_run(mut run: Request, socket: &OwnedFd, streams: [&OwnedFd; 3]) -> ! {
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
