//! The command's terminal, and the operator's in front of it.

use std::os::fd::{AsFd, OwnedFd};

use super::input_end::InputEnd;
use super::{RawMode, Terminal};
use crate::sys::tty;

/// What a run with a terminal of its own has besides.
pub(super) struct Pty {
    pub(super) master: OwnedFd,
    pub(super) terminal: Option<Terminal>,
    pub(super) raw: Option<RawMode>,
    /// Whether the operator's keys are the command's.
    pub(super) keys: bool,
    /// It never had the operator's terminal yet.
    pub(super) waits: bool,
    pub(super) input_end: Option<InputEnd>,
}

impl Pty {
    /// At the start: in the background this stops us, until the shell puts us in the foreground.
    pub(super) fn take_terminal(&mut self) {
        if let Some(terminal) = &self.terminal
            && self.keys
            && self.raw.is_none()
        {
            // One that cannot be set is gone, which its next read tells.
            self.raw = terminal.raw().ok();
            self.waits &= self.raw.is_none();
        }
        self.resize();
    }

    pub(super) fn take_terminal_if_foreground(&mut self) {
        if self.raw.is_none() && self.terminal.as_ref().is_some_and(Terminal::in_foreground) {
            self.take_terminal();
        }
    }

    pub(super) fn resize(&self) {
        if let Some(terminal) = &self.terminal {
            // The session goes on with the size it had.
            tty::set_window_size(self.master.as_fd(), &terminal.size()).ok();
        }
    }
}
