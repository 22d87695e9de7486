//! From POD or TYPE/NAME to one running container on one node.

mod container;
mod custom;
mod kind;
mod manifest;
mod rank;
mod selector;
mod state;

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tokio::time::{Instant, sleep};

use crate::cluster::{self, Cluster};
use crate::report::Report;
use crate::request::{Named, Object, Request};
use selector::Selected;
use state::State;

pub use container::{Container, all as containers, default as default_container};
pub use kind::{Kind, Pods, Type};
pub use manifest::{Error as ManifestError, Manifest};
pub use state::statuses;

/// How often a pod that does not run yet is asked for.
const POLL: Duration = Duration::from_millis(500);

/// After how long of waiting the cluster is asked what holds the pod up.
const PATIENCE: Duration = Duration::from_secs(3);

/// The annotation of a pod that the kubelet has from a file: the UID that it goes by there.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// One running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its pod's namespace.
    pub namespace: String,
    /// Its pod.
    pub pod: String,
    /// The pod's UID: a pod of the same name may take its place at any time.
    pub uid: String,
    /// The node it runs on.
    pub node: String,
    /// Its name.
    pub container: String,
    /// Its ID, as the pod's status spells it (`containerd://...`).
    pub container_id: String,
}

/// Why there is no such container.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server's answer.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// The manifest of `-f`.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// `-c` names none of the pod's.
    #[error("container {container} is not valid for pod {pod} out of: {all}")]
    NoContainer {
        /// The name.
        container: String,
        /// The pod.
        pod: String,
        /// What it has.
        all: String,
    },
    /// Nothing to enter.
    #[error("pod {0} does not have any containers")]
    NoContainers(String),
    /// The pod has ended.
    #[error("cannot exec into a container in a completed pod; current phase is {0}")]
    Completed(String),
    /// It does not run, and will not soon.
    #[error("container {container} of pod {pod} does not run: {reason}")]
    Stopped {
        /// The container.
        container: String,
        /// Its pod.
        pod: String,
        /// Why.
        reason: String,
        /// What to run to see more.
        hint: Option<String>,
    },
    /// It did not run in time.
    #[error(
        "container {container} of pod {pod} did not run within {} (--pod-running-timeout); it waits for {reason}",
        humantime::format_duration(*limit)
    )]
    Late {
        /// The container.
        container: String,
        /// Its pod.
        pod: String,
        /// What it waited for.
        reason: String,
        /// How long it had.
        limit: Duration,
    },
    /// The object has no pods.
    #[error(
        "{object} had no pod within {} (--pod-running-timeout)",
        humantime::format_duration(*limit)
    )]
    NoPods {
        /// TYPE/NAME.
        object: String,
        /// How long it had.
        limit: Duration,
    },
    /// The object wants none.
    #[error("{object} has no pod: {reason}")]
    Idle {
        /// TYPE/NAME.
        object: String,
        /// Why.
        reason: String,
    },
    /// The object selects no pods.
    #[error("{0} is defined without a selector: it has no pods")]
    NoSelector(String),
    /// No server knows it.
    #[error("the server doesn't have a resource type \"{0}\"")]
    UnknownType(String),
    /// Nothing tells which pods are its own.
    #[error(
        "the pods of a {0} cannot be found, for it has no scale subresource; name a pod, or its \
         deployment, replicaset, statefulset, daemonset, job, cronjob, service or \
         replicationcontroller"
    )]
    NoScale(String),
    /// A cronjob between two runs.
    #[error("{0} runs no job now")]
    NoJob(String),
    /// The API server answered with an object that has no such form.
    #[error("cannot read the selector of {object}")]
    BadSelector {
        /// TYPE/NAME.
        object: String,
        /// Why.
        source: serde_json::Error,
    },
}

/// What the user wants to enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    /// POD or TYPE/NAME.
    pub named: Named,
    /// Its namespace, if it is said.
    pub namespace: Option<String>,
}

impl Sought {
    /// Reads the manifest, if that says it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(request: &Request) -> Result<Self, Error> {
        let (named, namespace) = match &request.target {
            Object::Named(named) => (named.clone(), request.namespace.clone()),
            Object::InFile(path) => {
                let manifest = Manifest::read(path)?;
                let namespace = manifest.namespace(request.namespace.as_deref())?;
                (manifest.named, namespace)
            }
        };
        Ok(Self { named, namespace })
    }
}

/// What is sought.
pub struct Wanted<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// POD or TYPE/NAME.
    pub named: &'a Named,
    /// `-c`.
    pub container: Option<&'a str>,
    /// How long it may take to run.
    pub limit: Duration,
}

impl Error {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Stopped { hint, .. } => hint.clone(),
            _ => None,
        }
    }
}

