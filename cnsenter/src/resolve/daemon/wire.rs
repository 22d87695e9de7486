//! What talking to each of them has in common: the connection, its errors, its answers' origin.

use std::io;
use std::path::Path;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

use super::super::error::EndpointError;
use super::super::{Container, Source, Witness};

/// The largest message that is taken from a daemon, in bytes.
pub(super) const MESSAGE_LIMIT: usize = 64 << 20;

/// A connection, and the uid of whoever listens at its other end.
pub(super) async fn connect(socket: &Path) -> Result<(UnixStream, u32), EndpointError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(EndpointError::Connect)?;
    let owner = stream.peer_cred().map_err(EndpointError::Connect)?.uid();
    Ok((stream, owner))
}

/// The same for gRPC. One connection: it is not made again once it is lost.
pub(super) async fn channel(socket: &Path) -> Result<(Channel, u32), EndpointError> {
    let (stream, owner) = connect(socket).await?;
    let mut stream = Some(stream);
    let connector = tower::service_fn(move |_: tonic::codegen::http::Uri| {
        let stream = stream.take().map(TokioIo::new);
        std::future::ready(stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)))
    });
    let endpoint = Endpoint::from_static("http://localhost");
    match endpoint.connect_with_connector(connector).await {
        Ok(channel) => Ok((channel, owner)),
        Err(_) => Err(EndpointError::Unknown),
    }
}

/// Why a call failed. Whoever does not know the service, or does not speak gRPC, is another kind of
/// runtime.
pub(super) fn failed(status: &tonic::Status) -> EndpointError {
    use std::error::Error as _;
    if status.code() == tonic::Code::Unimplemented || status.source().is_some() {
        return EndpointError::Unknown;
    }
    let shown: String = status.message().chars().take(300).collect();
    EndpointError::Answer(crate::escape::escaped(&shown).to_string())
}

/// Marks where an answer comes from.
pub(super) fn told_by(container: &mut Container, socket: &Path, owner: u32) {
    container.source = Source::Daemon(socket.to_owned());
    container.witness = Witness::Daemon;
    container.owner = owner;
}
