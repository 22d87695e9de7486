//! Why a session ended without the command's exit code.

use std::io;
use std::time::Duration;

use cnsenter_protocol::{Failure, Hello, PROTOCOL, exit};

/// Why there is no exit code of the command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// cnsenter did not start, or something else did.
    #[error(
        "cnsenter did not answer on node {node}: {}",
        if reason.is_empty() { "it ended without a word" } else { reason }
    )]
    NoHello {
        /// The node.
        node: String,
        /// What was heard instead.
        reason: String,
    },
    /// It speaks another protocol.
    #[error(
        "cnsenter {} on the node speaks session protocols {} to {}, kpexec {} speaks {PROTOCOL}; {}",
        .0.version, .0.oldest, .0.newest, env!("CARGO_PKG_VERSION"),
        if .0.newest < PROTOCOL { "update the nodepause pods, or the node's own cnsenter" } else { "update kpexec" }
    )]
    Version(Hello),
    /// cnsenter says why not.
    #[error("{}", .0.message)]
    Failed(Failure),
    /// Nobody knows how the command ends.
    #[error(
        "the connection to node {node} was lost: {reason}; {}",
        fate(*pid, *lease)
    )]
    Lost {
        /// The node.
        node: String,
        /// Why, as far as it is known.
        reason: String,
        /// The command's process ID on the node, once it runs.
        pid: Option<u32>,
        /// How long it outlives a silent connection.
        lease: Duration,
    },
    /// What came is not the protocol.
    #[error("the node does not keep to the session protocol: {0}")]
    Protocol(String),
    /// No raw mode.
    #[error("cannot prepare the terminal")]
    Terminal(#[source] io::Error),
    /// Our own output.
    #[error("cannot write the command's output")]
    Output(#[source] io::Error),
    /// A signal came before there was a command to give it to.
    #[error("interrupted before the command was started")]
    Interrupted(i32),
}

/// What is known of a command whose connection is lost.
fn fate(pid: Option<u32>, lease: Duration) -> String {
    let lease = humantime::format_duration(lease);
    match pid {
        Some(pid) => format!(
            "the command (process {pid} on the node) and all that it started is ended there within {lease}"
        ),
        None => format!("if the command was started, it is ended within {lease}"),
    }
}

impl Error {
    /// The exit code (session-protocol's table).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoHello { .. } | Self::Version(_) | Self::Terminal(_) => exit::NOTHING_RAN,
            Self::Failed(failure) => failure.code,
            Self::Lost { .. } | Self::Protocol(_) | Self::Output(_) => exit::CONNECTION_LOST,
            Self::Interrupted(signal) => exit::of_signal(*signal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_lost_command_is_told() {
        let lost = |pid| Error::Lost {
            node: "n".into(),
            reason: "reset".into(),
            pid,
            lease: Duration::from_secs(60),
        };
        let text = lost(Some(7)).to_string();
        assert!(
            text.contains("node n was lost: reset; the command (process 7 on the node)"),
            "{text}"
        );
        assert!(text.ends_with("within 1m"), "{text}");
        assert!(
            lost(None)
                .to_string()
                .contains("if the command was started")
        );
        assert_eq!(lost(None).exit_code(), 255);
    }

    #[test]
    fn versions_that_differ_say_who_is_to_be_updated() {
        let hello = |oldest, newest| Hello {
            oldest,
            newest,
            version: "9.9.9".into(),
        };
        let text = Error::Version(hello(PROTOCOL + 1, PROTOCOL + 2)).to_string();
        assert!(
            text.contains("cnsenter 9.9.9") && text.ends_with("update kpexec"),
            "{text}"
        );
        let text = Error::Version(hello(0, PROTOCOL - 1)).to_string();
        assert!(text.ends_with("the node's own cnsenter"), "{text}");
    }
}
