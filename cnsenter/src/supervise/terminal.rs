//! The operator's terminal, and that it is left as it was found.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, Once, PoisonError};

use nix::errno::Errno;
use nix::pty::Winsize;
use nix::sys::signal::{SigmaskHow, pthread_sigmask};
use nix::sys::signal::{Signal, killpg};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp};

use crate::sys::signals::set_of;
use crate::sys::tty;

/// The raw mode that is in force now, for the panic hook: a release build does not unwind.
static IN_RAW_MODE: Mutex<Option<Restorer>> = Mutex::new(None);
static PANIC_HOOK: Once = Once::new();

/// The terminal that the operator sits at.
pub struct Terminal {
    fd: OwnedFd,
    saved: Termios,
    is_stdin: bool,
}

impl Terminal {
    /// The terminal on our stdin; None if that is none.
    #[must_use]
    pub fn of_stdin() -> Option<Self> {
        Self::open(io::stdin().as_fd(), true)
    }

    /// The terminal on our stdin, else on stdout or stderr: those tell its size and its changes.
    #[must_use]
    pub fn of_caller() -> Option<Self> {
        Self::of_stdin()
            .or_else(|| Self::open(io::stdout().as_fd(), false))
            .or_else(|| Self::open(io::stderr().as_fd(), false))
    }

    pub(super) fn open(fd: BorrowedFd<'_>, is_stdin: bool) -> Option<Self> {
        let saved = tcgetattr(fd).ok()?;
        let fd = fd.try_clone_to_owned().ok()?;
        Some(Self {
            fd,
            saved,
            is_stdin,
        })
    }

    /// Its size now; 0 x 0 where it has none, such as on a serial line.
    #[must_use]
    pub fn size(&self) -> Winsize {
        tty::window_size(self.fd.as_fd()).unwrap_or(tty::size_of(0, 0))
    }

    /// Whether it is our stdin: only then its keys are the command's.
    #[must_use]
    pub fn is_stdin(&self) -> bool {
        self.is_stdin
    }

    /// Makes keys bytes. In the background this stops our process group by SIGTTOU, as it does any
    /// program that changes its terminal, but only once: tcsetattr(3) alone would stop us again
    /// after every SIGCONT, before another signal, TERM from timeout(1) for one, is looked at.
    ///
    /// # Errors
    /// As tcsetattr(3): EIO when it is gone, or if we are in the background still.
    pub fn raw(&self) -> io::Result<RawMode> {
        if !self.in_foreground() {
            killpg(getpgrp(), Signal::SIGTTOU)?;
            if !self.in_foreground() {
                return Err(Errno::EIO.into());
            }
        }
        PANIC_HOOK.call_once(|| {
            let previous = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if let Some(restorer) = in_raw_mode().take() {
                    restorer.restore();
                }
                previous(info);
            }));
        });
        *in_raw_mode() = Some(self.restorer()?);
        match tcsetattr(&self.fd, SetArg::TCSANOW, &raw_of(&self.saved)) {
            Ok(()) => Ok(RawMode(())),
            Err(error) => {
                *in_raw_mode() = None;
                Err(error.into())
            }
        }
    }

    /// What puts the terminal back, for a process that outlives us.
    ///
    /// # Errors
    /// As dup(2).
    pub fn restorer(&self) -> io::Result<Restorer> {
        Ok(Restorer {
            fd: self.fd.try_clone()?,
            saved: self.saved.clone(),
        })
    }

    /// Whether our process group is the one that may use it. A terminal that does not control our
    /// session may be used by everybody.
    #[must_use]
    pub fn in_foreground(&self) -> bool {
        tcgetpgrp(&self.fd).map_or(true, |group| group == getpgrp())
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// While this lives the terminal is raw; dropped, it is as before.
pub struct RawMode(());

impl Drop for RawMode {
    fn drop(&mut self) {
        if let Some(restorer) = in_raw_mode().take() {
            restorer.restore();
        }
    }
}

/// Puts a terminal back that was left raw.
#[derive(Debug)]
pub struct Restorer {
    fd: OwnedFd,
    saved: Termios,
}

impl Restorer {
    /// Puts the terminal back if it still is as [`Terminal::raw`] left it. Otherwise somebody
    /// else, such as the shell, has set it since, and is not disturbed. Works from a background
    /// process and after the death of the one that set raw mode.
    pub fn restore(&self) {
        let Ok(now) = tcgetattr(&self.fd) else { return };
        if !same_mode(&now, &raw_of(&self.saved)) {
            return;
        }
        // A background process that sets its terminal is stopped unless it blocks SIGTTOU.
        let ttou = set_of([libc::SIGTTOU]);
        let mut mask = nix::sys::signal::SigSet::empty();
        let blocked = pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&ttou), Some(&mut mask));
        // Nothing is left to be done about a terminal that cannot be set.
        tcsetattr(&self.fd, SetArg::TCSANOW, &self.saved).ok();
        if blocked.is_ok() {
            pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&mask), None).ok();
        }
    }
}

impl AsFd for Restorer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn in_raw_mode() -> std::sync::MutexGuard<'static, Option<Restorer>> {
    IN_RAW_MODE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn raw_of(saved: &Termios) -> Termios {
    let mut raw = saved.clone();
    cfmakeraw(&mut raw);
    raw
}

fn same_mode(a: &Termios, b: &Termios) -> bool {
    a.input_flags == b.input_flags
        && a.output_flags == b.output_flags
        && a.local_flags == b.local_flags
}
