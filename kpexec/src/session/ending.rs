//! How a session ends that does not fail.

use std::io;

use cnsenter_protocol::{Exit, exit};

use super::Error;

/// How a session ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// The command ended.
    Exit(Exit),
    /// A signal for us, by its number.
    Interrupted(i32),
    /// Nobody reads our stdout any more.
    NoReader,
}

impl Ending {
    /// The exit code that tells it.
    #[must_use]
    pub fn code(&self) -> u8 {
        const PIPE: i32 = 13;
        match self {
            Self::Exit(exit) => exit.code,
            Self::Interrupted(signal) => exit::of_signal(*signal),
            Self::NoReader => exit::of_signal(PIPE),
        }
    }

    /// What an error of our stdout is: what a closed pipe does to a program, or what a full disk
    /// does.
    pub(super) fn of_output(error: io::Error) -> Result<Self, Error> {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Ok(Self::NoReader),
            _ => Err(Error::Output(error)),
        }
    }
}
