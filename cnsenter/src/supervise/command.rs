//! The command, as the one who is signalled and waited for.

use std::io;
use std::os::fd::BorrowedFd;

use nix::unistd::Pid;

use super::Group;
use crate::sys::child::{End, peek_end, reap};
use crate::sys::signals::send;

pub(super) struct Command<'a> {
    pid: Pid,
    group: &'a mut (dyn Group + 'static),
}

impl<'a> Command<'a> {
    pub(super) fn new(pid: Pid, group: &'a mut (dyn Group + 'static)) -> Self {
        Self { pid, group }
    }

    /// How it ended, if it has. It stays a zombie, and its PID its own, until [`Command::reap`].
    pub(super) fn end(&self) -> io::Result<Option<End>> {
        peek_end(self.pid)
    }

    pub(super) fn reap(&self) {
        // It was seen to have ended: nothing can be done about a failure, and none is expected.
        reap(self.pid).ok();
    }

    /// A signal for the command alone. One that has ended needs none.
    pub(super) fn signal(&self, number: i32) {
        send(self.pid, number).ok();
    }

    /// A signal for its process group, as from a terminal. It leads one from its setsid(2) on,
    /// until then there is only itself.
    pub(super) fn signal_group(&self, number: i32) {
        if send(Pid::from_raw(-self.pid.as_raw()), number).is_err() {
            self.signal(number);
        }
    }

    /// Ends everything that it has started; at least its process group where that fails.
    pub(super) fn kill_all(&self) {
        self.group.kill().ok();
        self.signal_group(libc::SIGKILL);
    }

    pub(super) fn guard_end(&self) -> Option<BorrowedFd<'_>> {
        self.group.guard_end()
    }

    pub(super) fn replace_guard(&mut self) {
        self.group.replace_guard();
    }
}
