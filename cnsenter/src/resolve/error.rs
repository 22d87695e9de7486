//! Why there is no container to enter, and what the admin can do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use crate::escape::{escaped, escaped_path};
use crate::hostproc;
use crate::request::Query;

use super::trust;

/// Something that was left out of the search; one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(pub String);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why no container was resolved. Nothing has been run; cnsenter exits with 125.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No source knows it.
    #[error("no container \"{query}\" on this node{}", left_out(.unasked))]
    NotFound {
        /// As the admin spelled it, escaped.
        query: String,
        /// The sources that were searched, in words.
        searched: String,
        /// What was not asked, and why.
        unasked: Vec<Warning>,
    },
    /// Several containers are meant.
    #[error("\"{query}\" is not unique: it means {}", .candidates.join(", "))]
    Ambiguous {
        /// As the admin spelled it, escaped.
        query: String,
        /// What can be written instead, each with a name in brackets where there is one; escaped.
        candidates: Vec<String>,
    },
    /// It has ended.
    #[error("container {} has exited{}", escaped(.id), exit_words(*.code, *.at))]
    Exited {
        /// Its ID.
        id: String,
        /// Exit code, if known.
        code: Option<i32>,
        /// When, in seconds since the epoch, if known.
        at: Option<i64>,
    },
    /// Its process waits to be started.
    #[error("container {} {}", escaped(.id), not_started(*.waiting))]
    NotStarted {
        /// Its ID.
        id: String,
        /// Whether it has a process that waits; else it was never started, or its runtime forgot.
        waiting: bool,
    },
    /// Its state directory is half there.
    #[error("container {} is just being created or deleted", escaped(.id))]
    InTransition {
        /// Its ID.
        id: String,
    },
    /// It is a pod's sandbox.
    #[error("{} is the sandbox of pod {}, not a container", escaped(.id), escaped(.pod))]
    Sandbox {
        /// Its ID.
        id: String,
        /// The pod, `NS/POD`, or what is known of it.
        pod: String,
        /// The pod's containers, as targets; escaped.
        containers: Vec<String>,
    },
    /// Its processes are not this kernel's.
    #[error("container {} runs in {}, not on this node's kernel: PID {pid} is {}",
        escaped(.id), .kind.name(), .kind.process())]
    OtherKernel {
        /// Its ID.
        id: String,
        /// What runs it instead.
        kind: OtherKernel,
        /// The process that its runtime names.
        pid: i32,
    },
    /// Somebody could have forged the state that names it.
    #[error("the state of container {} is not trusted", escaped(.id))]
    Untrusted {
        /// Its ID.
        id: String,
        /// Which file, and its owner or mode.
        #[source]
        source: trust::Error,
    },
    /// A user's own runtime names a process that is not in that user's containers.
    #[error("{} belongs to uid {owner}, but PID {pid} is {found}", escaped_path(.path))]
    NotTheirs {
        /// The state.
        path: PathBuf,
        /// Whose runtime it is.
        owner: u32,
        /// The process it names.
        pid: i32,
        /// Where the process is instead.
        found: String,
    },
    /// Its state cannot be read.
    #[error("cannot read the state of container {}", escaped(.id))]
    State {
        /// Its ID.
        id: String,
        /// Why.
        #[source]
        source: trust::Error,
    },
    /// It ended, or was replaced, between being found and being entered.
    #[error("container {} ended while it was being entered (PID {pid} is no longer its init)",
        escaped(.id))]
    Vanished {
        /// Its ID.
        id: String,
        /// The process that was its init.
        pid: i32,
    },
    /// It is not the one that was asked for by its place in Kubernetes.
    #[error("container {} is {}, not {}; nothing was run", escaped(.id), escaped(.found), escaped(.expected))]
    Elsewhere {
        /// Its ID.
        id: String,
        /// What its runtime says of it.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// `pid:N` names no process that can be entered.
    #[error("process {0} has ended: it is a zombie")]
    Zombie(i32),
    /// The socket that was given cannot be used.
    #[error("no container runtime answers at {}", escaped_path(.path))]
    Endpoint {
        /// `--runtime-endpoint`.
        path: PathBuf,
        /// Why.
        #[source]
        source: EndpointError,
    },
    /// `--host-root` cannot be opened.
    #[error("cannot open the node's root file system")]
    HostRoot(#[source] trust::Error),
    /// The async runtime could not be made.
    #[error("cannot talk to container runtimes")]
    Client(#[source] io::Error),
    /// /proc does not answer.
    #[error(transparent)]
    Proc(#[from] hostproc::Error),
}

/// Why a daemon gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// No socket, or nobody listens.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// It accepted, and stayed silent or never came to an end.
    #[error("it did not answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// It is not a runtime that is known here.
    #[error("it answers neither as containerd, nor as a CRI runtime, nor as Docker")]
    Unknown,
    /// It answered with an error, or with what its protocol does not know.
    #[error("it answered: {0}")]
    Answer(String),
}

/// What runs a container that is not a container of this kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherKernel {
    /// A virtual machine.
    Kata,
    /// A kernel in user space.
    Gvisor,
    /// Its process shares namespaces with the node that its spec wants for itself.
    Unknown,
}

impl OtherKernel {
    fn name(self) -> &'static str {
        match self {
            Self::Kata => "a Kata virtual machine",
            Self::Gvisor => "gVisor",
            Self::Unknown => "a virtual machine or another kernel",
        }
    }

    fn process(self) -> &'static str {
        match self {
            Self::Kata => "the hypervisor or its shim",
            Self::Gvisor => "the gVisor sandbox",
            Self::Unknown => "in the node's own namespaces",
        }
    }
}

