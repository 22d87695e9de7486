//! Sets of signals with the real-time ones, which nix cannot name, and sending them.

use std::io;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::unistd::Pid;

/// The first real-time signal that no C library keeps for itself (musl: 32 to 34).
pub const FIRST_REAL_TIME: i32 = 35;
/// The last signal there is (signal(7)).
pub const LAST: i32 = 64;

/// A set of signals by their numbers; what is no signal is left out.
#[must_use]
pub fn set_of(numbers: impl IntoIterator<Item = i32>) -> SigSet {
    let mut set = *SigSet::empty().as_ref();
    for number in numbers {
        // SAFETY: `set` is an initialised sigset_t; a wrong number makes the call fail only.
        unsafe { libc::sigaddset(&raw mut set, number) };
    }
    // SAFETY: an initialised sigset_t, and every bit that was set names a signal.
    unsafe { SigSet::from_sigset_t_unchecked(set) }
}

/// Gives SIGCHLD its default action: if our parent ignored it, children would be reaped unseen.
///
/// # Errors
/// As sigaction(2).
pub fn default_sigchld() -> io::Result<()> {
    // SAFETY: SIG_DFL is no function of ours that could be called at a bad moment.
    unsafe { nix::sys::signal::signal(Signal::SIGCHLD, nix::sys::signal::SigHandler::SigDfl) }?;
    Ok(())
}

/// Sends a signal to a process, by its number.
///
/// # Errors
/// As kill(2).
pub fn send(pid: Pid, number: i32) -> io::Result<()> {
    // SAFETY: kill takes two integers and touches no memory of ours.
    match unsafe { libc::kill(pid.as_raw(), number) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Lets SIGTSTP do to ourselves what it does by default: stop, until SIGCONT. It does nothing in
/// an orphaned process group, which no shell could ever continue.
///
/// # Errors
/// As sigprocmask(2).
pub fn stop_self() -> io::Result<()> {
    let stop = set_of([libc::SIGTSTP]);
    send(Pid::this(), libc::SIGTSTP)?;
    // It is delivered before this call returns, which it does after SIGCONT.
    pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&stop), None)?;
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&stop), None)?;
    Ok(())
}
