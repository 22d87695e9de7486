//! Which of several pods is entered: the one that most likely is of use.

use std::cmp::Reverse;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::jiff::Timestamp;

/// The best pod, in kubectl's order: assigned, running, ready, not being deleted, longest ready,
/// fewest restarts, oldest. Of equal ones the first by name, so that the choice is always the same.
#[must_use]
pub(super) fn best(pods: &[Pod]) -> Option<&Pod> {
    pods.iter().min_by_key(|pod| rank(pod))
}

type Rank = (
    bool,
    Reverse<u8>,
    bool,
    bool,
    Timestamp,
    i32,
    Timestamp,
    String,
);

fn rank(pod: &Pod) -> Rank {
    let spec = pod.spec.as_ref();
    let status = pod.status.as_ref();
    let unassigned = spec
        .and_then(|spec| spec.node_name.as_deref())
        .is_none_or(str::is_empty);
    let ready_since = status.and_then(ready_since);
    let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    (
        unassigned,
        Reverse(phase(status)),
        ready_since.is_none(),
        pod.metadata.deletion_timestamp.is_some(),
        ready_since.unwrap_or(Timestamp::MAX),
        status.map_or(0, restarts),
        created.unwrap_or(Timestamp::MAX),
        pod.metadata.name.clone().unwrap_or_default(),
    )
}

fn phase(status: Option<&PodStatus>) -> u8 {
    match status.and_then(|status| status.phase.as_deref()) {
        Some("Running") => 3,
        Some("Unknown") => 2,
        Some("Pending") | None => 1,
        // What has ended cannot be entered.
        Some(_) => 0,
    }
}

fn ready_since(status: &PodStatus) -> Option<Timestamp> {
    let ready = status
        .conditions
        .iter()
        .flatten()
        .find(|c| c.type_ == "Ready" && c.status == "True")?;
    Some(
        ready
            .last_transition_time
            .as_ref()
            .map_or(Timestamp::MAX, |time| time.0),
    )
}

fn restarts(status: &PodStatus) -> i32 {
    let containers = status.container_statuses.iter().flatten();
    containers
        .map(|container| container.restart_count)
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, json: serde_json::Value) -> Pod {
        let mut pod: Pod = serde_json::from_value(json).unwrap();
        pod.metadata.name = Some(name.to_owned());
        pod
    }

    fn running(name: &str, ready: Option<&str>, restarts: i32, created: &str) -> Pod {
        let condition = ready.map(|since| {
            serde_json::json!({"type": "Ready", "status": "True", "lastTransitionTime": since})
        });
        pod(
            name,
            serde_json::json!({
                "metadata": {"creationTimestamp": created},
                "spec": {"nodeName": "n", "containers": []},
                "status": {
                    "phase": "Running",
                    "conditions": condition.into_iter().collect::<Vec<_>>(),
                    "containerStatuses": [{
                        "name": "app", "image": "", "imageID": "", "ready": true,
                        "restartCount": restarts,
                    }],
                },
            }),
        )
    }

    fn choice(pods: &[&Pod]) -> String {
        let forth: Vec<_> = pods.iter().copied().cloned().collect();
        let back: Vec<_> = forth.iter().rev().cloned().collect();
        let best = [&forth, &back].map(|pods| best(pods).unwrap());
        assert_eq!(best[0], best[1], "the order must not count");
        best[0].metadata.name.clone().unwrap()
    }

    #[test]
    fn the_most_useful_pod_is_chosen() {
        let early = "2026-01-01T00:00:00Z";
        let late = "2026-01-02T00:00:00Z";
        let spec = serde_json::json!({"spec": {"nodeName": "n", "containers": []}});
        let pending = pod("pending", spec);
        let unassigned = pod(
            "unassigned",
            serde_json::json!({"status": {"phase": "Running"}}),
        );
        let unready = running("unready", None, 0, early);
        let new = running("new", Some(late), 0, late);
        let old = running("old", Some(early), 9, early);
        let mut leaving = running("leaving", Some(early), 0, early);
        leaving.metadata.deletion_timestamp = leaving.metadata.creation_timestamp.clone();
        assert_eq!(choice(&[&unassigned, &pending]), "pending");
        assert_eq!(choice(&[&pending, &unready]), "unready");
        assert_eq!(choice(&[&unready, &new]), "new");
        assert_eq!(choice(&[&leaving, &new]), "new");
        assert_eq!(choice(&[&new, &old]), "old");
        let calm = running("calm", Some(early), 1, late);
        assert_eq!(choice(&[&old, &calm]), "calm");
        let a = running("a", Some(early), 1, late);
        assert_eq!(choice(&[&calm, &a]), "a");
        assert_eq!(best(&[]), None);
    }
}
