//! Why a cnsenter is not sent, or not run.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use cnsenter_protocol::{Hello, PROTOCOL};

/// Why a cnsenter is not sent, or not run. Nothing of it is left on the node.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none to send.
    #[error(
        "there is no cnsenter for {machine} to send to {host}: none of {} is there",
        list(looked)
    )]
    NoProgram {
        /// The node.
        host: String,
        /// Its machine.
        machine: String,
        /// Where it would have been.
        looked: Vec<PathBuf>,
    },
    /// Nobody has built one.
    #[error("{host} is of the machine {machine}, and cnsenter is built for x86_64 and aarch64")]
    Machine {
        /// The node.
        host: String,
        /// What its `uname -m` says.
        machine: String,
    },
    /// It is not to be read.
    #[error("cannot read {}, which is to be sent", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It would not run there.
    #[error("{} is not sent to {host}: {why}", path.display())]
    Unfit {
        /// The node.
        host: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Names would have to be guessed.
    #[error("cannot make a name for cnsenter's folder: there are no random numbers")]
    Random,
    /// Commands are not run there, or not these.
    #[error("cannot send cnsenter to {host}: no sh runs there for us: {said}")]
    NoShell {
        /// The node.
        host: String,
        /// What was heard instead.
        said: String,
    },
    /// Nobody answers.
    #[error("cannot send cnsenter to {host}: it was silent for {}", humantime::format_duration(*limit))]
    Silent {
        /// The node.
        host: String,
        /// How long.
        limit: Duration,
    },
    /// No folder is private and lets programs run.
    #[error("{host} has no place that cnsenter could be run from: {tried}")]
    Nowhere {
        /// The node.
        host: String,
        /// Places, and what is wrong with each.
        tried: String,
    },
    /// The node's own words.
    #[error("cnsenter cannot be stored and run on {host}: {said}")]
    Failed {
        /// The node.
        host: String,
        /// They.
        said: String,
    },
    /// No program for SHA-256.
    #[error(
        "cnsenter is not run on {host}: whether it arrived as it was sent cannot be told, for there is \
         no sha256sum, shasum or openssl"
    )]
    Unchecked {
        /// The node.
        host: String,
    },
    /// Something is between us.
    #[error(
        "cnsenter did not arrive at {host} as it was sent, and is not run: its SHA-256 is {got} there, \
         and {sent} here"
    )]
    Differs {
        /// The node.
        host: String,
        /// Ours.
        sent: String,
        /// Theirs.
        got: String,
    },
    /// sudo or doas runs what it knows, and this is not.
    #[error("{program} does not run the cnsenter that is sent as root on {host}: {said}")]
    Root {
        /// The node.
        host: String,
        /// sudo, doas or what was named.
        program: String,
        /// Its words.
        said: String,
    },
    /// Another release's.
    #[error(
        "{} is cnsenter {}, which speaks session protocols {} to {}, and kpexec {} speaks {PROTOCOL}",
        path.display(), hello.version, hello.oldest, hello.newest, env!("CARGO_PKG_VERSION")
    )]
    Version {
        /// The file that was sent.
        path: PathBuf,
        /// Its greeting.
        hello: Hello,
    },
}

impl Error {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoProgram { machine, .. } => {
                return Some(format!(
                    "--push=FILE names it: a static cnsenter for {machine}, of kpexec's release"
                ));
            }
            Self::Unfit { .. } | Self::Version { .. } => {
                "--push=FILE names another: a static one for the node's machine, of kpexec's release"
            }
            Self::Nowhere { .. } => {
                "install cnsenter there, where root's programs are: /usr/local/sbin"
            }
            Self::Root { .. } => {
                "--push needs a sudo or doas that allows any program (NOPASSWD: ALL), not the \
                 installed cnsenter alone; or log in as root (--ssh-user root), or install cnsenter \
                 there"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}
