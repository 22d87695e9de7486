//! What is asked of cnsenter, validated, and complete: nothing is read from the environment later.
//!
//! The request crosses the re-exec into the sealed image (see [`crate::seal`]) as bytes, so that
//! neither the command line is parsed twice nor the caller's environment kept.

mod query;
mod user;

pub use cnsenter_options::{CgroupChoice, Namespace};
pub use query::{Query, Scheme, parse_pod};
pub use user::{IdOrName, UserSpec};

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long one daemon may take to answer before it is left out.
pub const DAEMON_TIMEOUT: Duration = Duration::from_secs(2);

/// One run of a command in a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Which container.
    pub target: Query,
    /// Where containers are looked up.
    pub lookup: Lookup,
    /// The command and its arguments; never empty.
    pub command: Vec<OsString>,
    /// The command's standard streams.
    pub io: Io,
    /// `-u`: None is root of the container's user namespace.
    pub user: Option<UserSpec>,
    /// `--group-add`.
    pub extra_groups: Vec<IdOrName>,
    /// `-w`: None is the container's own working directory.
    pub workdir: Option<OsString>,
    /// `-e`, on top of the container's own environment.
    pub env: Vec<(OsString, OsString)>,
    /// The caller's whole environment, only where the mount namespace is not entered.
    pub caller_env: Vec<(OsString, OsString)>,
    /// `--clear-env`: start from nothing but `env`.
    pub clear_env: bool,
    /// `--namespaces` and `--no-<ns>`: which of the differing namespaces are entered.
    pub namespaces: Vec<Namespace>,
    /// `--cgroup`.
    pub cgroup: CgroupChoice,
    /// `--memory`: how much the command may have, in bytes; only in a cgroup of its own.
    pub memory: Option<u64>,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// `--kill-on-exit`.
    pub kill_on_exit: bool,
    /// `-v`.
    pub verbose: bool,
    /// What the target must be for the request to hold; None where an admin has named it.
    pub expected: Option<Expected>,
    /// The descriptor of the session that this run belongs to (see [`crate::session`]).
    pub link: Option<RawFd>,
}

/// Whose container a request from elsewhere means, however it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Pod name.
    pub pod: String,
    /// Pod UID.
    pub uid: Option<String>,
    /// Container name.
    pub container: Option<String>,
    /// The full ID.
    pub id: Option<String>,
}

/// Where and how containers are looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// `--runtime`.
    pub runtime: RuntimeChoice,
    /// `--runtime-endpoint`: a socket's path; asked alone if given.
    pub endpoint: Option<PathBuf>,
    /// `--runtime-namespace`: containerd's namespace; all if None.
    pub runtime_namespace: Option<String>,
    /// `--host-root`: where the node's root file system is seen; `/` on the node itself.
    pub host_root: PathBuf,
    /// DOCKER_HOST of the caller, if it names a unix socket.
    pub docker_host: Option<PathBuf>,
    /// How long one daemon may take to answer.
    pub timeout: Duration,
}

impl Lookup {
    /// Whether this is the node itself, and not a pod on it.
    #[must_use]
    pub fn is_on_node(&self) -> bool {
        self.host_root == Path::new("/")
    }
}

impl Default for Lookup {
    fn default() -> Self {
        Self {
            runtime: RuntimeChoice::Auto,
            endpoint: None,
            runtime_namespace: None,
            host_root: PathBuf::from("/"),
            docker_host: None,
            timeout: DAEMON_TIMEOUT,
        }
    }
}

/// `--runtime`: which sources are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum RuntimeChoice {
    /// State directories first, then whatever daemon is there, then /proc.
    Auto,
    /// containerd's state directories and API.
    Containerd,
    /// A CRI socket.
    Cri,
    /// Docker's state directories and API.
    Docker,
    /// No daemon: state directories and /proc.
    None,
}

/// The command's standard streams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Io {
    /// Whether our stdin is the command's; else it reads /dev/null.
    pub stdin: bool,
    /// The command gets a terminal of its own, and this TERM.
    pub tty: Option<Tty>,
    /// A terminal was asked for, and there is none to pass on.
    pub tty_refused: bool,
}

/// The caller's terminal, as far as the command should know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tty {
    /// TERM of the caller.
    pub term: Option<OsString>,
    /// Rows and columns, where no terminal of ours tells them.
    pub size: Option<(u16, u16)>,
}

/// What is wrong with a TARGET or another value of the command line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Options that kpexec has, too.
    #[error(transparent)]
    Options(#[from] cnsenter_options::Error),
    /// TARGET is empty.
    #[error(
        "TARGET is empty; give a container's ID or name, NS/POD[/CONTAINER] or pid:N (cnsenter ls lists them)"
    )]
    EmptyTarget,
    /// `pid:` without a positive number.
    #[error("\"{0}\" is no process ID; write pid:1234")]
    BadPid(String),
    /// An unknown `scheme://`.
    #[error(
        "\"{0}://\" is no container runtime known here; use containerd://, cri-o://, docker:// or podman://"
    )]
    BadScheme(String),
    /// Not two or three parts.
    #[error("\"{0}\" is no pod; write NS/POD or NS/POD/CONTAINER")]
    BadPod(String),
    /// An ID or name with characters that none has.
    #[error("\"{0}\" is no container ID: only letters, digits, \"_\", \".\", \"-\" occur there")]
    BadId(String),
    /// A user or group that is neither a number in range nor a name.
    #[error(
        "\"{0}\" is no user or group; write UID[:GID] or NAME[:GROUP], numbers from 0 to 4294967294"
    )]
    BadUser(String),
}

#[cfg(test)]
mod tests;
