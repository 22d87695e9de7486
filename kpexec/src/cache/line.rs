//! A sighting, as it is written.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::{self as core};
use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::target::{self, Container as Choice};

/// The label by which a deployment tells its replica sets apart.
const HASH: &str = "pod-template-hash";

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// Of which cluster, and who saw it: for people who look into the file.
    Cluster {
        /// The API server.
        server: String,
        /// The kubeconfig's user.
        user: String,
    },
    /// A pod.
    Pod(Pod),
    /// A node.
    Node(Node),
    /// A node's agent.
    Agent(Agent),
}

/// A pod that was on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The node.
    pub node: String,
    /// Its containers, in kubectl's order.
    pub containers: Vec<Container>,
    /// The container that is entered if none is named.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub default: Option<String>,
    /// What it belongs to, as TYPE/NAME, and what else has led to it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub objects: Vec<String>,
    /// When it was seen, in seconds since 1970.
    pub seen: u64,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its ID at that time, if it ran.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// How it is reached.
    pub addresses: Vec<Address>,
    /// When it was seen, in seconds since 1970.
    pub seen: u64,
}

impl Node {
    /// A node that has these addresses, now.
    #[must_use]
    pub fn new(name: &str, addresses: &[core::NodeAddress]) -> Self {
        let addresses = addresses.iter().map(|address| Address {
            kind: address.type_.clone(),
            address: address.address.clone(),
        });
        Self {
            name: name.to_owned(),
            addresses: addresses.collect(),
            seen: now(),
        }
    }
}

/// One of a node's addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// `InternalIP`, `ExternalIP`, `Hostname` ...
    #[serde(rename = "type")]
    pub kind: String,
    /// It.
    pub address: String,
}

/// What somebody has seen of a cluster.
#[derive(Debug, Default)]
pub struct Seen {
    /// Pods.
    pub pods: Vec<core::Pod>,
    /// TYPE/NAME that led to all of them.
    pub by: Option<String>,
    /// Nodes.
    pub nodes: Vec<core::Node>,
}

impl Seen {
    /// The node of one of the pods, as far as that tells of it.
    #[must_use]
    pub fn host_of(&self, pod: &str) -> Option<Node> {
        let mut pods = self.pods.iter();
        let pod = pods.find(|seen| seen.metadata.name.as_deref() == Some(pod))?;
        of_host(pod, pod.spec.as_ref()?.node_name.as_deref()?, now())
    }

    /// As lines, of now. What a pod tells of its node is a sighting of that, too.
    #[must_use]
    pub fn into_lines(self) -> Vec<Line> {
        let seen = now();
        let by = self.by.as_deref();
        let mut lines = Vec::new();
        let mut nodes: Vec<_> = self.nodes.iter().map(of_node).collect();
        for pod in &self.pods {
            let Some(line) = of_pod(pod, by, seen) else {
                continue;
            };
            if !nodes.iter().any(|node| node.name == line.node) {
                nodes.extend(of_host(pod, &line.node, seen));
            }
            lines.push(Line::Pod(line));
        }
        lines.extend(nodes.into_iter().map(Line::Node));
        lines
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.as_ref().map_or(0, Duration::as_secs)
}

/// A pod that is on a node and may be entered.
fn of_pod(pod: &core::Pod, by: Option<&str>, seen: u64) -> Option<Pod> {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return None;
    }
    let node = pod.spec.as_ref()?.node_name.clone()?;
    let mut objects: Vec<_> = owner(pod).into_iter().collect();
    objects.extend(by.map(str::to_owned).filter(|by| !objects.contains(by)));
    let containers = target::containers(pod).into_iter();
    Some(Pod {
        namespace: pod.metadata.namespace.clone()?,
        name: pod.metadata.name.clone()?,
        uid: target::uid(pod)?.to_owned(),
        node,
        containers: containers
            .map(|Choice { name, id, .. }| Container { name, id })
            .collect(),
        default: target::default_container(pod).map(str::to_owned),
        objects,
        seen,
    })
}

