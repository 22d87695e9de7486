//! Asking daemons: all at once, each bounded in time, and none of them left behind. The async
//! runtime lives only in here, on the caller's own thread.

mod containerd;
mod cri;
mod docker;
mod question;
mod wire;

pub use cri::{Info as CriInfo, parse_info as parse_cri_info};
pub use docker::{
    Inspected as DockerInspected, parse_inspect as parse_docker_inspect,
    parse_list as parse_docker_list,
};
pub(super) use question::Question;

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;

use super::error::{EndpointError, Error, Warning};
use super::known::{self, Api};
use super::{Container, Context};
use crate::escape::escaped_path;
use crate::request::RuntimeChoice;

/// What they answered.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) containers: Vec<Container>,
    pub(super) warnings: Vec<Warning>,
    /// Those that have a socket here, whether they answered or not.
    pub(super) asked: Vec<Api>,
}

/// Asks `--runtime-endpoint` alone if it is given, else every socket of a known runtime that is
/// there and of a `wanted` kind.
pub(super) fn ask(
    ctx: &Context<'_>,
    question: &Question,
    wanted: impl Fn(Api) -> bool,
) -> Result<Answers, Error> {
    let lookup = ctx.lookup;
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(Error::Client)
    };
    let namespace = lookup.runtime_namespace.as_deref();
    if let Some(path) = &lookup.endpoint {
        let socket = on_node(&lookup.host_root, path);
        let asked = ask_unknown(&socket, lookup.runtime, question, namespace, lookup.timeout);
        let containers = runtime()?
            .block_on(asked)
            .map_err(|source| Error::Endpoint {
                path: path.clone(),
                source,
            })?;
        return Ok(Answers {
            containers,
            ..Answers::default()
        });
    }
    let sockets: Vec<_> = known::sockets(lookup)
        .into_iter()
        .filter(|(api, _)| wanted(*api))
        .map(|(api, path)| (api, on_node(&lookup.host_root, &path), path))
        .filter(|(_, socket, _)| std::fs::symlink_metadata(socket).is_ok())
        .collect();
    if sockets.is_empty() {
        return Ok(Answers::default());
    }
    let asked = join_all(
        sockets
            .iter()
            .map(|(api, socket, _)| ask_one(*api, socket, question, namespace, lookup.timeout)),
    );
    let mut answers = Answers {
        asked: sockets.iter().map(|(api, ..)| *api).collect(),
        ..Answers::default()
    };
    let results = runtime()?.block_on(asked);
    for ((api, _, path), result) in sockets.iter().zip(results) {
        match result {
            Ok(containers) => answers.containers.extend(containers),
            Err(e) => answers.warnings.push(left_out(*api, path, &e)),
        }
    }
    Ok(answers)
}

fn left_out(api: Api, path: &Path, error: &EndpointError) -> Warning {
    let name = match api {
        Api::Containerd => "containerd",
        Api::Cri => "the CRI runtime",
        Api::Docker => "Docker",
    };
    let why = match error {
        EndpointError::Connect(e) => format!("cannot be reached ({e})"),
        EndpointError::TimedOut(t) => format!("did not answer within {} s", t.as_secs_f32()),
        EndpointError::Unknown => "does not speak its protocol".into(),
        EndpointError::Answer(text) => format!("answered: {text}"),
    };
    let path = escaped_path(path);
    Warning(format!("{name} at {path} {why} and was left out"))
}

/// A socket of the node as we reach it, whether it is given as a path or as a `unix://` URL.
fn on_node(host_root: &Path, socket: &Path) -> PathBuf {
    let text = socket.to_string_lossy();
    let path = text.strip_prefix("unix://").unwrap_or(&text);
    host_root.join(path.trim_start_matches('/'))
}

async fn ask_one(
    api: Api,
    socket: &Path,
    question: &Question,
    namespace: Option<&str>,
    timeout: Duration,
) -> Result<Vec<Container>, EndpointError> {
    let answer = async {
        match api {
            Api::Containerd => containerd::ask(socket, question, namespace).await,
            Api::Cri => cri::ask(socket, question).await,
            Api::Docker => docker::ask(socket, question).await,
        }
    };
    match tokio::time::timeout(timeout, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(EndpointError::TimedOut(timeout)),
    }
}

/// Asks a socket of which it is not known what listens there: all APIs at once, each on a
/// connection of its own.
async fn ask_unknown(
    socket: &Path,
    choice: RuntimeChoice,
    question: &Question,
    namespace: Option<&str>,
    timeout: Duration,
) -> Result<Vec<Container>, EndpointError> {
    let apis: &[Api] = match choice {
        RuntimeChoice::Containerd => &[Api::Containerd],
        RuntimeChoice::Cri => &[Api::Cri],
        RuntimeChoice::Docker => &[Api::Docker],
        RuntimeChoice::Auto | RuntimeChoice::None => &[Api::Containerd, Api::Cri, Api::Docker],
    };
    let asked = apis
        .iter()
        .map(|api| ask_one(*api, socket, question, namespace, timeout));
    let mut failure = None;
    for result in join_all(asked).await {
        match (result, &failure) {
            (Ok(containers), _) => return Ok(containers),
            (Err(e), None) => failure = Some(e),
            // Silence says more than a protocol that was not understood.
            (Err(e @ EndpointError::TimedOut(_)), _) => failure = Some(e),
            _ if apis.len() > 1 && matches!(failure, Some(EndpointError::Answer(_))) => {
                failure = Some(EndpointError::Unknown);
            }
            _ => {}
        }
    }
    Err(failure.unwrap_or(EndpointError::Unknown))
}
