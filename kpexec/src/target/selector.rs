//! Which labels the pods of an object have.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;
use serde_json::Value;

use super::{Error, Kind, Pods, Wanted};
use crate::cluster::{Cluster, encoded};

/// As much of a workload or service as tells its pods.
#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize, Default)]
struct Spec {
    #[serde(default)]
    selector: Value,
}

#[derive(Deserialize, Default)]
struct Status {
    /// Jobs; other kinds have a number here.
    #[serde(default)]
    active: Value,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
}

/// The label selector of an object's pods, as a list takes it.
pub(super) async fn labels(
    cluster: &Cluster,
    wanted: &Wanted<'_>,
    kind: Kind,
) -> Result<String, Error> {
    let named = wanted.named;
    let path = kind.path(&encoded(wanted.namespace));
    let path = format!("{path}/{}", encoded(&named.name));
    let object: Object = cluster.get(&path).await?;
    let text = written(kind.pods, object).map_err(|source| Error::BadSelector {
        object: named.to_string(),
        source,
    })?;
    text.ok_or_else(|| match kind.pods {
        Pods::ActiveJobs => Error::NoJob(named.to_string()),
        _ => Error::NoSelector(named.to_string()),
    })
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
}
