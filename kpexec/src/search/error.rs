//! Why a pod is not found without the API server.

use crate::stderr::printable;
use crate::transport::ssh;

/// How many nodes a message names before it only counts the others.
const NODES: usize = 5;

/// Why a pod is not found without the API server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody to ask.
    #[error("neither {0} is remembered, nor any node of this cluster")]
    NoNodes(String),
    /// Its pods may have any name.
    #[error("no pod of {0} is remembered, and its pods cannot be told by their names")]
    Nameless(String),
    /// None of them has it.
    #[error(
        "{what} runs on none of the nodes that answered{}{}",
        counted(without),
        told(silent)
    )]
    NotFound {
        /// The pod, or what it belongs to.
        what: String,
        /// The nodes that answered.
        without: Vec<String>,
        /// The nodes that did not, and why.
        silent: Vec<(String, String)>,
    },
    /// Several have it.
    #[error("pod {pod} runs in several places: {}; nothing was run", places.join(", "))]
    Several {
        /// The pod.
        pod: String,
        /// Nodes and UIDs.
        places: Vec<String>,
    },
    /// `-c` names none that runs.
    #[error("container {container} of pod {pod} does not run on {node}; there are: {all}")]
    NoContainer {
        /// The name.
        container: String,
        /// The pod.
        pod: String,
        /// Its node.
        node: String,
        /// Those that run.
        all: String,
    },
    /// The one that is meant if nobody names one does not run.
    #[error(
        "container {container} of pod {pod} does not run on {node}, and is the one that is meant without -c"
    )]
    NotRunning {
        /// The name.
        container: String,
        /// The pod.
        pod: String,
        /// Its node.
        node: String,
        /// Those that run.
        all: String,
    },
    /// The user, who was asked for something, does not want to go on.
    #[error(transparent)]
    Unanswered(ssh::Error),
    /// Which one is first, the API server alone knows.
    #[error(
        "pod {pod} has several containers, and only the API server knows which of them is its first: \
         {all}"
    )]
    Which {
        /// The pod.
        pod: String,
        /// Its containers.
        all: String,
    },
}

fn counted(nodes: &[String]) -> String {
    match nodes.len() {
        0 => " (none)".to_owned(),
        _ => {
            let shown = &nodes[..nodes.len().min(NODES)];
            let others = match nodes.len() - shown.len() {
                0 => String::new(),
                others => format!(" and {others} more"),
            };
            format!(" ({}{others})", shown.join(", "))
        }
    }
}

fn told(silent: &[(String, String)]) -> String {
    if silent.is_empty() {
        return String::new();
    }
    let (shown, others) = silent.split_at(silent.len().min(NODES));
    let shown = shown
        .iter()
        .map(|(node, why)| format!("{node}: {}", printable(why).replace('\n', " ")));
    let shown: Vec<_> = shown.collect();
    let others = match others.len() {
        0 => String::new(),
        others => format!("; and {others} more"),
    };
    format!("; these did not: {}{others}", shown.join("; "))
}

impl Error {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoNodes(_) => {
                "--node HOST names the pod's node; kpexec cache refresh remembers all nodes while \
                 there is an API server"
            }
            Self::Nameless(_) => "name a pod",
            Self::NotFound { .. } => "--node HOST names the pod's node, if that is none of these",
            Self::Several { .. } => "--node HOST says which is meant",
            Self::NotRunning { all, .. } => {
                return Some(format!("-c NAME enters another one; there are: {all}"));
            }
            Self::NoContainer { .. } | Self::Unanswered(_) => return None,
            Self::Which { .. } => "-c NAME says which",
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answered_and_who_did_not_is_told() {
        let error = Error::NotFound {
            what: "pod shop/web".into(),
            without: (1..8).map(|n| format!("n{n}")).collect(),
            silent: vec![("dead".into(), "no answer\nin time".into())],
        };
        assert_eq!(
            error.to_string(),
            "pod shop/web runs on none of the nodes that answered (n1, n2, n3, n4, n5 and 2 more); \
             these did not: dead: no answer in time"
        );
    }
}
