//! The end of an input that is no terminal, for a command that has one: the pty's end-of-file key.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::termios::{LocalFlags, SpecialCharacterIndices, tcgetattr};
use nix::unistd::write;

use crate::sys::pty::open_peer;
use crate::sys::stream::readable_bytes;

/// How often it is looked whether the command has read its input.
const INTERVAL: Duration = Duration::from_millis(20);

/// The key is pressed when all before it was read. Earlier, a program that is about to leave the
/// line mode of the terminal (a shell with line editing) would find a NUL instead of it.
pub(super) struct InputEnd {
    at: Instant,
    presses: u8,
}

impl InputEnd {
    /// `last` is the last byte of the input: within a line the key only sends the line off, and is
    /// pressed twice.
    pub(super) fn after(last: Option<u8>) -> Self {
        Self {
            at: Instant::now() + INTERVAL,
            presses: if matches!(last, None | Some(b'\n')) {
                1
            } else {
                2
            },
        }
    }

    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// Presses the key if it is time to; false once that is done.
    pub(super) fn go_on(&mut self, master: BorrowedFd<'_>, now: Instant) -> bool {
        if now < self.at {
            return true;
        }
        self.at = now + INTERVAL;
        let unread = open_peer(master)
            .and_then(|peer| readable_bytes(peer.as_fd()))
            .unwrap_or(0);
        if unread > 0 {
            return true;
        }
        let Ok(mode) = tcgetattr(master) else {
            return false;
        };
        let key = mode.control_chars[SpecialCharacterIndices::VEOF as usize];
        if write(master, &[key]) == Err(nix::Error::EAGAIN) {
            return true;
        }
        self.presses -= 1;
        // Without line mode there is no line to send off.
        self.presses > 0 && mode.local_flags.contains(LocalFlags::ICANON)
    }
}
