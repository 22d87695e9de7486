//! Doing what the plan says.
//!
//! Three processes take part besides us: an *intermediate*, which joins the target's namespaces
//! and opens the terminal; the *command*, which the intermediate forks into the target's PID
//! namespace as our own child; and a *guard*, which outlives us and ends what we leave behind.

mod account_file;
mod cgroup;
mod cgroup_bound;
mod cgroup_leaf;
mod cgroup_mounts;
mod child;
mod crew;
mod exec;
mod facts;
mod guard;
mod message;
mod ourselves;
mod start;
mod stdio;
mod target;
mod verify;

pub use cgroup_leaf::Leaf;
pub use facts::gather;
pub use guard::Guard;
pub use message::{ExecFailure, Step};
pub use ourselves::Ourselves;
pub use start::{Started, Starter};
pub use target::{Target, pin};

use std::io;

use nix::unistd::Pid;

/// The node's init: a pod that can enter others is in the node's PID namespace (`hostPID`).
const NODES_INIT: Pid = Pid::from_raw(1);

/// Why a container was not entered, or the command in it not started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node's /proc said no.
    #[error(transparent)]
    Proc(crate::hostproc::Error),
    /// The container's init ended while we looked.
    #[error("the container's init (PID {0}) has just ended; nothing was run")]
    InitGone(i32),
    /// The container is frozen.
    #[error(
        "container {0} is paused; resume it first (docker unpause, ctr task resume, podman unpause)"
    )]
    Paused(String),
    /// We have more than one thread, so setns(2) would refuse.
    #[error("cnsenter has {0} threads where it must have one; please report this")]
    Threads(String),
    /// A capability that entering needs is missing.
    #[error("entering a container takes {0}; run cnsenter as root (sudo cnsenter ...)")]
    MissingCapability(String),
    /// A seccomp filter on ourselves denies what entering needs.
    #[error(
        "a seccomp filter on this shell denies {0}; run cnsenter on the node itself, or in a pod with \
         privileged: true"
    )]
    OwnSeccomp(&'static str),
    /// A step outside the container failed.
    #[error("cannot {what}")]
    Outside {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A step in the container failed.
    #[error("cannot {step}{detail}")]
    Inside {
        /// Which.
        step: Step,
        /// More about it.
        detail: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The processes that enter ended without a word.
    #[error("the process that enters the container was killed on the way ({0}); nothing was run")]
    Lost(&'static str),
    /// It did not get there in time.
    #[error("the container was not entered within {0} s: is it being paused or stopped?")]
    Slow(u64),
    /// What is in force is not what was planned.
    #[error(
        "the command would not run as planned: its {what} would be {found} instead of {planned}; nothing was run"
    )]
    NotAsPlanned {
        /// What differs.
        what: &'static str,
        /// What the kernel says.
        found: String,
        /// What was planned.
        planned: String,
    },
    /// The admin ended cnsenter before the command had started.
    #[error("ended by signal {0} before the command was started")]
    Cancelled(i32),
    /// The command could not be executed.
    #[error("{0}")]
    Exec(ExecFailure),
}

impl Error {
    /// The exit code (session-protocol's table).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Exec(failure) => failure.exit_code(),
            Self::Cancelled(signal) => crate::exit::of_signal(*signal),
            _ => crate::exit::CANNOT_ENTER,
        }
    }
}

impl From<crate::hostproc::Error> for Error {
    fn from(error: crate::hostproc::Error) -> Self {
        match error {
            // It was there a moment ago.
            crate::hostproc::Error::NoProcess(pid) => Self::InitGone(pid),
            other => Self::Proc(other),
        }
    }
}

/// Names the operation that an error of the system belongs to.
pub(crate) trait During<T> {
    /// Says what was tried, as in "cannot WHAT".
    fn during(self, what: &'static str) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|e| Error::Outside {
            what,
            source: e.into(),
        })
    }
}
