//! The cluster's nodes, as far as an agent is concerned.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node;

use crate::cluster::{self, Cluster};

/// Labels of nodes that are no machines: nothing runs there but what they make up.
const VIRTUAL: [(&str, &str); 2] = [
    ("type", "virtual-kubelet"),
    ("eks.amazonaws.com/compute-type", "fargate"),
];

/// What is known of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// It is no machine, and has no agent.
    pub(super) is_virtual: bool,
    /// Why it is not ready.
    pub(super) trouble: Option<String>,
}

/// The Linux nodes, by their names.
///
/// # Errors
/// The server's.
pub(super) async fn all(cluster: &Cluster) -> Result<BTreeMap<String, State>, cluster::Error> {
    let nodes: Vec<Node> = cluster.list("/api/v1/nodes").await?;
    let linux = nodes.into_iter().filter(is_linux);
    Ok(linux
        .map(|node| (node.metadata.name.clone().unwrap_or_default(), state(&node)))
        .collect())
}

/// As the DaemonSet's selector has it.
fn is_linux(node: &Node) -> bool {
    has_label(node, "kubernetes.io/os", "linux")
}

fn has_label(node: &Node, name: &str, value: &str) -> bool {
    let labels = node.metadata.labels.as_ref();
    labels.and_then(|all| all.get(name)).map(String::as_str) == Some(value)
}

fn state(node: &Node) -> State {
    let conditions = node.status.as_ref().and_then(|s| s.conditions.as_deref());
    let ready = conditions
        .unwrap_or_default()
        .iter()
        .find(|c| c.type_ == "Ready");
    let trouble = match ready {
        Some(ready) if ready.status == "True" => None,
        Some(ready) => Some(ready.message.clone().unwrap_or_default()),
        None => Some("its kubelet has said nothing yet".to_owned()),
    };
    State {
        is_virtual: VIRTUAL
            .iter()
            .any(|(name, value)| has_label(node, name, value)),
        trouble,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_says_of_itself() {
        let node = |value: serde_json::Value| -> Node { serde_json::from_value(value).unwrap() };
        let condition = |status: &str| {
            node(serde_json::json!({
                "metadata": {"labels": {"kubernetes.io/os": "linux"}},
                "status": {"conditions": [{"type": "Ready", "status": status, "message": "why"}]},
            }))
        };
        assert!(is_linux(&condition("True")));
        assert_eq!(state(&condition("True")).trouble, None);
        assert_eq!(state(&condition("Unknown")).trouble, Some("why".into()));
        let fargate = serde_json::json!({"metadata": {"labels": {
            "kubernetes.io/os": "windows", "eks.amazonaws.com/compute-type": "fargate"}}});
        assert!(state(&node(fargate.clone())).is_virtual && !is_linux(&node(fargate)));
    }
}
