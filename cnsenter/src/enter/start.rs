//! From a plan to a running command.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use cnsenter_protocol::KilledFor;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::Winsize;
use nix::unistd::Pid;

use super::cgroup::Placement;
use super::cgroup_leaf::Leaf;
use super::cgroup_mounts::Mounts;
use super::child::Entrance;
use super::crew::Crew;
use super::exec::CommandLine;
use super::guard::Guard;
use super::message::{Channel, Failure, Message, Step};
use super::stdio::{self, Stdio};
use super::target::Target;
use super::verify::verify;
use super::{During, Error, Ourselves};
use crate::hostproc::HostProc;
use crate::plan::{Plan, TerminalKind};
use crate::request::{CgroupChoice, Request};
use crate::supervise::{ExitReason, Group, Running, Signals, Streams, Terminal};
use crate::sys::process::{Fork, fork_into};
use crate::sys::tty;
use crate::trace::Trace;

/// How long entering may take: it takes milliseconds unless somebody freezes the container.
const ENTRY_LIMIT: Duration = Duration::from_secs(10);

/// What starting a command needs.
pub struct Starter<'a> {
    /// The node's /proc.
    pub proc: &'a HostProc,
    /// This process.
    pub own: &'a Ourselves,
    /// The container.
    pub target: &'a Target,
    /// What to do.
    pub plan: &'a Plan,
    /// What was asked.
    pub request: &'a Request,
    /// Our signals, blocked.
    pub signals: &'a mut Signals,
    /// The operator's terminal.
    pub terminal: Option<&'a Terminal>,
    /// Who listens.
    pub trace: &'a Trace,
}

/// A command that runs. Dropping it kills the command and everything that it has started.
#[derive(Debug)]
pub struct Started {
    /// The command, our child.
    pub pid: Pid,
    /// Our ends of its streams, to be taken by whoever supervises it.
    pub streams: Option<Streams>,
    crew: Crew,
}

impl Started {
    /// The command as `supervise` takes it, with its streams.
    ///
    /// # Errors
    /// When they were taken before.
    pub fn running(&mut self) -> Result<Running<'_>, Error> {
        let streams = self
            .streams
            .take()
            .ok_or(Error::Lost("its streams were taken twice"))?;
        Ok(Running {
            pid: self.pid,
            streams,
            group: self,
        })
    }

    /// The master of the command's terminal, if a session relays that.
    #[must_use]
    pub fn lent_terminal(&self) -> Option<BorrowedFd<'_>> {
        match &self.streams {
            Some(Streams::Pty {
                master, lent: true, ..
            }) => Some(master.as_fd()),
            _ => None,
        }
    }

    /// Why the kernel killed the command, or a part of it, if it did. To be asked while the cgroup is
    /// there.
    #[must_use]
    pub fn killed_for(&self, target: &Target, reason: ExitReason) -> Option<KilledFor> {
        match reason {
            ExitReason::Exited(0) | ExitReason::TimedOut | ExitReason::HungUp => None,
            _ if self.crew.placement.has_killed_for_memory() => Some(KilledFor::Memory),
            ExitReason::Signaled(libc::SIGKILL) if target.process.is_ending() => {
                Some(KilledFor::Container)
            }
            _ => None,
        }
    }

    /// Ends our part: what the command left in the background lives on, outside its cgroup.
    ///
    /// # Errors
    /// When the cgroup could not be removed.
    pub fn finish(mut self) -> io::Result<()> {
        self.crew.command = None;
        self.crew.dismiss()
    }
}

impl Group for Started {
    fn kill(&self) -> io::Result<()> {
        match &self.crew.placement.leaf {
            Some(leaf) => leaf.kill(),
            None => Err(Errno::ENOENT.into()),
        }
    }

    fn guard_end(&self) -> Option<BorrowedFd<'_>> {
        self.crew.guard.as_ref().and_then(Guard::end)
    }

    fn replace_guard(&mut self) {
        if let Some(guard) = self.crew.guard.take() {
            guard.dismiss();
        }
        // Without one we go on: the command has done nothing wrong.
        let _ = self.crew.post_guard();
    }
}

