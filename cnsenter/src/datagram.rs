//! Messages on a local socket, each of which may carry a descriptor (unix(7)).

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg, sendmsg,
};
use nix::unistd::Pid;

use crate::sys::process::received_fd;

/// What came with a message.
#[derive(Debug)]
pub(crate) struct Received {
    /// Of the message, in bytes; 0 once every other end is closed.
    pub(crate) length: usize,
    /// What the other end sent with it, close-on-exec.
    pub(crate) fd: Option<OwnedFd>,
    /// Who sent it, in our own PID namespace, as the kernel says; for a socket with SO_PASSCRED.
    pub(crate) sender: Option<Pid>,
}

/// Sends a message. Nobody is killed by SIGPIPE.
///
/// # Errors
/// As sendmsg(2).
pub(crate) fn send(
    socket: impl AsFd,
    bytes: &[u8],
    fd: Option<BorrowedFd<'_>>,
    flags: MsgFlags,
) -> nix::Result<()> {
    let fds = fd.map(|fd| [fd.as_raw_fd()]);
    let rights = fds.as_ref().map(|fds| ControlMessage::ScmRights(fds));
    sendmsg::<()>(
        socket.as_fd().as_raw_fd(),
        &[IoSlice::new(bytes)],
        rights.as_slice(),
        flags | MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}

/// Receives a message; of one that is longer than the buffer the rest is lost.
///
/// # Errors
/// As recvmsg(2).
pub(crate) fn receive(
    socket: impl AsFd,
    buffer: &mut [u8],
    flags: MsgFlags,
) -> nix::Result<Received> {
    let mut space = nix::cmsg_space!([libc::c_int; 1], UnixCredentials);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
    let socket = socket.as_fd().as_raw_fd();
    let message = recvmsg::<()>(socket, &mut parts, Some(&mut space), flags)?;
    let mut received = Received {
        length: message.bytes,
        fd: None,
        sender: None,
    };
    let parts = match message.cmsgs() {
        // No descriptor was free for one that came; the words did.
        Err(nix::Error::ENOBUFS) => return Ok(received),
        parts => parts?,
    };
    for part in parts {
        match part {
            ControlMessageOwned::ScmRights(fds) => {
                received.fd = fds.first().map(|fd| received_fd(*fd));
            }
            ControlMessageOwned::ScmCredentials(sent) if sent.pid() > 0 => {
                received.sender = Some(Pid::from_raw(sent.pid()));
            }
            _ => {}
        }
    }
    Ok(received)
}
