//! Which of a pod's containers.

use k8s_openapi::api::core::v1::Pod;

use super::Error;
use super::state::status;

/// The annotation that names the container for people to enter.
const DEFAULT: &str = "kubectl.kubernetes.io/default-container";

/// A container, by name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Its name.
    pub name: String,
    /// What kubectl says if it had to choose.
    pub note: Option<String>,
}

/// Chooses as kubectl does: the one that is named, the annotation's, the first.
///
/// # Errors
/// When the pod has none of that name, or has none at all.
pub(super) fn choose(pod: &Pod, wanted: Option<&str>) -> Result<Choice, Error> {
    let names = Names::of(pod);
    if let Some(name) = wanted.filter(|name| !name.is_empty()) {
        if !names.contains(name) {
            return Err(Error::NoContainer {
                container: name.to_owned(),
                pod: pod.metadata.name.clone().unwrap_or_default(),
                all: names.listed(),
            });
        }
        return Ok(Choice {
            name: name.to_owned(),
            note: None,
        });
    }
    if let Some(name) = default(pod) {
        return Ok(Choice {
            name: name.to_owned(),
            note: None,
        });
    }
    let Some(first) = names.containers.first() else {
        return Err(Error::NoContainers(
            pod.metadata.name.clone().unwrap_or_default(),
        ));
    };
    let several = names.containers.len() + names.ephemeral.len() + names.init.len() > 1;
    Ok(Choice {
        name: (*first).to_owned(),
        note: several.then(|| format!("Defaulted container {first:?} out of: {}", names.listed())),
    })
}

/// The names of a pod's containers.
struct Names<'a> {
    containers: Vec<&'a str>,
    ephemeral: Vec<&'a str>,
    init: Vec<&'a str>,
}

impl<'a> Names<'a> {
    fn of(pod: &'a Pod) -> Self {
        let spec = pod.spec.as_ref();
        let containers = spec
            .map(|spec| spec.containers.as_slice())
            .unwrap_or_default();
        let ephemeral = spec.and_then(|spec| spec.ephemeral_containers.as_deref());
        let init = spec.and_then(|spec| spec.init_containers.as_deref());
        Self {
            containers: containers.iter().map(|c| c.name.as_str()).collect(),
            ephemeral: ephemeral
                .unwrap_or_default()
                .iter()
                .map(|c| c.name.as_str())
                .collect(),
            init: init
                .unwrap_or_default()
                .iter()
                .map(|c| c.name.as_str())
                .collect(),
        }
    }

    fn contains(&self, name: &str) -> bool {
        [&self.containers, &self.ephemeral, &self.init]
            .into_iter()
            .flatten()
            .any(|n| *n == name)
    }

    fn listed(&self) -> String {
        let plain = self.containers.iter().map(|name| (*name).to_owned());
        let ephemeral = self.ephemeral.iter().map(|name| format!("{name} (ephem)"));
        let init = self.init.iter().map(|name| format!("{name} (init)"));
        plain
            .chain(ephemeral)
            .chain(init)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// A container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// What it is, if it is an unusual one.
    pub kind: &'static str,
    /// Its ID, if it runs or has run.
    pub id: Option<String>,
}

/// A pod's containers.
#[must_use]
pub fn all(pod: &Pod) -> Vec<Container> {
    let Names {
        containers,
        ephemeral,
        init,
    } = Names::of(pod);
    [(containers, ""), (ephemeral, "ephemeral"), (init, "init")]
        .into_iter()
        .flat_map(|(names, kind)| names.into_iter().map(move |name| (name, kind)))
        .map(|(name, kind)| Container {
            name: name.to_owned(),
            kind,
            id: status(pod, name).and_then(|status| status.container_id.clone()),
        })
        .collect()
}

/// The container that the pod's annotation names for people to enter.
#[must_use]
pub fn default(pod: &Pod) -> Option<&str> {
    let name = pod.metadata.annotations.as_ref()?.get(DEFAULT)?;
    Names::of(pod).contains(name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(json: serde_json::Value) -> Pod {
        serde_json::from_value(json).unwrap()
    }

    fn full() -> serde_json::Value {
        serde_json::json!({
            "metadata": {"name": "web"},
            "spec": {
                "containers": [{"name": "a"}, {"name": "b"}],
                "ephemeralContainers": [{"name": "x"}],
                "initContainers": [{"name": "y"}],
            },
        })
    }

    #[test]
    fn the_first_is_the_default_and_the_others_are_told() {
        let choice = choose(&pod(full()), None).unwrap();
        assert_eq!(choice.name, "a");
        let note = "Defaulted container \"a\" out of: a, b, x (ephem), y (init)";
        assert_eq!(choice.note.as_deref(), Some(note));
        let single = serde_json::json!({"spec": {"containers": [{"name": "only"}]}});
        assert_eq!(
            choose(&pod(single), None).unwrap(),
            Choice {
                name: "only".into(),
                note: None
            }
        );
    }

    #[test]
    fn the_annotation_and_the_flag_choose() {
        let mut annotated = full();
        annotated["metadata"]["annotations"] = serde_json::json!({DEFAULT: "b"});
        assert_eq!(choose(&pod(annotated.clone()), None).unwrap().name, "b");
        assert_eq!(
            choose(&pod(annotated.clone()), Some("y")).unwrap().name,
            "y"
        );
        annotated["metadata"]["annotations"] = serde_json::json!({DEFAULT: "gone"});
        assert_eq!(choose(&pod(annotated), None).unwrap().name, "a");
    }

    #[test]
    fn a_wrong_name_is_told_with_the_right_ones() {
        let error = choose(&pod(full()), Some("z")).unwrap_err().to_string();
        assert_eq!(
            error,
            "container z is not valid for pod web out of: a, b, x (ephem), y (init)"
        );
    }
}
