//! What `kpexec check` has found, and what is to be done about it.

use std::collections::BTreeMap;

use cnsenter_protocol::{Hello, PROTOCOL};
use serde::Serialize;

use crate::agent::option;
use crate::cluster::Right;
use crate::stderr::printable;

/// How many names a line has before it only counts the others.
const NAMES: usize = 5;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) server: Server,
    /// Of the agents.
    pub(super) namespace: String,
    pub(super) rights: Vec<Holding>,
    /// Why the nodes are not known; then those are that have agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nodes_unknown: Option<String>,
    pub(super) nodes: Vec<Node>,
    /// Whether we were let see the agents.
    #[serde(skip)]
    pub(super) sees_agents: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Server {
    pub(super) host: String,
    /// Kubernetes'.
    pub(super) version: String,
}

/// A right, and whether we have it.
#[derive(Debug, Serialize)]
pub(super) struct Holding {
    verb: &'static str,
    resource: String,
    namespace: String,
    allowed: bool,
}

impl Holding {
    pub(super) fn new(right: &Right, allowed: bool) -> Self {
        Self {
            verb: right.verb,
            resource: right.resource(),
            namespace: right.namespace.clone(),
            allowed,
        }
    }
}

/// A node and its agent.
#[derive(Debug, Serialize)]
pub(super) struct Node {
    pub(super) name: String,
    /// The agent's pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<String>,
    #[serde(flatten)]
    pub(super) agent: Agent,
    /// The pod that is to take its place, and does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) update: Option<Update>,
}

/// A pod of an update that has not come through.
#[derive(Debug, Serialize)]
pub(super) struct Update {
    pub(super) pod: String,
    pub(super) reason: String,
}

/// How an agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub(super) enum Agent {
    /// It has answered.
    #[serde(rename_all = "camelCase")]
    Ready {
        version: String,
        oldest_protocol: u32,
        newest_protocol: u32,
    },
    /// It has not.
    Silent { reason: String },
    /// Its pod does not run.
    NotRunning { reason: String },
    /// There is none, and this is wrong with the node.
    NodeNotReady { reason: String },
    /// There is none.
    Missing,
    /// There is none, nor can there be one.
    Virtual,
}

impl Agent {
    pub(super) fn of(answer: Result<Hello, String>) -> Self {
        match answer {
            Ok(hello) => Self::Ready {
                version: hello.version,
                oldest_protocol: hello.oldest,
                newest_protocol: hello.newest,
            },
            Err(reason) => Self::Silent { reason },
        }
    }

    fn state(&self) -> String {
        match self {
            Self::Ready { .. } => "ready".to_owned(),
            Self::Silent { .. } => "silent".to_owned(),
            Self::NotRunning { .. } => "not running".to_owned(),
            Self::NodeNotReady { .. } => "node not ready".to_owned(),
            Self::Missing => "missing".to_owned(),
            Self::Virtual => "virtual".to_owned(),
        }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    /// What.
    pub(super) what: String,
    /// What to run.
    pub(super) remedy: String,
}

impl Report {
    /// All that is wrong.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let rights = self.rights.iter().filter(|right| !right.allowed);
        let mut problems: Vec<_> = rights.map(missing).collect();
        let has_agents = self.nodes.iter().any(|node| node.pod.is_some());
        if !self.sees_agents {
            return problems;
        }
        if !has_agents {
            problems.push(Problem {
                what: format!("there is no nodepause in namespace {}", self.namespace),
                remedy: format!("kpexec install{}", option(&self.namespace)),
            });
            return problems;
        }
        // The same trouble of many nodes is one line.
        let mut grouped: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
        for node in &self.nodes {
            if let Some(problem) = self.problem_of(node) {
                let names = grouped.entry((problem.what, problem.remedy)).or_default();
                names.push(&node.name);
            }
        }
        let grouped = grouped.into_iter().map(|((what, remedy), names)| Problem {
            what: format!("{}: {what}", listed(&names)),
            remedy,
        });
        problems.extend(grouped);
        problems
    }

