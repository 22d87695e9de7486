//! Signals as events: blocked before anything is forked, read one by one from a descriptor. In a
//! session of kpexec's there are also those that its user sends, and the size of that terminal.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::hostproc::Status;
use crate::link::{Order, Orders};
use crate::sys::signals::{FIRST_REAL_TIME, LAST, default_sigchld, set_of};

/// What the command gets when we get it. PIPE and URG are about our own descriptors, and those that
/// report faults (SEGV, ABRT, ...) about our own code.
const FORWARDED: [i32; 14] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
    libc::SIGCONT,
    libc::SIGWINCH,
    libc::SIGTSTP,
];

/// Those that cancel a start that is under way.
pub(super) const ENDING: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// The most signals that are kept for a command that has not started yet.
const KEPT: usize = 64;

/// What has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// A signal, sent to us or by the session.
    Signal {
        number: i32,
        /// The kernel sent it, that is a terminal, to all of the foreground process group.
        from_terminal: bool,
    },
    /// The session's terminal has so many rows and columns now.
    Size(u16, u16),
    /// The session writes no more to the terminal; the last byte that it wrote.
    InputEnd(Option<u8>),
    /// The session is gone.
    HungUp,
}

/// The signals that are handled for the command, from before its start to our own end.
///
/// They stay blocked when this is dropped: whatever is cleaned up afterwards is not cut short.
pub struct Signals {
    fd: SignalFd,
    original: SigSet,
    to_reset: Vec<i32>,
    kept: VecDeque<Received>,
    session: Option<Session>,
}

/// A session's orders, and what tells of them and of signals at once.
struct Session {
    both: Epoll,
    /// None once they have ended.
    orders: Option<Orders>,
}

impl Signals {
    /// Blocks the signals that are forwarded, and SIGCHLD, and opens a signalfd(2) for them. To be
    /// called before anything is forked: one that comes before the start is then kept. What the
    /// caller ignores (`nohup`, a background job of a plain `sh`) stays ignored. SIGTTIN and
    /// SIGTTOU stay unblocked: they stop a background `cnsenter -t` as any other program. `own` is
    /// our own status, which names what is ignored.
    ///
    /// # Errors
    /// As sigprocmask(2) and signalfd(2).
    pub fn block(own: &Status) -> io::Result<Self> {
        default_sigchld()?;
        let ignored = own.mask("SigIgn").unwrap_or(0);
        let is_ignored = |number: i32| ignored & (1 << (number - 1)) != 0;
        let passed_on = |number: &i32| FORWARDED.contains(number) || *number >= FIRST_REAL_TIME;
        let handled = (1..=LAST).filter(|n| passed_on(n) && !is_ignored(*n));
        let handled = set_of(handled.chain([libc::SIGCHLD]));
        // SIGPIPE is ignored by the Rust runtime.
        let to_reset = (1..=LAST).filter(|n| !passed_on(n) && is_ignored(*n));
        let to_reset = to_reset.chain([libc::SIGPIPE]).collect();
        let mut original = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&handled), Some(&mut original))?;
        let job_control = set_of([libc::SIGTTIN, libc::SIGTTOU]);
        pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&job_control), None)?;
        let fd = SignalFd::with_flags(&handled, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self {
            fd,
            original,
            to_reset,
            kept: VecDeque::new(),
            session: None,
        })
    }

    /// Takes a session's orders as well.
    ///
    /// # Errors
    /// As epoll_create(2).
    pub fn heed(&mut self, orders: Orders) -> io::Result<()> {
        let both = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        both.add(&self.fd, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        both.add(&orders, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        let orders = Some(orders);
        self.session = Some(Session { both, orders });
        Ok(())
    }

    /// The mask that the caller had: children set it again before they exec.
    #[must_use]
    pub fn original_mask(&self) -> &SigSet {
        &self.original
    }

    /// What is ignored and not to be by the command. What the caller ignores of the signals that
    /// are passed on, the command ignores as well, as `nohup` intends.
    #[must_use]
    pub fn to_reset(&self) -> &[i32] {
        &self.to_reset
    }

    /// The signal that has come to end us before the command was started, if any. All others are
    /// kept and delivered after the start.
    pub fn pending_cancel(&mut self) -> Option<i32> {
        while let Some(received) = self.read() {
            match received {
                Received::Signal { number, .. } if ENDING.contains(&number) => return Some(number),
                Received::HungUp => return Some(libc::SIGHUP),
                Received::Signal { number, .. } if number == libc::SIGCHLD => {}
                _ if self.kept.len() < KEPT => self.kept.push_back(received),
                _ => {}
            }
        }
        None
    }

    /// What comes next, those that were kept first; None if there is none now.
    pub(super) fn next(&mut self) -> Option<Received> {
        self.kept.pop_front().or_else(|| self.read())
    }

    fn read(&mut self) -> Option<Received> {
        self.read_signal().or_else(|| self.read_order())
    }

    fn read_signal(&self) -> Option<Received> {
        let info = self.fd.read_signal().ok()??;
        Some(Received::Signal {
            number: i32::try_from(info.ssi_signo).ok()?,
            from_terminal: info.ssi_code == libc::SI_KERNEL,
        })
    }

    fn read_order(&mut self) -> Option<Received> {
        let session = self.session.as_mut()?;
        Some(match session.orders.as_ref()?.next()? {
            Order::Signal(number) => Received::Signal {
                number,
                from_terminal: false,
            },
            Order::Size(rows, columns) => Received::Size(rows, columns),
            Order::InputEnd(last) => Received::InputEnd(last),
            Order::End => {
                if let Some(orders) = session.orders.take() {
                    // It would tell of its end for ever.
                    let _ = session.both.delete(&orders);
                }
                Received::HungUp
            }
        })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.session {
            Some(session) => session.both.0.as_fd(),
            None => self.fd.as_fd(),
        }
    }
}