impl Starter<'_> {
    /// Starts the command: when this returns, it has been executed.
    ///
    /// # Errors
    /// When any step failed; nothing is left then.
    pub fn start(mut self) -> Result<Started, Error> {
        let own_cgroup = self.own.process.read("cgroup")?;
        let command = CommandLine::new(self.plan);
        match self.attempt(&own_cgroup, &command, true) {
            // At the container's pids.max a process can join, but none be born (pids controller).
            Err(
                Error::Inside {
                    step: Step::Fork,
                    source,
                    ..
                }
                | Error::Outside { source, .. },
            ) if self.request.cgroup == CgroupChoice::Target
                && source.raw_os_error() == Some(libc::EAGAIN) =>
            {
                self.attempt(&own_cgroup, &command, false)
            }
            other => other,
        }
    }

    fn attempt(
        &mut self,
        own_cgroup: &[u8],
        command: &CommandLine,
        born_in_leaf: bool,
    ) -> Result<Started, Error> {
        let (stdio, mut streams) = self.streams()?;
        let restorer = self.terminal.map(Terminal::restorer).transpose();
        let mut crew = Crew {
            placement: self.placement(own_cgroup)?,
            restorer: restorer.during("save the terminal")?,
            guard: None,
            intermediate: None,
            command: None,
        };
        crew.post_guard().during("start the guard process")?;
        crew.placement.settle().during("make a cgroup")?;
        match &crew.placement.leaf {
            Some(leaf) => self.trace.step(|| format!("made cgroup {}", leaf.name())),
            None => crate::stderr::warn(
                "no cgroup can be made here: what the command starts in the background may outlive \
                 cnsenter's death",
            ),
        }

        let (ours, theirs) = Channel::pair().during("make a socket")?;

        let (forked, born_in_leaf) = self.fork(&crew.placement, born_in_leaf);
        match forked.during("fork")? {
            Fork::Child => {
                // Our ends are ours alone: when we die, the guard and the command learn it by them.
                drop((ours, crew.guard.take()));
                Entrance {
                    proc: self.proc,
                    target: self.target,
                    plan: self.plan,
                    command,
                    signals: self.signals,
                    stdio,
                    master: None,
                    channel: theirs,
                }
                .enter()
            }
            Fork::Parent(pid) => crew.intermediate = Some(pid),
        }
        drop((stdio, theirs));

        let (pid, master) = self.await_ready(&ours)?;
        crew.command = Some(pid);
        crew.placement
            .admit(pid, born_in_leaf)
            .during("move the command into its cgroup")?;
        self.trace.step(|| format!("command waits as PID {pid}"));
        let command = self
            .proc
            .process(pid)
            .map_err(|_| self.gone("before its start"))?;
        verify(&command, self.plan, &self.own.status)?;
        self.trace
            .step(|| "checked what is in force against the plan");
        if let Some(master) = master {
            streams = Some(Streams::Pty {
                master,
                stdin: self.request.io.stdin,
                lent: self.request.link.is_some(),
            });
        }
        if let (Some(Streams::Pty { master, .. }), Some(size)) = (&streams, self.terminal_size()) {
            tty::set_window_size(master.as_fd(), &size).during("set the terminal's size")?;
        }
        // It counts, too: a container just below its pids.max has no room for it.
        crew.reap_intermediate();
        ours.release().during("start the command")?;
        // Loading a program may take its time.
        self.await_message(&ours, None)?;
        match ours
            .receive()
            .during("start the command")?
            .map(|r| r.message)
        {
            None => {}
            Some(Message::Failed(failure)) => return Err(self.failed(failure)),
            Some(Message::Ready) => return Err(Error::Lost("an unexpected message")),
        }
        self.trace.step(|| "executed");
        Ok(Started { pid, streams, crew })
    }

    /// The intermediate, in the leaf if it can be born there; says whether it was.
    fn fork(&self, placement: &Placement, in_leaf: bool) -> (io::Result<Fork>, bool) {
        let leaf = placement
            .leaf
            .as_ref()
            .and_then(Leaf::birthplace)
            .filter(|_| in_leaf);
        match leaf.map(|dir| fork_into(Some(dir))) {
            // Before Linux 5.7.
            Some(Err(e)) if matches!(e.raw_os_error(), Some(libc::ENOSYS | libc::E2BIG)) => {}
            Some(other) => return (other, true),
            None => {}
        }
        (fork_into(None), false)
    }

    /// The command's streams, unless they are a terminal of the target's.
    fn streams(&self) -> Result<(Option<Stdio>, Option<Streams>), Error> {
        match self.plan.terminal {
            TerminalKind::Target => Ok((None, None)),
            TerminalKind::Host => {
                let uid = self.plan.identity.host_uid;
                let (master, slave) = stdio::host_terminal(uid).during("make a terminal")?;
                let stdio = Stdio::of_terminal(slave).during("make a terminal")?;
                Ok((
                    Some(stdio),
                    Some(Streams::Pty {
                        master,
                        stdin: self.request.io.stdin,
                        lent: self.request.link.is_some(),
                    }),
                ))
            }
            TerminalKind::None => {
                let (stdio, streams) = stdio::pipes(self.request.io.stdin, &self.plan.identity)
                    .during("make the command's pipes")?;
                Ok((Some(stdio), Some(streams)))
            }
        }
    }

    fn terminal_size(&self) -> Option<Winsize> {
        let told = self.request.io.tty.as_ref().and_then(|tty| tty.size);
        self.terminal
            .map(Terminal::size)
            .or_else(|| told.map(|(rows, columns)| tty::size_of(rows, columns)))
    }

    fn placement(&self, own_cgroup: &[u8]) -> Result<Placement, Error> {
        let mounts = Mounts::new(&self.request.lookup.host_root);
        match self.request.cgroup {
            CgroupChoice::Own => Placement::own(&mounts, own_cgroup, self.request.memory)
                .during("bound the command's memory, for there is no memory controller here"),
            CgroupChoice::Target => {
                let target = self.target.process.read("cgroup")?;
                Placement::target(&mounts, own_cgroup, &target)
                    .during("join the container's cgroup")
            }
        }
    }

    /// Waits until the command is ready: its PID, and the master side of its terminal if that is
    /// the target's.
    fn await_ready(&mut self, channel: &Channel) -> Result<(Pid, Option<OwnedFd>), Error> {
        self.await_message(channel, Some(Instant::now() + ENTRY_LIMIT))?;
        let Some(received) = channel.receive().during("hear from the command")? else {
            return Err(self.gone("before its start"));
        };
        match received.message {
            Message::Failed(failure) => Err(self.failed(failure)),
            Message::Ready => {
                let pid = received
                    .sender
                    .ok_or(Error::Lost("a message from nobody"))?;
                Ok((pid, received.fd))
            }
        }
    }

    fn await_message(&mut self, channel: &Channel, deadline: Option<Instant>) -> Result<(), Error> {
        loop {
            let timeout = deadline.map_or(PollTimeout::NONE, |deadline| {
                let left = deadline.saturating_duration_since(Instant::now());
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            });
            let mut fds = [
                PollFd::new(channel.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, timeout) {
                Ok(0) => return Err(Error::Slow(ENTRY_LIMIT.as_secs())),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(e) => return Err(e).during("wait for the command"),
            }
            let has = |fd: &PollFd| fd.revents().is_some_and(|r| !r.is_empty());
            let (message, signal) = (has(&fds[0]), has(&fds[1]));
            if signal && let Some(number) = self.signals.pending_cancel() {
                return Err(Error::Cancelled(number));
            }
            if message {
                return Ok(());
            }
        }
    }

    /// What a failed step means.
    fn failed(&self, failure: Failure) -> Error {
        let Failure {
            step,
            errno,
            detail,
            exec,
        } = failure;
        if let Some(exec) = exec {
            return Error::Exec(exec);
        }
        let init_is_gone = !self.target.process.is_alive();
        if init_is_gone || (step == Step::Join && errno == libc::ESRCH) {
            return Error::InitGone(self.target.process.pid().as_raw());
        }
        let source = if errno == 0 {
            io::Error::other("see there")
        } else {
            io::Error::from_raw_os_error(errno)
        };
        Error::Inside {
            step,
            detail,
            source,
        }
    }

    fn gone(&self, when: &'static str) -> Error {
        if self.target.process.is_alive() {
            Error::Lost(when)
        } else {
            Error::InitGone(self.target.process.pid().as_raw())
        }
    }
}
