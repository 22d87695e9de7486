//! Terminals: sizes, and the signals of a pty (ioctl_tty(2)).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::pty::Winsize;

/// A size in characters, of which the pixels are not known.
#[must_use]
pub fn size_of(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

/// A terminal's size in characters.
///
/// # Errors
/// ENOTTY if it is none.
pub fn window_size(fd: BorrowedFd<'_>) -> io::Result<Winsize> {
    let mut size = size_of(0, 0);
    // SAFETY: TIOCGWINSZ writes one struct winsize to a valid place.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) })?;
    Ok(size)
}

/// Sets a terminal's size; its foreground process group gets SIGWINCH if that is a change.
///
/// # Errors
/// ENOTTY if it is none.
pub fn set_window_size(fd: BorrowedFd<'_>, size: &Winsize) -> io::Result<()> {
    // SAFETY: TIOCSWINSZ reads one struct winsize from a valid place.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSWINSZ, &raw const *size) })?;
    Ok(())
}

/// Sends SIGINT, SIGQUIT or SIGTSTP to the foreground process group of the other end of a pty
/// master, as its keys would.
///
/// # Errors
/// EINVAL for another signal.
pub fn signal_foreground(master: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    // SAFETY: TIOCSIG takes an integer and touches no memory of ours.
    check(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSIG, number) })?;
    Ok(())
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        value => Ok(value),
    }
}