impl Error {
    /// What to do about it, in one line.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { query, .. } if query.len() < Query::MIN_PREFIX => format!(
                "the beginning of an ID needs {} characters; cnsenter ls -a lists what there is",
                Query::MIN_PREFIX
            ),
            Self::NotFound { searched, .. } => {
                format!("searched {searched}; cnsenter ls -a lists what there is")
            }
            Self::Elsewhere { .. } => "the pod may have been replaced: look it up again".into(),
            Self::Ambiguous { .. } => {
                "give a longer ID, or NS/POD/CONTAINER (kpexec: -c CONTAINER)".into()
            }
            Self::Exited { .. } => {
                "its files and logs are still there for the runtime's own tools; restart it to enter it".into()
            }
            Self::NotStarted { .. } => "start it first".into(),
            Self::InTransition { .. } => "try again in a moment".into(),
            Self::Sandbox { containers, .. } if containers.is_empty() => {
                "none of its containers is running".into()
            }
            Self::Sandbox { containers, .. } => {
                format!("enter one of its containers: {}", containers.join(", "))
            }
            Self::OtherKernel { kind, id, .. } => match kind {
                OtherKernel::Kata => format!("use kata-runtime exec {id}, or crictl exec / ctr task exec"),
                OtherKernel::Gvisor => format!("use runsc exec {id}, or crictl exec / ctr task exec"),
                OtherKernel::Unknown => "use the runtime's own exec (crictl exec, ctr task exec)".into(),
            },
            Self::Untrusted { .. } => {
                "only root, or a rootless container's user, may own and write it and every folder above".into()
            }
            Self::NotTheirs { pid, .. } => format!("if you know that process, enter it by pid:{pid}"),
            Self::Vanished { .. } => "if it was restarted, try again: it has a new process, maybe a new ID".into(),
            Self::Endpoint { .. } => {
                "give the runtime's unix socket, or leave --runtime-endpoint out to search all of them".into()
            }
            Self::HostRoot(_) => "give --host-root the folder where the node's / is mounted".into(),
            Self::State { .. } => "run as root on the node, or in a pod with the node's root at --host-root".into(),
            Self::Zombie(_) | Self::Client(_) | Self::Proc(_) => return None,
        })
    }
}

fn not_started(waiting: bool) -> &'static str {
    if waiting {
        "is created but not started"
    } else {
        "has no process: it was not started, or not again"
    }
}

fn left_out(unasked: &[Warning]) -> String {
    if unasked.is_empty() {
        return String::new();
    }
    let all: Vec<_> = unasked.iter().map(|w| w.0.as_str()).collect();
    format!(" that could be found ({})", all.join("; "))
}

/// ` with code 1 at 2026-01-02T03:04:05Z (4 min ago)`, as far as it is known.
fn exit_words(code: Option<i32>, at: Option<i64>) -> String {
    let mut words = code.map(|c| format!(" with code {c}")).unwrap_or_default();
    if let Some(at) = at {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.map_or(0, |d| d.as_secs().cast_signed());
        words += &format!(" at {} ({})", rfc3339(at), age(now.saturating_sub(at)));
    }
    words
}

/// A time in seconds since the epoch, as RFC 3339 writes it.
pub(crate) fn rfc3339(seconds: i64) -> String {
    prost_types::Timestamp { seconds, nanos: 0 }.to_string()
}

/// `90` as `90 s ago`.
fn age(seconds: i64) -> String {
    match seconds {
        ..0 => "in the future".into(),
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_code_and_time_of_an_exit() {
        assert_eq!(exit_words(None, None), "");
        assert_eq!(exit_words(Some(3), None), " with code 3");
        let words = exit_words(Some(137), Some(0));
        assert!(
            words.starts_with(" with code 137 at 1970-01-01T00:00:00Z ("),
            "{words}"
        );
        assert_eq!(age(90), "90 s ago");
        assert_eq!(age(600), "10 min ago");
    }

    #[test]
    fn shows_escapes_in_what_a_daemon_said() {
        let e = Error::Exited {
            id: "a\u{1b}[2J".into(),
            code: None,
            at: None,
        };
        assert_eq!(e.to_string(), "container a\\x1b[2J has exited");
    }
}