/// What a pod belongs to. Between it and its deployment is a replica set that only they know.
fn owner(pod: &core::Pod) -> Option<String> {
    let mut owners = pod.metadata.owner_references.iter().flatten();
    let owner = owners.find(|owner| owner.controller == Some(true))?;
    let hash = pod.metadata.labels.as_ref().and_then(|all| all.get(HASH));
    let deployment = hash.and_then(|hash| owner.name.strip_suffix(hash)?.strip_suffix('-'));
    Some(match deployment {
        Some(name) if owner.kind == "ReplicaSet" => format!("deployment/{name}"),
        _ => format!("{}/{}", owner.kind.to_ascii_lowercase(), owner.name),
    })
}

/// A pod's node: its status has the address that the kubelet calls internal.
fn of_host(pod: &core::Pod, node: &str, seen: u64) -> Option<Node> {
    let address = pod.status.as_ref()?.host_ip.clone()?;
    Some(Node {
        name: node.to_owned(),
        addresses: vec![Address {
            kind: "InternalIP".to_owned(),
            address,
        }],
        seen,
    })
}

fn of_node(node: &core::Node) -> Node {
    let addresses = node.status.as_ref().and_then(|s| s.addresses.as_deref());
    let name = node.metadata.name.as_deref();
    Node::new(name.unwrap_or_default(), addresses.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(change: serde_json::Value) -> core::Pod {
        let mut pod = json!({
            "metadata": {
                "namespace": "shop", "name": "web-5d9c-abcde", "uid": "u",
                "labels": {"pod-template-hash": "5d9c"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet",
                    "name": "web-5d9c", "uid": "r", "controller": true}],
            },
            "spec": {"nodeName": "node-1", "containers": [{"name": "app"}, {"name": "log"}]},
            "status": {"phase": "Running", "hostIP": "10.0.0.1", "containerStatuses": [{
                "name": "app", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "containerID": "containerd://1", "state": {"running": {}},
            }]},
        });
        for (field, value) in change.as_object().unwrap() {
            pod[field] = value.clone();
        }
        serde_json::from_value(pod).unwrap()
    }

    fn lines(pod: core::Pod, by: Option<&str>) -> Vec<Line> {
        let seen = Seen {
            pods: vec![pod],
            by: by.map(str::to_owned),
            nodes: Vec::new(),
        };
        seen.into_lines()
    }

    #[test]
    fn a_pod_tells_of_its_deployment_and_its_node() {
        let lines = lines(pod(json!({})), Some("service/web"));
        let [Line::Pod(pod), Line::Node(node)] = &lines[..] else {
            panic!("{lines:?}");
        };
        assert_eq!(pod.objects, ["deployment/web", "service/web"]);
        let ids: Vec<_> = pod.containers.iter().map(|c| c.id.as_deref()).collect();
        assert_eq!(ids, [Some("containerd://1"), None]);
        assert_eq!(node.name, "node-1");
        assert_eq!(node.addresses[0].address, "10.0.0.1");
        let text = serde_json::to_string(&lines[0]).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), lines[0]);
    }

    #[test]
    fn a_pod_of_a_file_is_known_as_the_node_knows_it() {
        let metadata = json!({"metadata": {"namespace": "shop", "name": "web-node-1", "uid": "u",
            "annotations": {"kubernetes.io/config.mirror": "hash"}}});
        let lines = lines(pod(metadata), None);
        assert!(
            matches!(&lines[0], Line::Pod(pod) if pod.uid == "hash"),
            "{lines:?}"
        );
    }

    #[test]
    fn what_cannot_be_entered_is_not_remembered() {
        assert_eq!(lines(pod(json!({"status": {"phase": "Failed"}})), None), []);
        assert_eq!(lines(pod(json!({"spec": {"containers": []}})), None), []);
    }
}
