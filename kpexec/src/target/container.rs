//! Which of a pod's containers, and whether it can be entered.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};

use super::Error;

/// The annotation that names the container for people to enter.
const DEFAULT: &str = "kubectl.kubernetes.io/default-container";

/// What a container that is about to run waits for; any other reason is a failure.
const STARTING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// A container, by name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Its name.
    pub name: String,
    /// What kubectl says if it had to choose.
    pub note: Option<String>,
}

/// How far a container is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It runs, under this ID (`containerd://...`).
    Running(String),
    /// Not yet; what it waits for.
    Starting(String),
    /// It does not, and waiting is of no use; why.
    Stopped(String),
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

fn status<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let all = [
        &status.container_statuses,
        &status.ephemeral_container_statuses,
        &status.init_container_statuses,
    ];
    let mut all = all.into_iter().flatten().flatten();
    all.find(|container| container.name == name)
}

/// How far the container of this name is.
#[must_use]
pub(super) fn state(pod: &Pod, name: &str) -> State {
    match status(pod, name) {
        Some(container) => state_of(container),
        None => {
            State::Starting(unscheduled(pod).unwrap_or_else(|| "the node to start it".to_owned()))
        }
    }
}

fn state_of(container: &ContainerStatus) -> State {
    let Some(state) = &container.state else {
        return State::Starting("the node to start it".to_owned());
    };
    match (state, &container.container_id) {
        (
            ContainerState {
                running: Some(_), ..
            },
            Some(id),
        ) if !id.is_empty() => State::Running(id.clone()),
        (
            ContainerState {
                terminated: Some(end),
                ..
            },
            _,
        ) => {
            let reason = end.reason.as_deref().unwrap_or("no reason is told");
            State::Stopped(format!(
                "it ended with exit code {} ({reason})",
                end.exit_code
            ))
        }
        (
            ContainerState {
                waiting: Some(waiting),
                ..
            },
            _,
        ) => {
            let reason = waiting.reason.as_deref().unwrap_or_default();
            if reason.is_empty() {
                return State::Starting("the node to start it".to_owned());
            }
            if STARTING.contains(&reason) {
                return State::Starting(reason.to_owned());
            }
            let message = waiting
                .message
                .as_deref()
                .filter(|message| !message.is_empty());
            State::Stopped(match message {
                Some(message) => format!("{reason}: {message}"),
                None => reason.to_owned(),
            })
        }
        _ => State::Starting("the node to start it".to_owned()),
    }
}

/// What the scheduler says of a pod that no node has taken.
fn unscheduled(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.iter().flatten();
    let told = conditions
        .into_iter()
        .find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    Some(format!(
        "a node ({})",
        told.message.as_deref().or(told.reason.as_deref())?
    ))
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

    fn in_state(state: serde_json::Value) -> State {
        let status = serde_json::json!({
            "name": "a", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "containerID": "containerd://1", "state": state,
        });
        let mut json = full();
        json["status"] = serde_json::json!({"containerStatuses": [status]});
        super::state(&pod(json), "a")
    }

    #[test]
    fn only_what_runs_is_entered() {
        let running = serde_json::json!({"running": {}});
        assert_eq!(in_state(running), State::Running("containerd://1".into()));
        let creating = serde_json::json!({"waiting": {"reason": "ContainerCreating"}});
        assert_eq!(
            in_state(creating),
            State::Starting("ContainerCreating".into())
        );
        let crashed = serde_json::json!({
            "waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"},
        });
        assert_eq!(
            in_state(crashed),
            State::Stopped("CrashLoopBackOff: back-off 5m0s".into())
        );
        let ended = serde_json::json!({"terminated": {"exitCode": 3, "reason": "Error"}});
        let told = "it ended with exit code 3 (Error)";
        assert_eq!(in_state(ended), State::Stopped(told.into()));
    }

    #[test]
    fn an_unscheduled_pod_says_why() {
        let mut json = full();
        json["status"] = serde_json::json!({"phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "message": "0/2 nodes are available",
        }]});
        let told = "a node (0/2 nodes are available)";
        assert_eq!(super::state(&pod(json), "a"), State::Starting(told.into()));
    }
}
