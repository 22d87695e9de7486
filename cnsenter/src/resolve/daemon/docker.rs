//! Docker's HTTP API over its unix socket (Podman speaks it too).

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::future::join_all;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use nix::unistd::Pid;
use serde::Deserialize;

use super::super::error::EndpointError;
use super::super::{Container, Runtime, State, labels, seconds};
use super::question::Question;
use super::wire::{MESSAGE_LIMIT, connect, told_by};

use crate::spec::{Process, Spec};

pub(super) async fn ask(
    socket: &Path,
    question: &Question,
) -> Result<Vec<Container>, EndpointError> {
    let Some((list, owner)) = get(socket, "/containers/json?all=1").await? else {
        return Err(EndpointError::Unknown);
    };
    let listed = parse_list(&list).map_err(|_| EndpointError::Unknown)?;
    let meant = listed.into_iter().filter(|c| question.means(c));
    let with_state = meant.map(|container| async {
        let mut container = container;
        if question.wants_state(&container.id) {
            add_state(socket, &mut container).await?;
        }
        told_by(&mut container, socket, owner);
        Ok(container)
    });
    join_all(with_state).await.into_iter().collect()
}

async fn add_state(socket: &Path, container: &mut Container) -> Result<(), EndpointError> {
    if !container.id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(EndpointError::Unknown);
    }
    let path = format!("/containers/{}/json", container.id);
    // Gone since it was listed: its state stays unknown.
    let Some((body, _)) = get(socket, &path).await? else {
        return Ok(());
    };
    let inspected = parse_inspect(&body).map_err(|_| EndpointError::Unknown)?;
    container.state = inspected.state;
    container.handler = inspected.runtime;
    container.spec = Some(inspected.spec);
    Ok(())
}

/// One request on a connection of its own; None for 404.
async fn get(socket: &Path, path: &str) -> Result<Option<(Bytes, u32)>, EndpointError> {
    let (stream, owner) = connect(socket).await?;
    let unknown = |_| EndpointError::Unknown;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(unknown)?;
    let request = Request::get(path)
        .header("Host", "docker")
        .header("Connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|_| EndpointError::Unknown)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(unknown)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MESSAGE_LIMIT)
            .collect()
            .await;
        let body = body.map_err(|_| EndpointError::Unknown)?.to_bytes();
        Ok::<_, EndpointError>((status, body))
    };
    // The connection only moves while it is polled; it ends when the exchange drops the sender.
    let (status, body) = tokio::select! {
        done = exchange => done?,
        never = async { let _ = connection.await; std::future::pending().await } => never,
    };
    match status {
        StatusCode::OK => Ok(Some((body, owner))),
        StatusCode::NOT_FOUND => Ok(None),
        other => Err(EndpointError::Answer(format!("HTTP status {other}"))),
    }
}

/// Reads `GET /containers/json`.
///
/// # Errors
/// When it is not JSON of that form.
pub fn parse_list(json: &[u8]) -> serde_json::Result<Vec<Container>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed {
        id: String,
        #[serde(default)]
        names: Option<Vec<String>>,
        #[serde(default)]
        image: String,
        #[serde(default)]
        created: i64,
        #[serde(default)]
        labels: Option<BTreeMap<String, String>>,
    }
    let all: Vec<Listed> = serde_json::from_slice(json)?;
    let read = |listed: Listed| {
        let mut container = Container::new(&listed.id, Runtime::Docker);
        let name = listed.names.unwrap_or_default().into_iter().next();
        container.name = name.map(|n| n.trim_start_matches('/').to_owned());
        container.image = Some(listed.image).filter(|i| !i.is_empty());
        container.created = Some(listed.created);
        // An image may have the labels of a pod; only kubelet names containers like this.
        if container
            .name
            .as_ref()
            .is_some_and(|n| n.starts_with("k8s_"))
        {
            labels::of_kubelet(&listed.labels.unwrap_or_default()).fill(&mut container);
        }
        container
    };
    Ok(all.into_iter().map(read).collect())
}

/// What an inspection says.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// What it is doing.
    pub state: State,
    /// `runc`, `runsc`, `kata` ...
    pub runtime: Option<String>,
    /// Environment and working directory; the API does not tell the whole spec.
    pub spec: Spec,
}

/// Reads `GET /containers/ID/json`.
///
/// # Errors
/// When it is not JSON of that form.
pub fn parse_inspect(json: &[u8]) -> serde_json::Result<Inspected> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Raw {
        state: RawState,
        #[serde(default)]
        config: RawConfig,
        #[serde(default)]
        host_config: RawHost,
    }
    #[derive(Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    #[derive(Default)]
    struct RawState {
        status: String,
        running: bool,
        paused: bool,
        pid: i32,
        exit_code: i32,
        finished_at: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct RawConfig {
        env: Option<Vec<String>>,
        working_dir: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct RawHost {
        runtime: Option<String>,
    }
    let raw: Raw = serde_json::from_slice(json)?;
    let pid = Pid::from_raw(raw.state.pid);
    let state = match &raw.state {
        s if s.paused && s.pid > 0 => State::Paused(pid),
        s if s.running && s.pid > 0 => State::Running(pid),
        s if s.status == "created" || s.status == "configured" => State::Created(None),
        s => State::Exited {
            code: Some(s.exit_code),
            at: seconds(&s.finished_at),
        },
    };
    Ok(Inspected {
        state,
        runtime: raw.host_config.runtime.filter(|r| !r.is_empty()),
        spec: Spec {
            process: Some(Process {
                env: raw.config.env.unwrap_or_default(),
                cwd: match raw.config.working_dir {
                    empty if empty.is_empty() => "/".into(),
                    dir => dir,
                },
            }),
            ..Spec::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_list_and_believes_no_images_pod_labels() {
        let json = br#"[{"Id":"0abc","Names":["/db"],"Image":"pg","Created":5,"Labels":{
            "io.kubernetes.pod.name":"p","io.kubernetes.pod.namespace":"n"}}]"#;
        let all = parse_list(json).unwrap();
        assert_eq!(all[0].name.as_deref(), Some("db"));
        assert_eq!(all[0].pod, None);
        let kubelets = json.as_slice().to_vec();
        let kubelets = String::from_utf8(kubelets)
            .unwrap()
            .replace("/db", "/k8s_c_p_n_u_0");
        let all = parse_list(kubelets.as_bytes()).unwrap();
        assert_eq!(all[0].pod.as_ref().unwrap().name, "p");
        assert!(parse_list(b"{}").is_err());
    }

    #[test]
    fn reads_states() {
        let inspect = |state: &str| {
            let json = format!(r#"{{"State":{state},"Config":{{"Env":null}}}}"#);
            parse_inspect(json.as_bytes()).unwrap().state
        };
        assert_eq!(
            inspect(r#"{"Status":"running","Running":true,"Pid":7}"#),
            State::Running(Pid::from_raw(7))
        );
        assert_eq!(
            inspect(r#"{"Status":"paused","Running":true,"Paused":true,"Pid":7}"#),
            State::Paused(Pid::from_raw(7))
        );
        assert_eq!(inspect(r#"{"Status":"created"}"#), State::Created(None));
        assert_eq!(
            inspect(r#"{"Status":"exited","ExitCode":3,"FinishedAt":"1970-01-01T00:01:00Z"}"#),
            State::Exited {
                code: Some(3),
                at: Some(60)
            }
        );
    }
}
