//! Why a run is over.

use cnsenter_protocol::{Exit, KilledFor};

use crate::exit;
use crate::sys::child::End;

/// Why the command is no longer supervised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// It ended by itself, with this code.
    Exited(u8),
    /// It died of this signal; or a signal to us cut short the delivery of its last output.
    Signaled(i32),
    /// It overran `--timeout`.
    TimedOut,
    /// The operator's terminal is gone.
    HungUp,
}

impl ExitReason {
    /// The exit code, by the table of [`crate::exit`].
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Exited(code) => *code,
            Self::Signaled(number) => exit::of_signal(*number),
            Self::TimedOut => exit::TIMED_OUT,
            Self::HungUp => exit::of_signal(libc::SIGHUP),
        }
    }

    /// As a session's client hears of it, with why the kernel killed it.
    #[must_use]
    pub fn for_client(&self, killed_for: Option<KilledFor>) -> Exit {
        Exit {
            code: self.code(),
            signal: match self {
                Self::Signaled(number) => u8::try_from(*number).ok(),
                _ => None,
            },
            timed_out: *self == Self::TimedOut,
            killed_for,
        }
    }
}

impl From<End> for ExitReason {
    fn from(end: End) -> Self {
        match end {
            End::Exited(code) => Self::Exited(code),
            End::Signaled(number) => Self::Signaled(number),
        }
    }
}