/// Finds the container, and waits for it if it is about to run; and all pods that were seen then.
///
/// # Errors
/// When there is none, or it does not run.
pub async fn resolve(
    cluster: &Cluster,
    wanted: &Wanted<'_>,
    report: &Report,
) -> Result<(Target, Vec<Pod>), Error> {
    let begun = Instant::now();
    let until = begun.checked_add(wanted.limit);
    let selected = selected(cluster, wanted).await?;
    let labels = selected.as_ref().map(|selected| selected.labels.as_str());
    let mut told = None;
    let mut obstacle = None;
    loop {
        let late = until.is_some_and(|until| Instant::now() >= until);
        let pods = look(cluster, wanted, labels).await?;
        match rank::best(&pods) {
            Some(pod) => {
                let choice = accept(pod, wanted)?;
                let name = pod.metadata.name.clone().unwrap_or_default();
                if told.as_ref() != Some(&name) {
                    if labels.is_some() {
                        report.note(&format!("Entering pod {name:?} of {}", wanted.named));
                    }
                    choice.note.iter().for_each(|text| report.note(text));
                    told = Some(name.clone());
                }
                match state::state(pod, &choice.name) {
                    State::Running(id) => return Ok((target(pod, choice.name, id), pods)),
                    State::Stopped(stop) => {
                        let hint = stop.logs.map(|logs| logs.command(wanted.namespace, &name));
                        return Err(Error::Stopped {
                            container: choice.name,
                            pod: name,
                            reason: stop.reason,
                            hint,
                        });
                    }
                    State::Starting(mut reason) => {
                        // Soon, for whoever watches; and of what is there in the end.
                        if late || (obstacle.is_none() && begun.elapsed() >= PATIENCE) {
                            obstacle = Some(why_not_started(cluster, pod).await);
                        }
                        if let Some(Some(words)) = &obstacle {
                            reason.push_str(&format!(": {words}"));
                        }
                        if late {
                            return Err(Error::Late {
                                container: choice.name,
                                pod: name,
                                reason,
                                limit: wanted.limit,
                            });
                        }
                        report.step(format_args!("waiting for pod {name} to run ({reason})…"));
                    }
                }
            }
            None => {
                let object = wanted.named.to_string();
                if let Some(reason) = selected.as_ref().and_then(|s| s.idle.clone()) {
                    return Err(Error::Idle { object, reason });
                }
                if late {
                    let limit = wanted.limit;
                    return Err(Error::NoPods { object, limit });
                }
                report.step(format_args!("waiting for a pod of {object}…"));
            }
        }
        cluster.begin_anew();
        sleep(POLL).await;
    }
}

/// The pod that would be entered now, whether it runs or not.
///
/// # Errors
/// When the server says no.
pub async fn pod(cluster: &Cluster, wanted: &Wanted<'_>) -> Result<Option<Pod>, Error> {
    let selected = selected(cluster, wanted).await?;
    let labels = selected.as_ref().map(|selected| selected.labels.as_str());
    let pods = look(cluster, wanted, labels).await?;
    Ok(rank::best(&pods).cloned())
}

/// Which pods are the object's; None if the pod itself is named.
async fn selected(cluster: &Cluster, wanted: &Wanted<'_>) -> Result<Option<Selected>, Error> {
    match &wanted.named.kind {
        Type::Known(kind) if kind.pods == Pods::Itself => Ok(None),
        Type::Known(kind) => selector::selected(cluster, wanted, *kind).await.map(Some),
        Type::Other(word) => custom::selected(cluster, wanted, word).await.map(Some),
    }
}

/// What holds up a pod that a node has taken: the node, or what its kubelet warns of.
async fn why_not_started(cluster: &Cluster, pod: &Pod) -> Option<String> {
    let node = pod
        .spec
        .as_ref()?
        .node_name
        .as_deref()
        .filter(|node| !node.is_empty())?;
    if let Some(reason) = cluster.why_unready(node).await {
        return Some(format!("node {node} is not ready ({reason})"));
    }
    let meta = &pod.metadata;
    cluster
        .warning_of(meta.namespace.as_deref()?, meta.uid.as_deref()?)
        .await
}

async fn look(
    cluster: &Cluster,
    wanted: &Wanted<'_>,
    labels: Option<&str>,
) -> Result<Vec<Pod>, Error> {
    Ok(match labels {
        None => vec![cluster.pod(wanted.namespace, &wanted.named.name).await?],
        Some(labels) => cluster.pods(wanted.namespace, labels, "").await?,
    })
}

fn accept(pod: &Pod, wanted: &Wanted<'_>) -> Result<container::Choice, Error> {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    if let Some(phase @ ("Succeeded" | "Failed")) = phase {
        return Err(Error::Completed(phase.to_owned()));
    }
    container::choose(pod, wanted.container)
}

/// The UID that the node knows a pod by. Of a pod that the kubelet has from a file, the API server has
/// only an image, with a UID of its own.
#[must_use]
pub fn uid(pod: &Pod) -> Option<&str> {
    let annotations = pod.metadata.annotations.as_ref();
    let of_file = annotations.and_then(|all| all.get(MIRROR));
    of_file.or(pod.metadata.uid.as_ref()).map(String::as_str)
}

fn target(pod: &Pod, container: String, container_id: String) -> Target {
    let meta = &pod.metadata;
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    Target {
        namespace: meta.namespace.clone().unwrap_or_default(),
        pod: meta.name.clone().unwrap_or_default(),
        uid: uid(pod).unwrap_or_default().to_owned(),
        node: node.unwrap_or_default(),
        container,
        container_id,
    }
}
