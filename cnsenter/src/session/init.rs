//! The init of the agent's pod: it says when the pod is to end, and waits for those who are here.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use crate::stderr::warn;
use crate::sys::pause::DOOR;

/// A connection to it, for as long as the session lasts.
pub(super) struct Init {
    connection: OwnedFd,
    /// Whether it has said that the pod is to end.
    leaves: bool,
}

impl Init {
    /// Makes us known to it; None where there is none that would wait.
    pub(super) fn of_this_pod() -> Option<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let connection = socket(AddressFamily::Unix, SockType::Stream, flags, None).ok()?;
        let address = UnixAddr::new_abstract(DOOR.as_bytes()).ok()?;
        connect(connection.as_raw_fd(), &address).ok()?;
        Some(Self {
            connection,
            leaves: false,
        })
    }

    /// What to wait for; None once it came.
    pub(super) fn interest(&self) -> Option<BorrowedFd<'_>> {
        (!self.leaves).then(|| self.connection.as_fd())
    }

    /// It never sends anything: this is the end.
    pub(super) fn on_ready(&mut self) {
        self.leaves = true;
        warn(
            "the agent on this node is being stopped; it waits for this command until its pod's grace \
             period is over (a minute, unless the deletion said otherwise), and then kills it",
        );
    }
}
