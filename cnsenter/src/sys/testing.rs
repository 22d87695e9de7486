//! Tests of signals and terminals need a process of their own: the harness has many threads.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use crate::sys::process;
use crate::sys::signals::LAST;
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout};

/// Runs `body` in a forked child with these standard streams and no other descriptor, above all
/// none of other tests; it exits with what `body` returns (101 if it panics).
pub(crate) fn fork(stdio: [&OwnedFd; 3], body: impl FnOnce() -> u8) -> Pid {
    // SAFETY: the child is a copy with this thread alone; glibc makes malloc usable in it.
    match unsafe { nix::unistd::fork() }.unwrap() {
        nix::unistd::ForkResult::Parent { child } => child,
        nix::unistd::ForkResult::Child => {
            let run = || {
                // Copies first: they could be among 0 to 2 in another order.
                let copies = stdio.map(|fd| fd.try_clone().unwrap());
                dup2_stdin(&copies[0]).unwrap();
                dup2_stdout(&copies[1]).unwrap();
                dup2_stderr(&copies[2]).unwrap();
                std::mem::forget(copies);
                // Whoever starts the tests may ignore signals, as a shell does for `make test &`.
                let but_as_rust_has_it: Vec<_> =
                    (1..=LAST).filter(|n| *n != libc::SIGPIPE).collect();
                process::reset_signal_actions(&but_as_rust_has_it);
                // SAFETY: nothing in this child uses a descriptor from before.
                unsafe { libc::close_range(3, u32::MAX, 0) };
                body()
            };
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
            // SAFETY: ends the child at once, without the harness's exit handlers.
            unsafe { libc::_exit(i32::from(code.unwrap_or(101))) }
        }
    }
}

/// Makes a terminal the controlling one of this process, which must lead a session without one.
pub(crate) fn take_terminal(fd: impl AsFd) {
    // SAFETY: TIOCSCTTY takes an integer.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCSCTTY, 0) };
    assert_eq!(result, 0);
}
