//! The nodepause pod of a node.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, Pod, PodStatus};

use serde::{Deserialize, Serialize};

use crate::cluster::{self, Cluster, encoded};

/// Where the nodepause pods are, if nothing else is said.
pub const NAMESPACE: &str = "kpexec";

/// The container of the pod that has cnsenter.
pub const CONTAINER: &str = "nodepause";

const LABEL: &str = "app.kubernetes.io/name=nodepause";

/// A pod with cnsenter, on the target's node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub pod: String,
    /// Its node.
    pub node: String,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server's answer.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// Nothing there.
    #[error(
        "node {node} has no nodepause pod in namespace {namespace}{}",
        of_node(unready)
    )]
    Missing {
        /// The node.
        node: String,
        /// Where it was sought.
        namespace: String,
        /// Why the node is not ready, if it is not.
        unready: Option<String>,
    },
    /// It is there, but of no use.
    #[error("the nodepause pod {namespace}/{pod} of node {node} does not run: {reason}")]
    Unready {
        /// The node.
        node: String,
        /// Its namespace.
        namespace: String,
        /// Its name.
        pod: String,
        /// What Kubernetes says.
        reason: String,
    },
}

impl Error {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing {
                node,
                unready: Some(_),
                ..
            } => Some(format!(
                "kubectl get node {node} says whether it is there again; --ssh goes to the node itself"
            )),
            Self::Missing { namespace, .. } => Some(format!(
                "kpexec install{} puts one on every node, --ephemeral one there for this command \
                 alone; --ssh needs none; virtual nodes can have none (--agent-namespace if they \
                 are elsewhere)",
                option(namespace)
            )),
            Self::Unready { namespace, pod, .. } => Some(format!(
                "kubectl -n {namespace} describe pod {pod} says more; --ephemeral and --ssh do without it"
            )),
            Self::Cluster(_) => None,
        }
    }
}

fn of_node(unready: &Option<String>) -> String {
    let words = unready.as_ref();
    words.map_or_else(String::new, |reason| {
        format!("; the node is not ready ({reason})")
    })
}

/// ` -n NAMESPACE` for a command line of ours, if that has to be said.
#[must_use]
pub fn option(namespace: &str) -> String {
    match namespace {
        NAMESPACE => String::new(),
        other => format!(" -n {other}"),
    }
}

/// The agents of all nodes, whatever state they are in.
///
/// # Errors
/// The server's.
pub async fn all(cluster: &Cluster, namespace: &str) -> Result<Vec<Pod>, cluster::Error> {
    let [namespace, labels] = [namespace, LABEL].map(encoded);
    let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={labels}");
    cluster.list(&path).await
}

/// Finds the node's agent, by one call that names the node.
///
/// # Errors
/// When there is none that runs.
pub async fn find(cluster: &Cluster, namespace: &str, node: &str) -> Result<Agent, Error> {
    let pods = cluster
        .pods(namespace, LABEL, &format!("spec.nodeName={node}"))
        .await?;
    let (namespace, node) = (namespace.to_owned(), node.to_owned());
    match choose(&pods) {
        Ok(pod) => Ok(Agent {
            namespace,
            pod,
            node,
        }),
        Err(Some((pod, reason))) => Err(Error::Unready {
            node,
            namespace,
            pod,
            reason,
        }),
        Err(None) => Err(Error::Missing {
            unready: cluster.why_unready(&node).await,
            node,
            namespace,
        }),
    }
}

/// The name of the pod that runs; of two, as there are during an update, the one that stays.
fn choose(pods: &[Pod]) -> Result<String, Option<(String, String)>> {
    let name = |pod: &Pod| pod.metadata.name.clone().unwrap_or_default();
    let running = pods.iter().filter(|pod| obstacle(pod).is_none());
    if let Some(pod) = running.min_by_key(|pod| pod.metadata.deletion_timestamp.is_some()) {
        return Ok(name(pod));
    }
    let first = pods.first();
    Err(first.map(|pod| (name(pod), obstacle(pod).unwrap_or_default())))
}