    fn problem_of(&self, node: &Node) -> Option<Problem> {
        let namespace = &self.namespace;
        let install = format!("kpexec install{}", option(namespace));
        let pod = node.pod.as_deref().unwrap_or_default();
        let describe = format!("kubectl -n {namespace} describe pod {pod}");
        let (what, remedy) = match &node.agent {
            Agent::Virtual => return None,
            Agent::Ready {
                oldest_protocol: oldest,
                newest_protocol: newest,
                ..
            } if (*oldest..=*newest).contains(&PROTOCOL) => {
                let Update { pod, reason } = node.update.as_ref()?;
                (
                    format!("its agent works, but the update of it has not come through: {reason}"),
                    format!("kubectl -n {namespace} describe pod {pod}"),
                )
            }
            Agent::Ready {
                version,
                newest_protocol: newest,
                ..
            } => {
                let what = format!(
                    "its agent is cnsenter {version}, which speaks another session protocol than \
                     kpexec {}",
                    env!("CARGO_PKG_VERSION")
                );
                let remedy = match *newest < PROTOCOL {
                    true => format!("{install} (updates the agents)"),
                    false => "update kpexec on this machine".to_owned(),
                };
                (what, remedy)
            }
            Agent::Silent { reason } => (
                format!("its agent does not answer: {reason}"),
                format!("{describe}; kubectl describe node {}", node.name),
            ),
            Agent::NotRunning { reason } if reason.contains("Image") => (
                format!("the agent's image cannot be had: {reason}"),
                format!("{install} --image IMAGE, with one that the nodes can pull"),
            ),
            Agent::NotRunning { reason } => (format!("its agent does not run: {reason}"), describe),
            Agent::NodeNotReady { reason } => (
                format!("the node is not ready: {reason}"),
                format!("kubectl describe node {}", node.name),
            ),
            Agent::Missing => (
                "it has no agent".to_owned(),
                format!("kubectl -n {namespace} describe daemonset nodepause"),
            ),
        };
        Some(Problem { what, remedy })
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let Server { host, version } = &self.server;
        let held = self.rights.iter().filter(|right| right.allowed).count();
        let mut text = format!(
            "kpexec {}, session protocol {PROTOCOL}\ncluster {host}, Kubernetes {version}\nrights \
             {held} of {}\n",
            env!("CARGO_PKG_VERSION"),
            self.rights.len()
        );
        if let Some(reason) = &self.nodes_unknown {
            text.push_str(&format!("nodes without an agent are not shown: {reason}\n"));
        }
        if !self.nodes.is_empty() {
            text.push('\n');
            text.push_str(&self.table());
        }
        let problems = self.problems();
        if problems.is_empty() {
            text.push_str("\nall is well\n");
        } else {
            text.push('\n');
        }
        for Problem { what, remedy } in problems {
            let what = what.replace('\n', " ");
            text.push_str(&format!("{what}\n  {remedy}\n"));
        }
        printable(&text)
    }

