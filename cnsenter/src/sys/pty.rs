//! Pseudo-terminals of a given devpts (pty(7), ioctl_tty(2)).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

mod ioctl {
    nix::ioctl_write_ptr_bad!(lock, libc::TIOCSPTLCK, libc::c_int);
    nix::ioctl_write_int_bad!(set_controlling, libc::TIOCSCTTY);
}

/// Unlocks the terminal of which `master` is the master side.
///
/// # Errors
/// As ioctl TIOCSPTLCK.
pub fn unlock(master: BorrowedFd<'_>) -> io::Result<()> {
    let unlocked: libc::c_int = 0;
    // SAFETY: the kernel reads one int from the pointer.
    unsafe { ioctl::lock(master.as_raw_fd(), &raw const unlocked) }?;
    Ok(())
}

/// Opens the other side without a path, which something else may have been mounted over
/// (TIOCGPTPEER, Linux 4.13).
///
/// # Errors
/// As ioctl TIOCGPTPEER.
pub fn open_peer(master: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open(2) flags by value and returns a new descriptor.
    let fd = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Makes `terminal` the controlling terminal of our session, which has none yet (TIOCSCTTY).
///
/// # Errors
/// As ioctl TIOCSCTTY.
pub fn make_controlling(terminal: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes an int by value; 0 steals from nobody.
    unsafe { ioctl::set_controlling(terminal.as_raw_fd(), 0) }?;
    Ok(())
}
