//! How far a container is, by its pod's status; if it is not there yet, what it waits for.

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod,
};

/// What a container that is about to run waits for; any other reason is a failure.
const STARTING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// What a container waits for of which nothing is said.
const NODE: &str = "the node to start it";

/// How far a container is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It runs, under this ID (`containerd://...`).
    Running(String),
    /// Not yet; what it waits for.
    Starting(String),
    /// It does not, and waiting is of no use.
    Stopped(Stop),
}

/// Why a container does not run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stop {
    /// In words.
    pub reason: String,
    /// Whose logs say more.
    pub logs: Option<Logs>,
}

/// Logs that say why a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Logs {
    /// The container's name.
    pub container: String,
    /// They are those of the time before its restart.
    pub previous: bool,
}

impl Logs {
    /// What to run to see them.
    pub(super) fn command(&self, namespace: &str, pod: &str) -> String {
        let previous = if self.previous { " -p" } else { "" };
        let container = &self.container;
        format!("kubectl -n {namespace} logs {pod} -c {container}{previous} says more")
    }
}

/// The statuses of all containers of a pod.
pub fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let lists = pod.status.as_ref().map(|status| {
        [
            &status.container_statuses,
            &status.ephemeral_container_statuses,
            &status.init_container_statuses,
        ]
    });
    lists.into_iter().flatten().flatten().flatten()
}

/// The status of the container of this name.
#[must_use]
pub(super) fn status<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    statuses(pod).find(|container| container.name == name)
}

/// How far the container of this name is.
#[must_use]
pub(super) fn state(pod: &Pod, name: &str) -> State {
    let Some(found) = status(pod, name) else {
        return State::Starting(unscheduled(pod).unwrap_or_else(|| NODE.to_owned()));
    };
    let own = state_of(found);
    let begins = matches!(&own, State::Starting(_));
    // Its pod's own containers begin when all of those are done.
    let first = pod
        .status
        .as_ref()
        .and_then(|s| s.container_statuses.as_ref());
    let is_own = first.is_some_and(|all| all.iter().any(|container| container.name == name));
    match initializing(pod).filter(|_| begins && is_own) {
        Some(state) => state,
        None => own,
    }
}

fn state_of(container: &ContainerStatus) -> State {
    let starting = || State::Starting(NODE.to_owned());
    match container.state.as_ref() {
        Some(ContainerState {
            running: Some(_), ..
        }) => match container.container_id.as_deref() {
            Some(id) if !id.is_empty() => State::Running(id.to_owned()),
            _ => starting(),
        },
        Some(ContainerState {
            terminated: Some(end),
            ..
        }) => State::Stopped(Stop {
            reason: of_end(end),
            logs: logs(container, false),
        }),
        Some(ContainerState {
            waiting: Some(waiting),
            ..
        }) => match waiting.reason.as_deref().unwrap_or_default() {
            "" => starting(),
            reason if STARTING.contains(&reason) => State::Starting(reason.to_owned()),
            reason => State::Stopped(hopeless(container, reason, waiting)),
        },
        _ => starting(),
    }
}

/// The reason why a container is not started, and how it ended before.
fn hopeless(container: &ContainerStatus, reason: &str, waiting: &ContainerStateWaiting) -> Stop {
    let mut words = reason.to_owned();
    let message = waiting.message.as_deref().unwrap_or_default();
    // Of a back-off, how long it is; not the names that whoever asks has just given.
    let message = message.split(" restarting failed ").next();
    if let Some(message) = message.filter(|message| !message.is_empty()) {
        words.push_str(&format!(": {message}"));
    }
    let last = container.last_state.as_ref();
    let end = last.and_then(|last| last.terminated.as_ref());
    if let Some(end) = end {
        words.push_str(&format!("; {}", of_end(end)));
    }
    Stop {
        reason: words,
        logs: end.and_then(|_| logs(container, true)),
    }
}

fn of_end(end: &ContainerStateTerminated) -> String {
    let reason = end.reason.as_deref().unwrap_or("no reason is told");
    format!("it ended with exit code {} ({reason})", end.exit_code)
}

fn logs(container: &ContainerStatus, previous: bool) -> Option<Logs> {
    Some(Logs {
        container: container.name.clone(),
        previous,
    })
}

/// The init container that the others wait for.
fn initializing(pod: &Pod) -> Option<State> {
    let containers = pod
        .status
        .as_ref()?
        .init_container_statuses
        .iter()
        .flatten();
    let current = containers
        .into_iter()
        .find(|container| !is_past(pod, container))?;
    let name = format!("its init container {}", current.name);
    Some(match state_of(current) {
        State::Running(_) => State::Starting(format!("{name}, which runs")),
        State::Starting(reason) => State::Starting(format!("{name} ({reason})")),
        // It is started again at once, and if it ended too often, after a time.
        State::Stopped(stop)
            if current
                .state
                .as_ref()
                .is_some_and(|s| s.terminated.is_some()) =>
        {
            State::Starting(format!("{name} ({})", stop.reason))
        }
        State::Stopped(stop) => State::Stopped(Stop {
            reason: format!("{name} fails: {}", stop.reason),
            ..stop
        }),
    })
}

