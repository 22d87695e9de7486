//! Exec through the API server, by WebSocket.
//!
//! Subprotocol v4 alone is offered: our own frames have the half close that v5 adds, and v4 costs
//! the kubelet less than half. kube's own exec is not used: it stops when both directions are busy.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::core::Status;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use super::{CLOSED, Duplex, Incoming, QUEUE, stream_of};
use crate::agent::{self, Agent};
use crate::cluster::{self, Cluster, Right, encoded};

const SUBPROTOCOL: &str = "v4.channel.k8s.io";

/// The first byte of a message: which of the remote process's streams it belongs to.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
/// A `Status` in JSON, when the remote process has ended.
const ERROR: u8 = 3;

/// The largest message that is taken; runtimes send 32 KiB at a time.
const MAX_MESSAGE: usize = 4 << 20;

/// How much is read at once, in bytes: a TLS record and the rest of a message. All of it is cleared
/// before each read.
const READ_BUFFER: usize = 32 << 10;

/// The most of an answer that is read where an upgrade was expected.
const MAX_REFUSAL: usize = 64 << 10;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server says no, or nothing.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// We may not.
    #[error("{refusal}\n  the right to {missing} is missing")]
    Forbidden {
        /// The server's words.
        refusal: cluster::Error,
        /// In words.
        missing: String,
    },
    /// The answer is no upgrade.
    #[error(
        "error: {host} does not upgrade the connection to WebSocket ({what}); a proxy before the API server may not let it through"
    )]
    NoUpgrade {
        /// Who.
        host: String,
        /// What it did instead.
        what: String,
        /// Its answer's code.
        code: StatusCode,
    },
    /// The way from the API server to the node is what fails.
    #[error(
        "error: {}: {what}\n  kubectl describe node {node} says more; --ssh goes to the node itself",
        match unready {
            Some(reason) => format!("node {node} is not ready ({reason})"),
            None => format!("the API server does not reach node {node}"),
        }
    )]
    Node {
        /// Which.
        node: String,
        /// Why it is not ready, if it is not.
        unready: Option<String>,
        /// What came of the request.
        what: String,
    },
    /// The connection broke at that moment.
    #[error("error: the connection to {host} was lost while it was upgraded to WebSocket")]
    Upgrade {
        /// Who.
        host: String,
        /// Why.
        source: hyper::Error,
    },
}

/// Starts `cnsenter WORDS...` in the agent's pod.
///
/// # Errors
/// When the API server or the kubelet does not do it.
pub async fn open(cluster: &Cluster, agent: &Agent, words: &[String]) -> Result<Duplex, Error> {
    let key = generate_key();
    let answer = match cluster.send(request(agent, words, &key)).await {
        Ok(answer) => answer,
        Err(error) => return Err(unanswered(cluster, agent, error).await),
    };
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refused(cluster, agent, answer).await);
    }
    if let Some(what) = mismatch(answer.headers(), &key) {
        return Err(Error::NoUpgrade {
            host: cluster.host().to_owned(),
            what,
            code: answer.status(),
        });
    }
    let upgraded = hyper::upgrade::on(answer).await;
    let upgraded = upgraded.map_err(|source| Error::Upgrade {
        host: cluster.host().to_owned(),
        source,
    })?;
    let limits = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let socket =
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, Some(limits)).await;
    Ok(pump(socket, format!("WebSocket, {SUBPROTOCOL}")))
}

fn request(agent: &Agent, words: &[String], key: &str) -> Request<Body> {
    let mut path = format!(
        "/api/v1/namespaces/{}/pods/{}/exec?container={}&stdin=true&stdout=true&stderr=true&command=cnsenter",
        encoded(&agent.namespace),
        encoded(&agent.pod),
        agent::CONTAINER,
    );
    for word in words {
        path.push_str("&command=");
        path.push_str(&encoded(word));
    }
    let mut request = Request::new(Body::empty());
    // Only encoded words are in it.
    *request.uri_mut() = path.parse().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(
        header::SEC_WEBSOCKET_VERSION,
        HeaderValue::from_static("13"),
    );
    headers.insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
    if let Ok(key) = key.parse() {
        headers.insert(header::SEC_WEBSOCKET_KEY, key);
    }
    request
}

impl Error {
    /// Whether somebody before the API server wants to know who we are, or does not want us: that is no
    /// outage.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        let Self::NoUpgrade { code, .. } = self else {
            return false;
        };
        let denials = [
            StatusCode::UNAUTHORIZED,
            StatusCode::FORBIDDEN,
            StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        ];
        // A page where one logs in.
        code.is_redirection() || denials.contains(code)
    }
}

