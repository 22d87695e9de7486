//! containerd's own API: containers and tasks in each of its namespaces.

use std::path::Path;

use containerd_client::services::v1::containers_client::ContainersClient;
use containerd_client::services::v1::namespaces_client::NamespacesClient;
use containerd_client::services::v1::tasks_client::TasksClient;
use containerd_client::services::v1::{
    Container as Record, GetRequest, ListContainersRequest, ListNamespacesRequest,
};
use containerd_client::types::v1::{Process, Status};
use futures_util::future::join_all;
use nix::unistd::Pid;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;

use super::super::error::EndpointError;
use super::super::{Container, Runtime, State, labels};
use super::cri;
use super::question::Question;
use super::wire::{MESSAGE_LIMIT, channel, failed, told_by};
use crate::spec::Spec;

/// What the CRI plugin keeps beside a sandbox.
const SANDBOX: &str = "io.cri-containerd.sandbox.metadata";

/// How the extensions of a container begin that its CRI plugin has made.
const CRI: &str = "io.cri-containerd.";

/// The longest of containerd's namespaces' and containers' names.
const MAX_NAME: usize = 255;

pub(super) async fn ask(
    socket: &Path,
    question: &Question,
    namespace: Option<&str>,
) -> Result<Vec<Container>, EndpointError> {
    let (channel, owner) = channel(socket).await?;
    let namespaces = match namespace {
        Some(one) => vec![one.to_owned()],
        None => namespaces(&channel).await?,
    };
    let found = join_all(
        namespaces
            .iter()
            .map(|ns| in_namespace(&channel, ns, question)),
    )
    .await;
    let mut all = Vec::new();
    for containers in found {
        all.extend(containers?);
    }
    for container in &mut all {
        told_by(container, socket, owner);
    }
    Ok(all)
}

async fn namespaces(channel: &Channel) -> Result<Vec<String>, EndpointError> {
    let mut client = NamespacesClient::new(channel.clone());
    let request = ListNamespacesRequest {
        filter: String::new(),
    };
    let answer = client.list(request).await.map_err(|e| failed(&e))?;
    let all = answer.into_inner().namespaces.into_iter();
    Ok(all.map(|n| n.name).collect())
}

/// The containers of one namespace, each with its task; both are asked on one connection.
async fn in_namespace(
    channel: &Channel,
    namespace: &str,
    question: &Question,
) -> Result<Vec<Container>, EndpointError> {
    let mut client =
        ContainersClient::new(channel.clone()).max_decoding_message_size(MESSAGE_LIMIT);
    let request = ListContainersRequest {
        filters: filters(question),
    };
    let answer = client.list(within(request, namespace)?).await;
    let records = answer.map_err(|e| failed(&e))?.into_inner().containers;
    let containers = records
        .into_iter()
        .map(|record| read(record, namespace))
        .filter(|container| question.means(container));
    let with_state = containers.map(|container| add_state(channel, namespace, question, container));
    join_all(with_state).await.into_iter().collect()
}

/// containerd's filter language (pkg/filters); what is given has no quotes in it ([`Query`]), or
/// is left to our own comparison.
///
/// [`Query`]: crate::request::Query
fn filters(question: &Question) -> Vec<String> {
    let plain = |text: &str| {
        let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        text.len() <= MAX_NAME && text.bytes().all(ok)
    };
    match question {
        Question::Word(word) if plain(word) => vec![
            format!("id~=\"^{}\"", word.replace('.', "[.]")),
            format!("labels.\"nerdctl/name\"==\"{word}\""),
            format!("labels.\"io.kubernetes.container.name\"==\"{word}\""),
        ],
        Question::Pod { namespace, pod } if plain(namespace) && plain(pod) => vec![format!(
            "labels.\"io.kubernetes.pod.name\"==\"{pod}\",\
             labels.\"io.kubernetes.pod.namespace\"==\"{namespace}\""
        )],
        _ => Vec::new(),
    }
}

fn within<T>(request: T, namespace: &str) -> Result<tonic::Request<T>, EndpointError> {
    let value = MetadataValue::try_from(namespace);
    let value = value.map_err(|_| EndpointError::Answer("it has an odd namespace".into()))?;
    let mut request = tonic::Request::new(request);
    request.metadata_mut().insert("containerd-namespace", value);
    Ok(request)
}

fn read(record: Record, namespace: &str) -> Container {
    let runtime = match namespace {
        "moby" => Runtime::Docker,
        _ => Runtime::Containerd,
    };
    let mut container = Container::new(&record.id, runtime);
    container.runtime_namespace = Some(namespace.to_owned());
    container.handler = record.runtime.map(|r| r.name);
    container.image = Some(record.image).filter(|i| !i.is_empty());
    container.created = record.created_at.map(|t| t.seconds);
    if let Some(spec) = record.spec.and_then(|any| Spec::parse(&any.value).ok()) {
        labels::of_spec(&spec.annotations, runtime).fill(&mut container);
        container.spec = Some(spec);
    }
    let by_cri = record.extensions.keys().any(|key| key.starts_with(CRI));
    labels::of_containerd(&record.labels.into_iter().collect(), by_cri).fill(&mut container);
    let metadata = record.extensions.get(SANDBOX);
    container.pod_default = metadata.and_then(|any| labels::default_in(&any.value));
    container
}

async fn add_state(
    channel: &Channel,
    namespace: &str,
    question: &Question,
    mut container: Container,
) -> Result<Container, EndpointError> {
    if !question.wants_state(&container.id) {
        return Ok(container);
    }
    let request = GetRequest {
        container_id: container.id.clone(),
        exec_id: String::new(),
    };
    let answer = TasksClient::new(channel.clone())
        .get(within(request, namespace)?)
        .await;
    container.state = match answer {
        Ok(answer) => answer.into_inner().process.map_or(State::Unknown, state),
        Err(e) if e.code() == tonic::Code::NotFound => {
            without_task(channel, question, &container).await
        }
        Err(e) => return Err(failed(&e)),
    };
    Ok(container)
}

/// The CRI plugin deletes the task of a container that ended, and keeps its exit code to itself.
async fn without_task(channel: &Channel, question: &Question, container: &Container) -> State {
    if container.pod.is_none() {
        return State::Created(None);
    }
    let unknown = State::Exited {
        code: None,
        at: None,
    };
    if matches!(question, Question::All { .. }) || container.sandbox {
        return unknown;
    }
    match cri::status(channel, &container.id).await {
        // For a moment it calls running what has no task any more.
        Ok(Some(status)) if status.state.pid().is_none() => status.state,
        _ => unknown,
    }
}

fn state(task: Process) -> State {
    let pid = i32::try_from(task.pid).ok().filter(|pid| *pid > 0);
    match (Status::try_from(task.status), pid) {
        (Ok(Status::Running), Some(pid)) => State::Running(Pid::from_raw(pid)),
        (Ok(Status::Paused | Status::Pausing), Some(pid)) => State::Paused(Pid::from_raw(pid)),
        (Ok(Status::Created), pid) => State::Created(pid.map(Pid::from_raw)),
        (Ok(Status::Stopped), _) => State::Exited {
            code: i32::try_from(task.exit_status).ok(),
            at: task.exited_at.map(|t| t.seconds),
        },
        _ => State::Unknown,
    }
}
