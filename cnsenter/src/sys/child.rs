//! How a child ended, told without reaping it: until it is reaped, its PID cannot be another's.

use std::io;

use nix::unistd::Pid;

/// How a process ended (waitid(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By exit(2), with these lowest 8 bits.
    Exited(u8),
    /// By a signal; any number, the real-time ones included.
    Signaled(i32),
}

/// How the child `pid` has ended; None while it runs or is stopped. It stays a zombie.
///
/// # Errors
/// As waitid(2): ECHILD if it is no child of ours, or somebody has reaped it.
pub fn peek_end(pid: Pid) -> io::Result<Option<End>> {
    wait(pid, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT)
}

/// Reaps the child `pid` if it has ended.
///
/// # Errors
/// As [`peek_end`].
pub fn reap(pid: Pid) -> io::Result<Option<End>> {
    wait(pid, libc::WEXITED | libc::WNOHANG)
}

fn wait(pid: Pid, flags: i32) -> io::Result<Option<End>> {
    let id = libc::id_t::try_from(pid.as_raw()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: siginfo_t is plain data, for which all zeroes is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: `info` is a valid siginfo_t to write to for the length of the call.
        if unsafe { libc::waitid(libc::P_PID, id, &raw mut info, flags) } == 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: after waitid the union holds the fields of SIGCHLD, or zeroes if nobody has ended.
    let (who, status) = unsafe { (info.si_pid(), info.si_status()) };
    if who == 0 {
        return Ok(None);
    }
    Ok(Some(match info.si_code {
        libc::CLD_EXITED => End::Exited((status & 0xff) as u8),
        _ => End::Signaled(status),
    }))
}
