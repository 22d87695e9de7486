//! The Kubernetes container runtime interface, which CRI-O, containerd and cri-dockerd speak.

use std::collections::HashMap;
use std::path::Path;

use futures_util::future::join_all;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{
    ContainerFilter, ContainerState, ContainerStatusRequest, ListContainersRequest,
    ListPodSandboxRequest, VersionRequest,
};
use nix::unistd::Pid;
use serde::Deserialize;
use tonic::transport::Channel;

use super::super::error::EndpointError;
use super::super::{Container, Pod, Runtime, State, labels};
use super::question::Question;
use super::wire::{MESSAGE_LIMIT, channel, failed, told_by};
use crate::spec::Spec;

/// Nanoseconds in a second.
const NANOS: i64 = 1_000_000_000;

fn client(channel: &Channel) -> RuntimeServiceClient<Channel> {
    RuntimeServiceClient::new(channel.clone()).max_decoding_message_size(MESSAGE_LIMIT)
}

pub(super) async fn ask(
    socket: &Path,
    question: &Question,
) -> Result<Vec<Container>, EndpointError> {
    let (channel, owner) = channel(socket).await?;
    let version = client(&channel).version(VersionRequest::default()).await;
    let name = version.map_err(|e| failed(&e))?.into_inner().runtime_name;
    let runtime = match name.as_str() {
        "cri-o" => Runtime::CriO,
        "docker" => Runtime::Docker,
        _ => Runtime::Containerd,
    };
    let (containers, sandboxes) = tokio::join!(
        containers(&channel, runtime, question),
        sandboxes(&channel, runtime, question)
    );
    let mut all = containers?;
    all.extend(sandboxes?);
    for container in &mut all {
        told_by(container, socket, owner);
    }
    Ok(all)
}

async fn containers(
    channel: &Channel,
    runtime: Runtime,
    question: &Question,
) -> Result<Vec<Container>, EndpointError> {
    let filter = match question {
        Question::Pod { namespace, pod } => Some(ContainerFilter {
            label_selector: HashMap::from([
                ("io.kubernetes.pod.name".to_owned(), pod.clone()),
                ("io.kubernetes.pod.namespace".to_owned(), namespace.clone()),
            ]),
            ..ContainerFilter::default()
        }),
        _ => None,
    };
    let request = ListContainersRequest { filter };
    let answer = client(channel).list_containers(request).await;
    let listed = answer.map_err(|e| failed(&e))?.into_inner().containers;
    let meant = listed.into_iter().filter_map(|c| {
        let mut container = Container::new(&c.id, runtime);
        labels::of_kubelet(&c.labels.into_iter().collect()).fill(&mut container);
        container.image = c.image.map(|i| i.image).filter(|i| !i.is_empty());
        container.created = Some(c.created_at / NANOS);
        if c.state == ContainerState::ContainerExited as i32 {
            container.state = State::Exited {
                code: None,
                at: None,
            };
        }
        question.means(&container).then_some(container)
    });
    let with_state = meant.map(|container| async {
        let mut container = container;
        let bare = matches!(question, Question::All { .. })
            && matches!(container.state, State::Exited { .. });
        if question.wants_state(&container.id) && !bare {
            match status(channel, &container.id).await? {
                Some(status) => {
                    container.state = status.state;
                    container.spec = status.spec;
                    container.handler = status.handler;
                }
                None => container.state = State::Unknown,
            }
        }
        Ok(container)
    });
    join_all(with_state).await.into_iter().collect()
}

/// The sandboxes: their IDs are told apart from containers'.
async fn sandboxes(
    channel: &Channel,
    runtime: Runtime,
    question: &Question,
) -> Result<Vec<Container>, EndpointError> {
    if matches!(question, Question::Pod { .. }) {
        return Ok(Vec::new());
    }
    let answer = client(channel)
        .list_pod_sandbox(ListPodSandboxRequest::default())
        .await;
    let listed = answer.map_err(|e| failed(&e))?.into_inner().items;
    let sandboxes = listed.into_iter().map(|s| {
        let mut container = Container::new(&s.id, runtime);
        container.sandbox = true;
        container.created = Some(s.created_at / NANOS);
        container.pod_default = labels::default_of(&s.annotations);
        container.pod = s.metadata.map(|m| Pod {
            namespace: m.namespace,
            name: m.name,
            uid: Some(m.uid),
            container: None,
        });
        container
    });
    Ok(sandboxes.filter(|s| question.means(s)).collect())
}

/// What a verbose ContainerStatus says.
pub(super) struct Status {
    pub(super) state: State,
    spec: Option<Spec>,
    handler: Option<String>,
}

/// One container's state. None if there is no such container any more.
pub(super) async fn status(channel: &Channel, id: &str) -> Result<Option<Status>, EndpointError> {
    let request = ContainerStatusRequest {
        container_id: id.to_owned(),
        verbose: true,
    };
    let answer = match client(channel).container_status(request).await {
        Ok(answer) => answer.into_inner(),
        Err(e) if e.code() == tonic::Code::NotFound => return Ok(None),
        Err(e) => return Err(failed(&e)),
    };
    let info = answer.info.get("info").map(String::as_bytes);
    let info = info.and_then(|i| parse_info(i).ok()).unwrap_or_default();
    let Some(status) = answer.status else {
        return Ok(None);
    };
    let state = match (ContainerState::try_from(status.state), info.pid) {
        (Ok(ContainerState::ContainerRunning), pid) if pid > 0 => {
            State::Running(Pid::from_raw(pid))
        }
        (Ok(ContainerState::ContainerCreated), pid) => {
            State::Created((pid > 0).then(|| Pid::from_raw(pid)))
        }
        (Ok(ContainerState::ContainerExited), _) => State::Exited {
            code: Some(status.exit_code),
            at: (status.finished_at > 0).then_some(status.finished_at / NANOS),
        },
        _ => State::Unknown,
    };
    Ok(Some(Status {
        state,
        spec: info.runtime_spec,
        handler: info.runtime_type,
    }))
}

/// The `info` of a verbose ContainerStatus: containerd's and CRI-O's have these in common.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Info {
    /// The init's PID.
    pub pid: i32,
    /// containerd: the runtime's type.
    pub runtime_type: Option<String>,
    /// The OCI spec.
    pub runtime_spec: Option<Spec>,
}

/// Reads it.
///
/// # Errors
/// When it is not JSON of that form.
pub fn parse_info(json: &[u8]) -> serde_json::Result<Info> {
    serde_json::from_slice(json)
}
