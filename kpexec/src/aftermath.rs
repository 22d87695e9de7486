//! What the cluster knows of an end that the session cannot explain: the command's container ended,
//! or the way to it was lost.

use std::time::Duration;

use cnsenter_protocol::{Exit, KilledFor};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, Pod};
use tokio::time::{sleep, timeout};

use crate::agent::{self, Agent};
use crate::cluster::Cluster;
use crate::session::{self, Ending, Interrupts};
use crate::target::{Target, statuses, uid};

/// How long the API server may take to know of a container's end: kubelets look every second or so.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is asked meanwhile.
const POLL: Duration = Duration::from_millis(300);

/// How long it may take to tell what became of the agent: perhaps it is what was lost.
const QUESTION: Duration = Duration::from_secs(2);

/// How a command ended, and why, as far as the exit code does not tell.
#[derive(Debug, PartialEq, Eq)]
pub struct End {
    /// How.
    pub ending: Ending,
    /// Why, in words.
    pub why: Option<String>,
}

/// Asks about an end that needs it, for as long as nobody interrupts: the cluster, if one is known, and
/// about the agent, if one was used.
///
/// # Errors
/// That of the session, with what is known besides.
pub async fn explain(
    known: Option<(&Cluster, &Target)>,
    agent: Option<&Agent>,
    ended: Result<Ending, session::Error>,
) -> Result<End, session::Error> {
    match ended {
        Ok(ending) => {
            let why = match &ending {
                Ending::Exit(exit) => why(known, exit).await,
                _ => None,
            };
            Ok(End { ending, why })
        }
        Err(mut error) => {
            if let session::Error::Lost { reason, .. } = &mut error
                && let (Some((cluster, _)), Some(agent)) = (known, agent)
                && let Some(known) = uninterrupted(QUESTION, of_agent(cluster, agent)).await
            {
                reason.push_str(&format!(" ({known})"));
            }
            Err(error)
        }
    }
}

async fn why(known: Option<(&Cluster, &Target)>, exit: &Exit) -> Option<String> {
    if exit.timed_out {
        return Some("--timeout".to_owned());
    }
    match exit.killed_for? {
        KilledFor::Memory => Some("killed: --memory was exceeded".to_owned()),
        KilledFor::Container => {
            let told = match known {
                Some((cluster, target)) => {
                    uninterrupted(PATIENCE, of_container(cluster, target)).await
                }
                None => None,
            };
            let told = told.map_or_else(String::new, |told| format!(": {told}"));
            Some(format!("killed, for its container ended{told}"))
        }
    }
}

/// What comes of it within this time, and before a signal.
async fn uninterrupted(
    limit: Duration,
    words: impl Future<Output = Option<String>>,
) -> Option<String> {
    let mut interrupts = Interrupts::new();
    tokio::select! {
        words = timeout(limit, words) => words.ok().flatten(),
        _ = interrupts.next() => None,
    }
}

/// What became of the target's container, once that is known.
async fn of_container(cluster: &Cluster, target: &Target) -> Option<String> {
    loop {
        match cluster.pod(&target.namespace, &target.pod).await {
            Ok(pod) => {
                if let Some(words) = fate(&pod, target) {
                    return Some(words);
                }
            }
            Err(error) if error.is_not_found() => {
                return Some(format!("pod {} was deleted", target.pod));
            }
            Err(_) => return None,
        }
        sleep(POLL).await;
    }
}

