//! How far nodepause is on the cluster's nodes.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;

use super::{Place, nodes};
use crate::agent;
use crate::cluster::{self, encoded};
use crate::manifest;

/// How far it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rollout {
    /// On how many nodes it should be.
    pub(super) desired: usize,
    /// On how many it is, as it should be.
    pub(super) ready: usize,
    /// Nodes, and what keeps it from running there, as far as its pods say so.
    pub(super) obstacles: Vec<(String, String)>,
    /// Whether Kubernetes has seen what was asked for.
    seen: bool,
}

impl Rollout {
    pub(super) fn is_done(&self) -> bool {
        self.seen && self.ready >= self.desired
    }
}

/// Looks at the DaemonSet and its pods.
///
/// # Errors
/// The server's.
pub(super) async fn look(place: &Place) -> Result<Rollout, cluster::Error> {
    let namespace = encoded(&place.namespace);
    let path = format!(
        "/apis/apps/v1/namespaces/{namespace}/daemonsets/{}",
        manifest::NAME
    );
    let set: DaemonSet = place.cluster.get(&path).await?;
    let pods = agent::all(&place.cluster, &place.namespace).await?;
    Ok(judge(&set, &pods))
}

/// As `kubectl rollout status` judges.
fn judge(set: &DaemonSet, pods: &[Pod]) -> Rollout {
    let count = |number: i32| usize::try_from(number).unwrap_or(0);
    let obstacles = pods
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .filter_map(|pod| Some((node_of(pod), agent::obstacle(pod)?)));
    let Some(status) = &set.status else {
        return Rollout::default();
    };
    let updated = status.updated_number_scheduled.unwrap_or(0);
    let available = status.number_available.unwrap_or(0);
    let desired = count(status.desired_number_scheduled);
    Rollout {
        desired,
        ready: count(updated.min(available)).min(desired),
        obstacles: obstacles.collect(),
        seen: status.observed_generation >= set.metadata.generation,
    }
}

/// Explains what there is no pod for, or no word of its: at the end, when there is time for it.
pub(super) async fn explain(place: &Place, rollout: &mut Rollout) {
    let Ok(nodes) = nodes::all(&place.cluster).await else {
        return;
    };
    for (name, node) in nodes {
        let found = rollout.obstacles.iter_mut().find(|(node, _)| *node == name);
        match (found, node.trouble) {
            (Some((_, reason)), _) if node.is_virtual => {
                "it is virtual, and can have none".clone_into(reason);
            }
            (Some((_, reason)), Some(trouble)) => {
                *reason = format!("the node is not ready: {trouble}");
            }
            (None, Some(trouble)) if !node.is_virtual => {
                let reason = format!("the node is not ready: {trouble}");
                rollout.obstacles.push((name, reason));
            }
            _ => {}
        }
    }
    if rollout.obstacles.len() < rollout.desired - rollout.ready {
        let (cluster, name) = (&place.cluster, manifest::NAME);
        if let Some(reason) = cluster
            .refused_pods(&place.namespace, "DaemonSet", name)
            .await
        {
            rollout.obstacles.push(("its pods".to_owned(), reason));
        }
    }
}

/// The node that a pod is on, or is meant for: a DaemonSet's pods name theirs.
pub(super) fn node_of(pod: &Pod) -> String {
    let spec = pod.spec.as_ref();
    let assigned = spec.and_then(|spec| spec.node_name.clone());
    let meant = || {
        let affinity = spec?.affinity.as_ref()?.node_affinity.as_ref()?;
        let required = affinity
            .required_during_scheduling_ignored_during_execution
            .as_ref()?;
        let fields = required
            .node_selector_terms
            .first()?
            .match_fields
            .as_ref()?;
        let name = fields.iter().find(|field| field.key == "metadata.name")?;
        name.values.as_ref()?.first().cloned()
    };
    assigned.or_else(meant).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(generation: i64, updated: i32, available: i32) -> DaemonSet {
        serde_json::from_value(json!({
            "metadata": {"generation": generation},
            "spec": {"selector": {}, "template": {}},
            "status": {"observedGeneration": 2, "desiredNumberScheduled": 3,
                "currentNumberScheduled": 3, "numberMisscheduled": 0, "numberReady": 3,
                "updatedNumberScheduled": updated, "numberAvailable": available},
        }))
        .unwrap()
    }

    #[test]
    fn it_is_done_when_all_nodes_have_the_latest() {
        assert!(judge(&set(2, 3, 3), &[]).is_done());
        assert!(!judge(&set(3, 3, 3), &[]).is_done());
        assert!(!judge(&set(2, 2, 3), &[]).is_done());
        assert!(!judge(&set(2, 3, 2), &[]).is_done());
        assert!(!judge(&DaemonSet::default(), &[]).is_done());
    }

    #[test]
    fn a_pod_that_is_on_no_node_yet_names_the_one_it_is_meant_for() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "np"},
            "spec": {"containers": [], "affinity": {"nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{
                    "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]
                }]}}}},
            "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled",
                "status": "False", "reason": "Unschedulable", "message": "Too many pods"}]},
        }))
        .unwrap();
        let told = judge(&set(2, 2, 2), &[pod]).obstacles;
        assert_eq!(told, [("n1".into(), "Unschedulable: Too many pods".into())]);
    }
}
