//! The sessions of a stream, and where each is between its Request and its Ack.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use cnsenter_protocol::{Control, SessionId, Stream as Name};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::command::{Command, Part};
use super::outbox::Outbox;
use crate::link::End;

/// How long commands whose client is gone may take to be killed by their own processes.
const KILL_LIMIT: Duration = Duration::from_millis(1500);

/// One of the sessions that the command line names.
pub(super) enum Session {
    /// Not started yet.
    Waiting,
    Running(Box<Command>),
    /// The client does not want to know its end.
    Abandoned(Box<Command>),
    /// Its end was told.
    Told,
    /// And the client has heard it.
    Over,
}

impl Session {
    fn command(&mut self) -> Option<&mut Command> {
        match self {
            Self::Running(command) | Self::Abandoned(command) => Some(command),
            _ => None,
        }
    }

    /// Kills its command, if there is one.
    pub(super) fn abandon(&mut self) {
        *self = match std::mem::replace(self, Self::Over) {
            Self::Running(mut command) | Self::Abandoned(mut command) => {
                command.abandon();
                Self::Abandoned(command)
            }
            _ => Self::Over,
        };
    }
}

/// All of them: the N-th is session N.
#[derive(Default)]
pub(super) struct Sessions(Vec<Session>);

impl Sessions {
    pub(super) fn waiting(count: usize) -> Self {
        Self((0..count).map(|_| Session::Waiting).collect())
    }

    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.0.get_mut(usize::from(id.0).checked_sub(1)?)
    }

    pub(super) fn all_over(&self) -> bool {
        self.0.iter().all(|s| matches!(s, Session::Over))
    }

    /// Whether all that is left to do is the client's.
    pub(super) fn all_told(&self) -> bool {
        let told = |s: &Session| matches!(s, Session::Told | Session::Over);
        self.0.iter().all(told)
    }

    /// What to poll, as [`Command::interest`], with the session that it is for.
    pub(super) fn interest(
        &self,
        room: bool,
    ) -> impl Iterator<Item = (SessionId, Part, BorrowedFd<'_>, PollFlags)> {
        let numbered = self.0.iter().zip(1..);
        numbered.flat_map(move |(session, number)| {
            let command = match session {
                Session::Running(command) | Session::Abandoned(command) => Some(command),
                _ => None,
            };
            let interest = command.into_iter().flat_map(move |c| c.interest(room));
            interest.map(move |(part, fd, events)| (SessionId(number), part, fd, events))
        })
    }

    /// Goes on with what nothing tells of, as [`Command::go_on`].
    pub(super) fn go_on(&mut self, now: Instant, outbox: &mut Outbox) {
        for session in &mut self.0 {
            if let Session::Running(command) = session {
                command.go_on(now, outbox);
            }
        }
    }

    /// When that is due next.
    pub(super) fn next(&self) -> Option<Instant> {
        let running = self.0.iter().filter_map(|session| match session {
            Session::Running(command) => command.next(),
            _ => None,
        });
        running.min()
    }

    /// Goes on after poll(2), as [`Command::on_ready`].
    pub(super) fn on_ready(
        &mut self,
        id: SessionId,
        part: Part,
        found: PollFlags,
        outbox: &mut Outbox,
    ) {
        if let Some(command) = self.get_mut(id).and_then(Session::command) {
            command.on_ready(part, found, outbox);
        }
    }

    /// Tells what there is to tell: credit, and ends. Whether an end was among it.
    pub(super) fn tell(
        &mut self,
        now: Duration,
        delay: Option<Duration>,
        outbox: &mut Outbox,
    ) -> bool {
        let mut ended = false;
        for (session, number) in self.0.iter_mut().zip(1..) {
            let id = SessionId(number);
            match session {
                Session::Running(command) => {
                    if outbox.has_room()
                        && let Some(bytes) = command.credit_due(now, delay)
                    {
                        let stream = Name::Stdin;
                        outbox.put(id, &Control::Credit { stream, bytes });
                    }
                    let message = match command.take_end() {
                        None => continue,
                        Some(End::Exit(exit)) => Control::Exit(exit),
                        Some(End::Failure(failure)) => Control::Error(failure),
                    };
                    outbox.put(id, &message);
                    *session = Session::Told;
                    ended = true;
                }
                Session::Abandoned(command) if command.is_gone() => *session = Session::Over,
                _ => {}
            }
        }
        ended
    }

    /// Kills all commands; none can be started any more.
    pub(super) fn abandon(&mut self) {
        self.0.iter_mut().for_each(Session::abandon);
    }

    /// Kills all commands and waits for that, but not for long: what a process of ours does not do
    /// its guard does.
    pub(super) fn clear_up(&mut self, outbox: &mut Outbox) {
        self.abandon();
        let deadline = Instant::now() + KILL_LIMIT;
        loop {
            self.tell(Duration::ZERO, None, outbox);
            let mut fds: Vec<_> = self
                .interest(false)
                .filter(|(_, part, ..)| *part == Part::Link)
                .map(|(.., fd, events)| PollFd::new(fd, events))
                .collect();
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            if fds.is_empty() || left.is_zero() || poll(&mut fds, timeout).is_err() {
                break;
            }
            drop(fds);
            for command in self.0.iter_mut().filter_map(Session::command) {
                command.on_ready(Part::Link, PollFlags::POLLIN, outbox);
            }
        }
        for command in self.0.iter_mut().filter_map(Session::command) {
            command.kill();
        }
    }
}
