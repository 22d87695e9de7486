//! What the processes that enter tell us, typed, over a socket that exec closes.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, setsockopt, socketpair, sockopt,
};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::datagram;

/// The largest message, in bytes.
const LIMIT: usize = 4096;

/// One message to us.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Message {
    /// The command is all that the plan says, and waits. With a terminal its master side comes
    /// along.
    Ready,
    /// A step failed; nothing was executed.
    Failed(Failure),
}

/// A step that failed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) step: Step,
    /// errno(3), or 0.
    pub(super) errno: i32,
    /// More about it, already escaped.
    pub(super) detail: String,
    /// If the step is exec.
    pub(super) exec: Option<ExecFailure>,
}

/// The steps inside, for messages of the form "cannot STEP".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Before anything is joined.
    Prepare,
    /// setns(2) to the node's, and chroot(2) into its root.
    JoinNode,
    /// setns(2).
    Join,
    /// Becoming root of the user namespace.
    BecomeRoot,
    /// chroot(2) into the container's root.
    Root,
    /// Making the terminal.
    Terminal,
    /// Forking into the PID namespace.
    Fork,
    /// setsid(2), stdio, controlling terminal.
    Session,
    /// The LSM's label.
    Label,
    /// setgroups(2), setresgid(2), setresuid(2), capset(2).
    Identity,
    /// chdir(2).
    Directory,
    /// execve(2).
    Exec,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepare => "prepare to enter the container",
            Self::JoinNode => "join the node's namespaces",
            Self::Join => "join the container's namespaces",
            Self::BecomeRoot => "become root of the container's user namespace",
            Self::Root => "change to the container's root directory",
            Self::Terminal => "make a terminal in the container's /dev/pts",
            Self::Fork => "start a process in the container's PID namespace",
            Self::Session => "set up the command's session",
            Self::Label => "leave the LSM's confinement",
            Self::Identity => "become the command's user",
            Self::Directory => "change to the working directory",
            Self::Exec => "execute the command",
        })
    }
}

/// Why a command could not be executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecFailure {
    /// The command as it was looked for, escaped.
    pub command: String,
    /// What is wrong with it.
    pub reason: ExecReason,
    /// Whether it was looked for among the node's files, not the container's.
    pub on_node: bool,
}

/// What is wrong with a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExecReason {
    /// No such file in any directory of PATH, which this is, escaped.
    NotInPath(String),
    /// No such file.
    Missing,
    /// It is a directory.
    Directory,
    /// No execute permission, or a file system mounted noexec.
    Permission,
    /// The interpreter of its `#!` line is missing.
    Interpreter(String),
    /// The dynamic loader that it names is missing.
    Loader(String),
    /// An ELF file for another machine: its name, and ours.
    Architecture(String, String),
    /// Neither ELF nor `#!`.
    Format,
    /// Anything else; errno(3).
    Other(i32),
}

impl ExecFailure {
    /// 127 if there is no such command, 126 if it cannot be executed, as shells have it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.reason {
            ExecReason::NotInPath(_) | ExecReason::Missing => crate::exit::NOT_FOUND,
            _ => crate::exit::NOT_EXECUTABLE,
        }
    }
}

impl fmt::Display for ExecFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = &self.command;
        let (place, owner) = match self.on_node {
            true => ("on the node", "node"),
            false => ("in the container", "container"),
        };
        match &self.reason {
            ExecReason::NotInPath(path) if self.on_node => {
                write!(f, "no command \"{command}\" {place} (PATH is {path})")
            }
            ExecReason::NotInPath(path) => write!(
                f,
                "no command \"{command}\" {place} (its PATH is {path}); \
                 --no-mount runs the node's own programs"
            ),
            ExecReason::Missing => write!(f, "no file \"{command}\" {place}"),
            ExecReason::Directory => write!(f, "\"{command}\" is a directory"),
            ExecReason::Permission => write!(
                f,
                "\"{command}\" may not be executed: its mode or a noexec mount forbids it"
            ),
            ExecReason::Interpreter(name) => write!(
                f,
                "\"{command}\" is a script for \"{name}\", which the {owner} does not have"
            ),
            ExecReason::Loader(name) => write!(
                f,
                "\"{command}\" needs the dynamic loader \"{name}\", which the {owner} does not have"
            ),
            ExecReason::Architecture(theirs, ours) => {
                write!(
                    f,
                    "\"{command}\" is built for {theirs}, and this node is {ours}"
                )
            }
            ExecReason::Format => write!(
                f,
                "\"{command}\" is neither a program nor a script with a #! line; for a shell script: \
                 sh {command}"
            ),
            ExecReason::Other(errno) => {
                write!(
                    f,
                    "cannot execute \"{command}\": {}",
                    nix::errno::Errno::from_raw(*errno).desc()
                )
            }
        }
    }
}

/// A message that has arrived.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) message: Message,
    pub(super) fd: Option<OwnedFd>,
    /// Who sent it, in our own PID namespace, as the kernel says (SO_PASSCRED, unix(7)).
    pub(super) sender: Option<Pid>,
}

/// One end of the socket.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

impl Channel {
    /// Ours, which learns who sends, and theirs.
    pub(super) fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        setsockopt(&a, sockopt::PassCred, &true)?;
        Ok((Self(a), Self(b)))
    }

    pub(super) fn send(&self, message: &Message, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let bytes = postcard::to_stdvec(message).map_err(io::Error::other)?;
        Ok(datagram::send(&self.0, &bytes, fd, MsgFlags::empty())?)
    }

    /// None once every other end is closed.
    pub(super) fn receive(&self) -> io::Result<Option<Received>> {
        let mut bytes = [0; LIMIT];
        let received = datagram::receive(&self.0, &mut bytes, MsgFlags::empty())?;
        if received.length == 0 {
            return Ok(None);
        }
        let message = postcard::from_bytes(&bytes[..received.length]).map_err(io::Error::other)?;
        Ok(Some(Received {
            message,
            fd: received.fd,
            sender: received.sender,
        }))
    }

    /// Lets the command go on.
    pub(super) fn release(&self) -> io::Result<()> {
        nix::sys::socket::send(self.0.as_raw_fd(), b"go", MsgFlags::MSG_NOSIGNAL)?;
        Ok(())
    }

    /// Waits for [`Channel::release`]; false if the other end is gone.
    pub(super) fn await_release(&self) -> bool {
        let mut word = [0; 2];
        loop {
            match nix::unistd::read(&self.0, &mut word) {
                Ok(n) => return n > 0,
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => return false,
            }
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