    /// Columns as wide as their widest cell; a "-" is what there is not.
    fn table(&self) -> String {
        let heading = ["NODE", "AGENT", "VERSION", "PROTOCOL", "STATE"].map(str::to_owned);
        let rows = self.nodes.iter().map(Node::cells);
        let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths: [usize; 5] = std::array::from_fn(|column| width(column).unwrap_or(0));
        let mut text = String::new();
        for row in &rows {
            let cells = row.iter().zip(widths);
            let cells: Vec<_> = cells
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

impl Node {
    fn cells(&self) -> [String; 5] {
        let none = || "-".to_owned();
        let (version, protocol) = match &self.agent {
            Agent::Ready {
                version,
                oldest_protocol,
                newest_protocol,
            } => (
                version.clone(),
                match oldest_protocol == newest_protocol {
                    true => newest_protocol.to_string(),
                    false => format!("{oldest_protocol}-{newest_protocol}"),
                },
            ),
            _ => (none(), none()),
        };
        let pod = self.pod.clone().unwrap_or_else(none);
        [
            self.name.clone(),
            pod,
            version,
            protocol,
            self.agent.state(),
        ]
    }
}

fn missing(right: &Holding) -> Problem {
    let Holding {
        verb,
        resource,
        namespace,
        ..
    } = right;
    let role = format!("kpexec-{verb}-{}", resource.replace('/', "-"));
    Problem {
        what: format!("you may not {verb} {resource} in namespace {namespace}"),
        remedy: format!(
            "kubectl -n {namespace} create role {role} --verb={verb} --resource={resource} && \
             kubectl -n {namespace} create rolebinding {role} --role={role} --user=YOU  # by an administrator"
        ),
    }
}

/// Some names, and how many more there are.
pub(super) fn listed(names: &[&str]) -> String {
    let (shown, others) = names.split_at(names.len().min(NAMES));
    let shown = shown.join(", ");
    match others.len() {
        0 => shown,
        count => format!("{shown} and {count} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(newest: u32) -> Agent {
        Agent::Ready {
            version: "1.2.3".into(),
            oldest_protocol: newest,
            newest_protocol: newest,
        }
    }

    fn report(nodes: Vec<(&str, Option<&str>, Agent)>) -> Report {
        let nodes = nodes.into_iter().map(|(name, pod, agent)| Node {
            name: name.into(),
            pod: pod.map(str::to_owned),
            agent,
            update: None,
        });
        let right = Right {
            verb: "create",
            subresource: Some("exec"),
            namespace: "kpexec".into(),
            pod: None,
        };
        Report {
            server: Server {
                host: "h:1".into(),
                version: "v1.36.3".into(),
            },
            namespace: "kpexec".into(),
            rights: vec![Holding::new(&right, true)],
            nodes_unknown: None,
            nodes: nodes.collect(),
            sees_agents: true,
        }
    }

    #[test]
    fn where_all_is_well_there_is_nothing_to_run() {
        let report = report(vec![
            ("node-1", Some("np-1"), ready(PROTOCOL)),
            ("fargate-1", None, Agent::Virtual),
        ]);
        assert_eq!(report.problems(), []);
        let text = report.text();
        assert!(
            text.contains("node-1     np-1   1.2.3    1         ready\n"),
            "{text}"
        );
        assert!(text.ends_with("\nall is well\n"), "{text}");
    }

    #[test]
    fn what_is_wrong_comes_with_what_to_run() {
        let silent = Agent::Silent {
            reason: "gone".into(),
        };
        let nodes = vec![
            ("a", Some("np-a"), ready(PROTOCOL + 1)),
            ("b", None, Agent::Missing),
            ("c", None, Agent::Missing),
            ("d", Some("np-d"), silent),
        ];
        let mut report = report(nodes);
        report.rights[0].allowed = false;
        let problems = report.problems();
        let told: Vec<_> = problems
            .iter()
            .map(|p| (p.what.as_str(), p.remedy.as_str()))
            .collect();
        assert_eq!(
            told[0].0,
            "you may not create pods/exec in namespace kpexec"
        );
        assert_eq!(
            told[1..],
            [
                (
                    "b, c: it has no agent",
                    "kubectl -n kpexec describe daemonset nodepause"
                ),
                (
                    "d: its agent does not answer: gone",
                    "kubectl -n kpexec describe pod np-d; kubectl describe node d"
                ),
                (
                    "a: its agent is cnsenter 1.2.3, which speaks another session protocol than \
                     kpexec 0.1.0",
                    "update kpexec on this machine"
                ),
            ]
        );
    }

    #[test]
    fn a_cluster_without_agents_is_one_problem() {
        let report = report(vec![
            ("a", None, Agent::Missing),
            ("b", None, Agent::Missing),
        ]);
        let problem = Problem {
            what: "there is no nodepause in namespace kpexec".into(),
            remedy: "kpexec install".into(),
        };
        assert_eq!(report.problems(), [problem]);
        assert_eq!(
            listed(&["a", "b", "c", "d", "e", "f"]),
            "a, b, c, d, e and 1 more"
        );
    }
}
