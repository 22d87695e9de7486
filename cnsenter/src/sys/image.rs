//! Our own image: detached mounts of it, executing it from a file descriptor, and its pages.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

fn check(ret: libc::c_long) -> io::Result<libc::c_long> {
    if ret < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(ret)
    }
}

/// A detached bind mount of the file at `path` (open_tree(2) with OPEN_TREE_CLONE). It belongs to
/// no mount namespace and is gone when nothing refers to it.
///
/// # Errors
/// As open_tree(2): ENOSYS before Linux 5.2, EINVAL if the file is in another mount namespace.
pub fn detached_bind(path: &CStr) -> io::Result<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: the path ends in NUL.
    let fd =
        check(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(RawFd::try_from(fd).unwrap_or(-1)) })
}

/// Makes a detached mount read-only (mount_setattr(2)).
///
/// # Errors
/// As mount_setattr(2); ENOSYS before Linux 5.12.
pub fn make_read_only(mount: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: mount_attr is a plain struct of integers.
    let mut attr: libc::mount_attr = unsafe { std::mem::zeroed() };
    attr.attr_set = libc::MOUNT_ATTR_RDONLY;
    // SAFETY: the path is empty as AT_EMPTY_PATH wants it, the struct valid for its size.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    })?;
    Ok(())
}

/// Takes a descriptor that exec has left open for us.
///
/// # Errors
/// EBADF if it is not open.
pub fn take_inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: plain integers; fails on a descriptor that is not open.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }.into())?;
    // SAFETY: it is open, above 2, and nothing else in this program has opened a descriptor yet.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Lets go of the pages of our own code. What is used again comes back from the page cache, several
/// pages with each fault; most of what a start takes is not used while a command runs.
pub fn let_go_of_code() {
    unsafe extern "C" {
        /// Where the image begins, by the linker.
        static __executable_start: u8;
        /// Where its code ends (end(3)).
        static etext: u8;
    }
    let start = &raw const __executable_start;
    // SAFETY: asks for a number.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(1 << 16);
    let length = (&raw const etext).addr() - start.addr();
    // SAFETY: nobody writes to these pages, so that each is again what the file has (madvise(2)); the
    // last one, which may not be code to its end, is left out.
    unsafe {
        libc::madvise(
            start.cast_mut().cast(),
            length / page * page,
            libc::MADV_DONTNEED,
        )
    };
}