/// Whether an init container keeps nobody waiting: it is done, or one that stays (a sidecar).
fn is_past(pod: &Pod, container: &ContainerStatus) -> bool {
    let Some(state) = &container.state else {
        return false;
    };
    let all = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.init_containers.as_ref());
    let stays = all.into_iter().flatten().any(|init| {
        init.name == container.name && init.restart_policy.as_deref() == Some("Always")
    });
    match (&state.terminated, &state.running) {
        (Some(end), _) => end.exit_code == 0 && !stays,
        (None, Some(_)) => stays && container.started == Some(true),
        (None, None) => false,
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
    use serde_json::{Value, json};

    fn status(name: &str, state: &Value) -> Value {
        json!({
            "name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "containerID": "containerd://1", "state": state,
        })
    }

    fn in_status(status: &Value) -> State {
        let spec = json!({"containers": [{"name": "a"}], "initContainers": [
            {"name": "stays", "restartPolicy": "Always"}, {"name": "first"}, {"name": "second"},
        ]});
        let pod = json!({"metadata": {"name": "web"}, "spec": spec, "status": status});
        state(&serde_json::from_value(pod).unwrap(), "a")
    }

    fn in_state(state: Value) -> State {
        in_status(&json!({"containerStatuses": [status("a", &state)]}))
    }

    fn stopped(state: State) -> Stop {
        match state {
            State::Stopped(stop) => stop,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_what_runs_is_entered() {
        let running = json!({"running": {}});
        assert_eq!(in_state(running), State::Running("containerd://1".into()));
        let creating = json!({"waiting": {"reason": "ContainerCreating"}});
        let expected = State::Starting("ContainerCreating".into());
        assert_eq!(in_state(creating), expected);
        let ended = stopped(in_state(
            json!({"terminated": {"exitCode": 3, "reason": "Error"}}),
        ));
        assert_eq!(ended.reason, "it ended with exit code 3 (Error)");
        assert_eq!(ended.logs.map(|logs| logs.previous), Some(false));
        let missing = json!({"waiting": {"reason": "ErrImagePull", "message": "no such image"}});
        let missing = stopped(in_state(missing));
        assert_eq!(
            (missing.reason.as_str(), missing.logs),
            ("ErrImagePull: no such image", None)
        );
    }

    #[test]
    fn a_crash_tells_its_exit_code() {
        let waiting = json!({"waiting": {
            "reason": "CrashLoopBackOff",
            "message": "back-off 5m0s restarting failed container=a pod=web_shop(1)",
        }});
        let mut crashed = status("a", &waiting);
        crashed["lastState"] = json!({"terminated": {"exitCode": 1, "reason": "Error"}});
        let stop = stopped(in_status(&json!({ "containerStatuses": [crashed] })));
        let told = "CrashLoopBackOff: back-off 5m0s; it ended with exit code 1 (Error)";
        assert_eq!(stop.reason, told);
        let logs = Logs {
            container: "a".into(),
            previous: true,
        };
        assert_eq!(stop.logs, Some(logs));
    }

    fn initializing(first: Value, second: Value) -> State {
        let waits = json!({"waiting": {"reason": "PodInitializing"}});
        let mut stays = status("stays", &json!({"running": {}}));
        stays["started"] = json!(true);
        in_status(&json!({
            "containerStatuses": [status("a", &waits)],
            "initContainerStatuses": [stays, status("first", &first), status("second", &second)],
        }))
    }

    #[test]
    fn the_init_container_that_holds_it_up_is_named() {
        let waits = || json!({"waiting": {"reason": "PodInitializing"}});
        let done = || json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
        let failed = || json!({"terminated": {"exitCode": 4, "reason": "Error"}});
        let says = |state: State, words: &str| assert_eq!(state, State::Starting(words.into()));
        let runs = initializing(json!({"running": {}}), waits());
        says(runs, "its init container first, which runs");
        let second = initializing(done(), failed());
        says(
            second,
            "its init container second (it ended with exit code 4 (Error))",
        );
        let crashing = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        let stop = stopped(initializing(done(), crashing));
        assert_eq!(
            stop.reason,
            "its init container second fails: CrashLoopBackOff"
        );
        says(initializing(done(), done()), "PodInitializing");
    }

    #[test]
    fn an_unscheduled_pod_says_why() {
        let status = json!({"phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "message": "0/2 nodes are available",
        }]});
        let told = "a node (0/2 nodes are available)";
        assert_eq!(in_status(&status), State::Starting(told.into()));
    }
}
