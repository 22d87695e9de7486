//! What namespace files tell (ioctl_nsfs(2)).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The uid, in our own user namespace, of whoever made a user namespace (`/proc/PID/ns/user`).
///
/// # Errors
/// EINVAL if `ns` is no user namespace; ENOTTY if it is no namespace at all.
pub fn owner_uid(ns: BorrowedFd<'_>) -> io::Result<u32> {
    const NS_GET_OWNER_UID: libc::Ioctl = 0xb704;
    let mut uid: libc::uid_t = 0;
    // SAFETY: `ns` is open during the call, and the kernel writes one uid_t to `uid`.
    let done = unsafe { libc::ioctl(ns.as_raw_fd(), NS_GET_OWNER_UID, &raw mut uid) };
    if done == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(uid)
}
