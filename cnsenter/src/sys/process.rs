//! Processes: making them in special ways, naming them by file descriptor, ending.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::unistd::Pid;

/// From linux/sched.h; libc's own constant is too narrow.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which side of a fork this is.
#[derive(Debug)]
pub enum Fork {
    /// The new process.
    Child,
    /// The old one, and the new one's PID in the old one's PID namespace.
    Parent(Pid),
}

fn check(ret: libc::c_long) -> io::Result<libc::c_long> {
    if ret < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(ret)
    }
}

fn forked(ret: libc::c_long) -> Fork {
    match ret {
        0 => Fork::Child,
        pid => Fork::Parent(Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX))),
    }
}

/// fork(2). The caller has one thread, so the child may do whatever the parent might.
///
/// # Errors
/// As fork(2).
pub fn fork() -> io::Result<Fork> {
    // SAFETY: this program never starts a thread that outlives a call (the enter path asserts it),
    // so no lock can be held by a thread that the child lacks.
    check(unsafe { libc::fork() }.into()).map(forked)
}

/// A child whose end sends no SIGCHLD (wait for it with `__WALL`, waitpid(2)); born in the cgroup
/// v2 directory `cgroup` if there is one (clone3(2), CLONE_INTO_CGROUP).
///
/// # Errors
/// As clone(2) and clone3(2); with a cgroup ENOSYS before Linux 5.3, E2BIG before 5.7.
pub fn fork_silently(cgroup: Option<BorrowedFd<'_>>) -> io::Result<Fork> {
    clone(0, cgroup)
}

/// The same for a child whose end, and that of its [`fork_sibling`]s until they exec, sends SIGCHLD.
///
/// # Errors
/// As [`fork_silently`].
pub fn fork_into(cgroup: Option<BorrowedFd<'_>>) -> io::Result<Fork> {
    clone(libc::SIGCHLD, cgroup)
}

fn clone(end: libc::c_int, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Fork> {
    let end = end.unsigned_abs();
    let Some(cgroup) = cgroup else {
        // SAFETY: only a signal and no stack, so this acts as fork(2); see `fork` for threads. The C
        // library's idea of the thread ID is stale in the child, which matters to raise(3) and
        // abort(3) only; children leave by `exit_now` or exec.
        return check(unsafe {
            libc::syscall(
                libc::SYS_clone,
                end as usize,
                0usize,
                0usize,
                0usize,
                0usize,
            )
        })
        .map(forked);
    };
    // SAFETY: clone_args is a plain struct of integers, for which zero means "not used".
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = CLONE_INTO_CGROUP;
    args.exit_signal = end.into();
    args.cgroup = cgroup.as_raw_fd().cast_unsigned().into();
    // SAFETY: the struct is valid for its size; else as above.
    check(unsafe { libc::syscall(libc::SYS_clone3, &args, size_of::<libc::clone_args>()) })
        .map(forked)
}

/// clone(2) with CLONE_PARENT: the new process is our sibling, a child of our own parent. It is
/// born in the PID namespace that setns(2) chose for our children. Until it execs its end sends the
/// signal that ours does.
///
/// # Errors
/// As clone(2); ENOMEM if that namespace's init is gone.
pub fn fork_sibling() -> io::Result<Fork> {
    let flags = libc::c_long::from(libc::CLONE_PARENT | libc::SIGCHLD);
    // SAFETY: as in `fork_silently`. The order of the last arguments differs between
    // architectures; all are zero.
    check(unsafe { libc::syscall(libc::SYS_clone, flags, 0usize, 0usize, 0usize, 0usize) })
        .map(forked)
}

/// Leaves at once: no destructors, no buffers, which belong to the parent (_exit(2)).
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit takes any integer and does not return.
    unsafe { libc::_exit(code) }
}

/// pidfd_open(2).
///
/// # Errors
/// As pidfd_open(2); ENOSYS before Linux 5.3.
pub fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: plain integers.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    // SAFETY: the kernel has just made this descriptor for us; it is close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(RawFd::try_from(fd).unwrap_or(-1)) })
}

/// Closes every descriptor from `first` on (close_range(2)).
///
/// # Errors
/// As close_range(2); before Linux 5.9 every number up to the limit is closed one by one.
pub fn close_from(first: RawFd) -> io::Result<()> {
    // SAFETY: whoever owns these descriptors is about to exec or exit and does not use them again.
    let ret = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    match check(ret) {
        Ok(_) => Ok(()),
        Err(e) if e.raw_os_error() == Some(libc::ENOSYS) => {
            let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)?;
            for fd in first..RawFd::try_from(limit.1).unwrap_or(RawFd::MAX) {
                // SAFETY: as above; closing a number that is not open is harmless.
                unsafe { libc::close(fd) };
            }
            Ok(())
        }
        Err(e) => Err(e),
    }
}

/// Closes every descriptor but those.
///
/// # Errors
/// As close_range(2).
pub fn close_all_but(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut keep: Vec<RawFd> = keep.iter().map(AsRawFd::as_raw_fd).collect();
    keep.sort_unstable();
    let mut first = 0;
    for fd in keep {
        close_between(first, fd - 1)?;
        first = fd + 1;
    }
    close_from(first)
}

fn close_between(first: RawFd, last: RawFd) -> io::Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: as in `close_from`.
    match check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }) {
        Err(e) if e.raw_os_error() == Some(libc::ENOSYS) => {
            for fd in first..=last {
                // SAFETY: as above.
                unsafe { libc::close(fd) };
            }
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Gives these signals their default actions. (Handlers need none: exec takes them away.)
pub fn reset_signal_actions(numbers: &[i32]) {
    for number in numbers {
        // SAFETY: SIG_DFL is a valid action; for KILL and STOP the call fails, as it may.
        unsafe { libc::signal(*number, libc::SIG_DFL) };
    }
}

/// stdin, stdout and stderr, which the Rust runtime keeps open.
#[must_use]
pub fn standard_fds() -> [BorrowedFd<'static>; 3] {
    // SAFETY: the runtime opens /dev/null at start where one of them is closed, and nothing here
    // ever closes them.
    [0, 1, 2].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Joins a new anonymous session keyring, so that the caller's keys stay behind
/// (keyctl_join_session_keyring(3)).
///
/// # Errors
/// As keyctl(2); ENOSYS in a kernel without keys, EPERM under Docker's seccomp filter.
pub fn join_new_session_keyring() -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring.
    check(unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<libc::c_char>(),
        )
    })?;
    Ok(())
}

/// A descriptor that is never open, to ask a system call for nothing but its EBADF.
#[must_use]
pub fn no_fd() -> BorrowedFd<'static> {
    // SAFETY: BorrowedFd excludes -1 alone. This number is beyond every limit of open files, so
    // nothing can ever be open under it.
    unsafe { BorrowedFd::borrow_raw(RawFd::MAX) }
}

/// Owns a descriptor that has just arrived by SCM_RIGHTS (unix(7)).
#[must_use]
pub fn received_fd(fd: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor for us, and nix hands out each once.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
