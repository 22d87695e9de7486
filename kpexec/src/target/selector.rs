//! Which labels the pods of an object have.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;
use serde_json::Value;

use super::{Error, Kind, Pods, Wanted};
use crate::cluster::{Cluster, encoded};

/// An object's pods.
pub(super) struct Selected {
    /// Their label selector, as a list takes it.
    pub labels: String,
    /// Why none will be made, if that is so.
    pub idle: Option<String>,
}

/// As much of a workload or service as tells its pods.
#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize, Default)]
struct Metadata {
    generation: Option<i64>,
}

#[derive(Deserialize, Default)]
struct Spec {
    #[serde(default)]
    selector: Value,
    replicas: Option<i32>,
    /// Jobs; cron jobs as well, whose running jobs that does not stop.
    #[serde(default)]
    suspend: bool,
}

#[derive(Deserialize, Default)]
struct Status {
    /// Jobs; other kinds have a number here.
    #[serde(default)]
    active: Value,
    /// Jobs.
    #[serde(default)]
    conditions: Vec<Condition>,
    /// Daemon sets: on how many nodes.
    #[serde(rename = "desiredNumberScheduled")]
    wanted: Option<i32>,
    #[serde(rename = "observedGeneration")]
    observed: Option<i64>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
}

/// The pods of an object.
pub(super) async fn selected(
    cluster: &Cluster,
    wanted: &Wanted<'_>,
    kind: Kind,
) -> Result<Selected, Error> {
    let named = wanted.named;
    let path = kind.path(&encoded(wanted.namespace));
    let path = format!("{path}/{}", encoded(&named.name));
    let object: Object = cluster.get(&path).await?;
    let idle = why_idle(kind.pods, &object);
    let text = written(kind.pods, object).map_err(|source| Error::BadSelector {
        object: named.to_string(),
        source,
    })?;
    let labels = text.ok_or_else(|| match kind.pods {
        Pods::ActiveJobs => Error::NoJob(named.to_string()),
        _ => Error::NoSelector(named.to_string()),
    })?;
    Ok(Selected { labels, idle })
}

/// Why there is no use in waiting for a pod.
fn why_idle(pods: Pods, object: &Object) -> Option<String> {
    let Object {
        metadata,
        spec,
        status,
    } = object;
    if pods != Pods::Selector {
        return None;
    }
    let has = |kind: &str| {
        status
            .conditions
            .iter()
            .any(|c| c.kind == kind && c.status == "True")
    };
    let is_observed = status.observed >= metadata.generation;
    match spec.replicas {
        Some(replicas) => scaled_to_none(Some(replicas)),
        None if spec.suspend => Some("it is suspended".to_owned()),
        None if has("Complete") => Some("it has completed".to_owned()),
        None if has("Failed") => Some("it has failed".to_owned()),
        None if status.wanted == Some(0) && is_observed => {
            Some("no node is one that it wants a pod on".to_owned())
        }
        None => None,
    }
}

/// What is said if that many are wanted, and that is none.
pub(super) fn scaled_to_none(replicas: Option<i32>) -> Option<String> {
    (replicas == Some(0)).then(|| "it is scaled to 0 replicas".to_owned())
}

/// None if nothing is selected.
fn written(pods: Pods, object: Object) -> Result<Option<String>, serde_json::Error> {
    let text = match pods {
        Pods::Itself => String::new(),
        Pods::Selector => of_selector(serde_json::from_value(object.spec.selector)?),
        Pods::Labels => {
            let labels: Option<BTreeMap<String, String>> =
                serde_json::from_value(object.spec.selector)?;
            equal(&labels.unwrap_or_default()).join(",")
        }
        Pods::ActiveJobs => {
            let jobs: Option<Vec<Reference>> = serde_json::from_value(object.status.active)?;
            let jobs: Vec<_> = jobs.into_iter().flatten().map(|job| job.name).collect();
            if jobs.is_empty() {
                return Ok(None);
            }
            format!("batch.kubernetes.io/job-name in ({})", jobs.join(","))
        }
    };
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn of_selector(selector: Option<LabelSelector>) -> String {
    let selector = selector.unwrap_or_default();
    let mut parts = equal(&selector.match_labels.unwrap_or_default());
    for one in selector.match_expressions.into_iter().flatten() {
        let key = one.key;
        let values = one.values.unwrap_or_default().join(",");
        parts.push(match one.operator.as_str() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key,
        });
    }
    parts.join(",")
}

fn equal(labels: &BTreeMap<String, String>) -> Vec<String> {
    labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pods: Pods, json: serde_json::Value) -> Option<String> {
        written(pods, serde_json::from_value(json).unwrap()).unwrap()
    }

    #[test]
    fn selectors_are_written_as_a_list_takes_them() {
        let json = serde_json::json!({"status": {"active": 1}, "spec": {"selector": {
            "matchLabels": {"app": "web", "tier": "front"},
            "matchExpressions": [
                {"key": "env", "operator": "In", "values": ["a", "b"]},
                {"key": "old", "operator": "DoesNotExist"},
                {"key": "x", "operator": "NotIn", "values": ["y"]},
                {"key": "z", "operator": "Exists"},
            ],
        }}});
        assert_eq!(
            text(Pods::Selector, json).as_deref(),
            Some("app=web,tier=front,env in (a,b),!old,x notin (y),z")
        );
        let service = serde_json::json!({"spec": {"selector": {"app": "web"}}});
        assert_eq!(text(Pods::Labels, service).as_deref(), Some("app=web"));
        let cronjob =
            serde_json::json!({"status": {"active": [{"name": "sync-1"}, {"name": "sync-2"}]}});
        assert_eq!(
            text(Pods::ActiveJobs, cronjob).as_deref(),
            Some("batch.kubernetes.io/job-name in (sync-1,sync-2)")
        );
    }

    #[test]
    fn no_selector_never_selects_everything() {
        let external = serde_json::json!({"spec": {}});
        assert_eq!(text(Pods::Labels, external.clone()), None);
        assert_eq!(text(Pods::Selector, external.clone()), None);
        assert_eq!(text(Pods::ActiveJobs, external), None);
    }

    #[test]
    fn what_will_have_no_pod_is_known_before() {
        let idle = |pods, json| why_idle(pods, &serde_json::from_value(json).unwrap());
        let none = idle(Pods::Selector, serde_json::json!({"spec": {"replicas": 0}}));
        assert_eq!(none.as_deref(), Some("it is scaled to 0 replicas"));
        let one = serde_json::json!({"spec": {"replicas": 1}, "status": {"conditions": [
            {"type": "Available", "status": "False"},
        ]}});
        assert_eq!(idle(Pods::Selector, one), None);
        let job = serde_json::json!({"spec": {"suspend": true}});
        assert_eq!(
            idle(Pods::Selector, job.clone()).as_deref(),
            Some("it is suspended")
        );
        assert_eq!(idle(Pods::ActiveJobs, job), None);
        let daemons = |generation: i64| {
            let status = serde_json::json!({"desiredNumberScheduled": 0, "observedGeneration": 1});
            let json =
                serde_json::json!({"metadata": {"generation": generation}, "status": status});
            idle(Pods::Selector, json)
        };
        assert!(daemons(1).is_some() && daemons(2).is_none());
    }
}