/// Why a pod's agent cannot be entered; None if it can. One that is being deleted still can.
#[must_use]
pub fn obstacle(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref();
    let containers = status.and_then(|status| status.container_statuses.as_deref());
    let agent = containers
        .unwrap_or_default()
        .iter()
        .find(|c| c.name == CONTAINER);
    match agent.and_then(|agent| agent.state.as_ref()) {
        Some(ContainerState {
            running: Some(_), ..
        }) => None,
        Some(ContainerState {
            waiting: Some(waiting),
            ..
        }) => {
            let last = agent.and_then(|agent| agent.last_state.as_ref());
            let end = last.and_then(|last| last.terminated.as_ref());
            let end = end.map_or_else(String::new, |end| format!("; {}", of_end(end)));
            Some(joined([&waiting.reason, &waiting.message]) + &end)
        }
        Some(ContainerState {
            terminated: Some(end),
            ..
        }) => Some(of_end(end)),
        _ => Some(not_started(status)),
    }
}

/// How a container ended; its message is what the runtime says, if that could not start it.
fn of_end(end: &ContainerStateTerminated) -> String {
    let why = joined([&end.reason, &end.message]);
    let why = if why.is_empty() {
        why
    } else {
        format!(" ({why})")
    };
    format!("it ended with exit code {}{why}", end.exit_code)
}

/// Why a pod has no containers yet: the kubelet's or the scheduler's words, if they have any.
fn not_started(status: Option<&PodStatus>) -> String {
    let Some(status) = status else {
        return "it is not started".to_owned();
    };
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let unscheduled = conditions
        .iter()
        .find(|c| c.type_ == "PodScheduled" && c.status == "False");
    let words = [
        joined([&status.reason, &status.message]),
        unscheduled.map_or_else(String::new, |c| joined([&c.reason, &c.message])),
    ];
    let mut words = words.into_iter().filter(|words| !words.is_empty());
    words.next().unwrap_or_else(|| {
        let phase = status.phase.as_deref();
        format!("it is {}", phase.unwrap_or("not started"))
    })
}

fn joined(words: [&Option<String>; 2]) -> String {
    let words = words.into_iter().flatten().map(String::as_str);
    let words: Vec<_> = words.filter(|words| !words.is_empty()).collect();
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, state: serde_json::Value) -> Pod {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": name},
            "status": {"phase": "Pending", "containerStatuses": [{
                "name": CONTAINER, "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "state": state,
            }]},
        }))
        .unwrap()
    }

    #[test]
    fn the_one_that_runs_and_stays_is_taken() {
        let runs = || serde_json::json!({"running": {}});
        let mut old = pod("old", runs());
        old.metadata.deletion_timestamp =
            serde_json::from_value(serde_json::json!("2026-01-01T00:00:00Z")).unwrap();
        let new = pod("new", runs());
        let starting = pod(
            "starting",
            serde_json::json!({"waiting": {"reason": "ErrImagePull"}}),
        );
        assert_eq!(choose(&[old.clone(), new]), Ok("new".into()));
        assert_eq!(choose(&[starting.clone(), old]), Ok("old".into()));
        assert_eq!(
            choose(&[starting]),
            Err(Some(("starting".into(), "ErrImagePull".into())))
        );
        assert_eq!(choose(&[]), Err(None));
    }

    #[test]
    fn who_keeps_a_pod_from_starting_is_quoted() {
        let status = |status: serde_json::Value| {
            let pod = serde_json::from_value(serde_json::json!({ "status": status })).unwrap();
            obstacle(&pod).unwrap()
        };
        let refused =
            serde_json::json!({"phase": "Failed", "reason": "OutOfpods", "message": "full"});
        assert_eq!(status(refused), "OutOfpods: full");
        let condition = serde_json::json!({"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/1 nodes are available"});
        assert_eq!(
            status(serde_json::json!({"phase": "Pending", "conditions": [condition]})),
            "Unschedulable: 0/1 nodes are available"
        );
        assert_eq!(
            status(serde_json::json!({"phase": "Pending"})),
            "it is Pending"
        );
    }

    #[test]
    fn another_namespace_is_named_in_what_to_run() {
        let missing = |namespace: &str| {
            let error = Error::Missing {
                node: "n".into(),
                namespace: namespace.into(),
                unready: None,
            };
            error.hint().unwrap()
        };
        assert!(missing(NAMESPACE).starts_with("kpexec install puts"));
        assert!(missing("tools").starts_with("kpexec install -n tools puts"));
    }
}