/// What is wrong with an upgrade (RFC 6455, section 4.1); None if nothing is.
fn mismatch(headers: &HeaderMap, key: &str) -> Option<String> {
    let is = |name, value: &str| {
        let found: Option<&HeaderValue> = headers.get(name);
        found.is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
    };
    if !is(header::UPGRADE, "websocket") {
        return Some("no upgrade to websocket".to_owned());
    }
    if headers
        .get(header::SEC_WEBSOCKET_ACCEPT)
        .map(HeaderValue::as_bytes)
        != Some(derive_accept_key(key.as_bytes()).as_bytes())
    {
        return Some("the answer to another key".to_owned());
    }
    (!is(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)).then(|| format!("no {SUBPROTOCOL}"))
}

/// It has answered until now: what it waits for is the node.
async fn unanswered(cluster: &Cluster, agent: &Agent, error: cluster::Error) -> Error {
    let cluster::Error::TimedOut { limit, .. } = error else {
        return Error::Cluster(error);
    };
    let limit = humantime::format_duration(limit);
    Error::Node {
        node: agent.node.clone(),
        unready: cluster.why_unready(&agent.node).await,
        what: format!("no answer within {limit} (--request-timeout)"),
    }
}

/// Reads a refusal.
async fn refused(cluster: &Cluster, agent: &Agent, answer: Response<Body>) -> Error {
    let code = answer.status();
    let body = http_body_util::Limited::new(answer.into_body(), MAX_REFUSAL)
        .collect()
        .await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let status = serde_json::from_slice::<Status>(&body).ok();
    let text = String::from_utf8_lossy(&body);
    let line = match &status {
        Some(status) => status.message.as_str(),
        None => text.trim().lines().next().unwrap_or_default(),
    };
    if is_of_a_proxy(code, status.is_some(), line) {
        let what = match line {
            "" => format!("it answered {code}"),
            line => format!("it answered {code}: {line}"),
        };
        let host = cluster.host().to_owned();
        return Error::NoUpgrade { host, what, code };
    }
    if code.is_server_error() {
        let unready = cluster.why_unready(&agent.node).await;
        if unready.is_some() || line.contains("dialing backend") {
            let (node, what) = (agent.node.clone(), line.to_owned());
            return Error::Node {
                node,
                unready,
                what,
            };
        }
    }
    let line = if line.is_empty() {
        code.to_string()
    } else {
        line.to_owned()
    };
    let status = status.unwrap_or_else(|| Status::failure(&line, "").with_code(code.as_u16()));
    let refusal = cluster::Error::from_status(status);
    if code == StatusCode::FORBIDDEN {
        return forbidden(cluster, agent, refusal).await;
    }
    Error::Cluster(refusal)
}

/// Whether an answer is of somebody before the API server, or of what they left of the request: the
/// server's own refusals are objects, and it was asked to upgrade.
fn is_of_a_proxy(code: StatusCode, is_object: bool, line: &str) -> bool {
    if is_object {
        return line == "Upgrade request required";
    }
    !code.is_server_error() && code != StatusCode::UNAUTHORIZED && code != StatusCode::NOT_FOUND
}

/// A 403 of an upgrade often names nothing: the server is asked what is missing.
async fn forbidden(cluster: &Cluster, agent: &Agent, refusal: cluster::Error) -> Error {
    for verb in ["get", "create"] {
        let right = Right {
            verb,
            subresource: Some("exec"),
            namespace: agent.namespace.clone(),
            pod: Some(agent.pod.clone()),
        };
        if cluster.allows(&right).await.is_ok_and(|allowed| !allowed) {
            return Error::Forbidden {
                refusal,
                missing: right.to_string(),
            };
        }
    }
    Error::Cluster(refusal)
}

/// Lets reading and writing go on independently of each other.
fn pump(socket: Socket, by: String) -> Duplex {
    let (sink, source) = socket.split();
    let (to_session, incoming) = mpsc::channel(QUEUE);
    let (outgoing, from_session) = mpsc::channel(QUEUE);
    tokio::spawn(receive(source, to_session));
    let writer = tokio::spawn(send(sink, from_session));
    Duplex {
        by,
        incoming: stream_of(incoming),
        outgoing,
        writer,
    }
}

async fn receive(mut source: SplitStream<Socket>, to_session: mpsc::Sender<Incoming>) {
    let mut end = None;
    let mut lost = None;
    while let Some(message) = source.next().await {
        let item = match message {
            Ok(Message::Binary(bytes)) => sort(bytes),
            Ok(Message::Close(frame)) => {
                let words = frame.map(|frame| frame.reason.to_string());
                lost = lost.or(words.filter(|words| !words.is_empty()));
                continue;
            }
            Ok(_) => None,
            Err(error) => {
                lost = lost.or_else(|| Some(describe(&error)));
                break;
            }
        };
        if let Some(Incoming::End(_)) = item {
            end = item;
        } else if let Some(item) = item
            && to_session.send(item).await.is_err()
        {
            return;
        }
    }
    // What the kubelet says of the process counts, whatever becomes of the connection then.
    let lost = || Incoming::Lost(lost.unwrap_or_else(|| CLOSED.to_owned()));
    let _ = to_session.send(end.unwrap_or_else(lost)).await;
}