/// What a pod tells of the end of the target's container; None while it runs for all that is known.
fn fate(pod: &Pod, target: &Target) -> Option<String> {
    let Target {
        pod: name,
        container,
        ..
    } = target;
    if uid(pod) != Some(&target.uid) {
        return Some(format!(
            "pod {name} was deleted, and another one has its name"
        ));
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return Some(format!("pod {name} is being deleted"));
    }
    let status = pod.status.as_ref()?;
    if let Some(reason) = status.reason.as_deref().filter(|reason| !reason.is_empty()) {
        let message = status.message.as_deref().unwrap_or_default();
        let words = format!("pod {name} failed: {reason}: {message}");
        return Some(words.trim_end_matches([':', ' ']).to_owned());
    }
    let found = statuses(pod).find(|status| status.name == *container)?;
    let states = [&found.state, &found.last_state].into_iter().flatten();
    let end = states
        .filter_map(|state: &ContainerState| state.terminated.as_ref())
        .find(|end| end.container_id.as_ref() == Some(&target.container_id))?;
    Some(of_end(container, end))
}

fn of_end(container: &str, end: &ContainerStateTerminated) -> String {
    match end.reason.as_deref() {
        Some("OOMKilled") => {
            format!("container {container} exceeded its memory's limit (OOMKilled)")
        }
        Some(reason) => format!(
            "container {container} ended with exit code {} ({reason})",
            end.exit_code
        ),
        None => format!(
            "container {container} ended with exit code {}",
            end.exit_code
        ),
    }
}

/// What is the matter with the agent, or else with its node.
async fn of_agent(cluster: &Cluster, agent: &Agent) -> Option<String> {
    let Agent {
        namespace,
        pod: name,
        node,
    } = agent;
    let pods = cluster
        .pods(namespace, "", &format!("metadata.name={name}"))
        .await
        .ok()?;
    let Some(pod) = pods.first() else {
        return Some(format!("the agent, pod {namespace}/{name}, was deleted"));
    };
    if pod.metadata.deletion_timestamp.is_some() {
        return Some(format!(
            "the agent, pod {namespace}/{name}, is being deleted"
        ));
    }
    match agent::obstacle(pod) {
        Some(reason) => Some(format!(
            "the agent, pod {namespace}/{name}, does not run: {reason}"
        )),
        None => cluster
            .why_unready(node)
            .await
            .map(|reason| format!("the node is not ready: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn target() -> Target {
        Target {
            namespace: "shop".into(),
            pod: "web".into(),
            uid: "1".into(),
            node: "node-1".into(),
            container: "app".into(),
            container_id: "containerd://1".into(),
        }
    }

    fn told(meta: Value, status: Value) -> Option<String> {
        let pod = json!({ "metadata": meta, "status": status });
        fate(&serde_json::from_value(pod).unwrap(), &target())
    }

    fn with_container(state: Value, last: Value) -> Option<String> {
        told(
            json!({"uid": "1"}),
            json!({"containerStatuses": [{
                "name": "app", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "state": state, "lastState": last,
            }]}),
        )
    }

    #[test]
    fn the_pod_tells_why_its_container_ended() {
        let gone = told(json!({"uid": "2"}), json!({}));
        assert_eq!(
            gone.unwrap(),
            "pod web was deleted, and another one has its name"
        );
        let deleted = json!({"uid": "1", "deletionTimestamp": "2026-01-01T00:00:00Z"});
        assert_eq!(
            told(deleted, json!({})).unwrap(),
            "pod web is being deleted"
        );
        let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory"});
        let evicted = told(json!({"uid": "1"}), evicted);
        assert_eq!(evicted.unwrap(), "pod web failed: Evicted: low on memory");
    }

    #[test]
    fn only_the_end_of_the_same_container_is_told() {
        let end = |id: &str, reason: &str| json!({"terminated": {"containerID": id, "exitCode": 137, "reason": reason}});
        let restarted = with_container(json!({"running": {}}), end("containerd://1", "OOMKilled"));
        let words = "container app exceeded its memory's limit (OOMKilled)";
        assert_eq!(restarted.as_deref(), Some(words));
        let ended = with_container(end("containerd://1", "Error"), json!({}));
        assert_eq!(
            ended.unwrap(),
            "container app ended with exit code 137 (Error)"
        );
        let earlier = with_container(json!({"running": {}}), end("containerd://0", "Error"));
        assert_eq!(earlier, None);
    }
}
