//! What nix does not offer for pipes and other streams.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// How many bytes can be read at once (FIONREAD): for a pipe, all that is in it.
///
/// # Errors
/// As ioctl(2).
pub fn readable_bytes(fd: BorrowedFd<'_>) -> io::Result<u64> {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int to a valid place.
    match unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut count) } {
        0 => Ok(u64::try_from(count).unwrap_or(0)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes the descriptor number `fd` refer to what `with` does: what it referred to is closed.
///
/// # Errors
/// As dup2(2).
pub fn replace(fd: BorrowedFd<'_>, with: impl AsFd) -> io::Result<()> {
    // SAFETY: both are open; `fd` stays an open descriptor, so whoever owns the number still does.
    match unsafe { libc::dup2(with.as_fd().as_raw_fd(), fd.as_raw_fd()) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