/// What a message is, by its first byte. Empty ones come at the beginning, one for each stream.
fn sort(mut message: Bytes) -> Option<Incoming> {
    if message.len() < 2 {
        return None;
    }
    let bytes = message.split_off(1);
    match message[0] {
        STDOUT => Some(Incoming::Stream(bytes)),
        STDERR => Some(Incoming::Diagnostics(bytes)),
        ERROR => Some(Incoming::End(ended(&bytes))),
        _ => None,
    }
}

/// What the kubelet says of the end of the process; None if that is that it succeeded.
fn ended(bytes: &[u8]) -> Option<String> {
    match serde_json::from_slice::<Status>(bytes) {
        Ok(status) if status.is_success() => None,
        // The kubelet repeats the whole command line, and says this at its end.
        Ok(status) => Some(match exit_code(&status) {
            Some(code) => format!("cnsenter ended there with exit code {code}"),
            None => status.message,
        }),
        Err(_) => Some(String::from_utf8_lossy(bytes).into_owned()),
    }
}

fn exit_code(status: &Status) -> Option<&str> {
    let causes = &status.details.as_ref()?.causes;
    let cause = causes.iter().find(|cause| cause.reason == "ExitCode")?;
    Some(&cause.message)
}

async fn send(mut sink: SplitSink<Socket, Message>, mut from_session: mpsc::Receiver<Bytes>) {
    while let Some(bytes) = from_session.recv().await {
        if sink.feed(message(&bytes)).await.is_err() {
            return;
        }
        while let Ok(bytes) = from_session.try_recv() {
            if sink.feed(message(&bytes)).await.is_err() {
                return;
            }
        }
        if sink.flush().await.is_err() {
            // The reader learns of it too, and says so.
            return;
        }
    }
    let _ = sink.close().await;
}

fn message(bytes: &[u8]) -> Message {
    let mut message = BytesMut::with_capacity(1 + bytes.len());
    message.put_u8(STDIN);
    message.extend_from_slice(bytes);
    Message::Binary(message.freeze())
}

fn describe(error: &tungstenite::Error) -> String {
    match error {
        // TLS calls it an attack; it is what is seen of a server that is killed.
        tungstenite::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the connection was closed".to_owned()
        }
        tungstenite::Error::Io(error) => error.to_string(),
        tungstenite::Error::Protocol(
            tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => "the connection was reset".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_sorted_by_their_first_byte() {
        let sorted = |bytes: &'static [u8]| sort(Bytes::from_static(bytes));
        assert_eq!(
            sorted(b"\x01out"),
            Some(Incoming::Stream(Bytes::from_static(b"out")))
        );
        assert_eq!(
            sorted(b"\x02err"),
            Some(Incoming::Diagnostics(Bytes::from_static(b"err")))
        );
        assert_eq!(sorted(b"\x01"), None);
        assert_eq!(sorted(b""), None);
        assert_eq!(sorted(b"\x09x"), None);
        let success = br#"{"metadata":{},"status":"Success"}"#;
        assert_eq!(ended(success), None);
        let failure = br#"{"status":"Failure","message":"no such container"}"#;
        assert_eq!(ended(failure).as_deref(), Some("no such container"));
        let killed = br#"{"status":"Failure","message":"error executing command [cnsenter ...]",
            "details":{"causes":[{"reason":"ExitCode","message":"137"}]}}"#;
        let told = "cnsenter ended there with exit code 137";
        assert_eq!(ended(killed).as_deref(), Some(told));
    }

    #[test]
    fn refusals_of_proxies_are_told_from_the_servers() {
        use StatusCode as Code;
        for (code, is_object, line, expected) in [
            (Code::BAD_REQUEST, true, "Upgrade request required", true),
            (Code::FORBIDDEN, false, "Forbidden", true),
            (Code::OK, false, "<html>", true),
            (Code::FORBIDDEN, true, "pods is forbidden", false),
            (Code::NOT_FOUND, false, "pod does not exist", false),
            (Code::BAD_GATEWAY, false, "error dialing backend", false),
        ] {
            assert_eq!(is_of_a_proxy(code, is_object, line), expected, "{line}");
        }
    }

    #[test]
    fn the_command_line_is_encoded_word_by_word() {
        let agent = Agent {
            namespace: "kpexec".into(),
            pod: "np".into(),
            node: "n".into(),
        };
        let words = ["session", "1", "a/b", "--", "sh", "-c", "a & b=+\n"].map(str::to_owned);
        let request = request(&agent, &words, "key");
        let query = request.uri().query().unwrap();
        assert!(
            query.ends_with(
                "&command=a%2Fb&command=--&command=sh&command=-c&command=a%20%26%20b%3D%2B%0A"
            ),
            "{query}"
        );
        assert!(query.contains("&command=cnsenter&command=session&command=1&"));
    }
}
