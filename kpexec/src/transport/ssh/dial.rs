//! A stream to a host, that SSH may be spoken over.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use super::Error;
use super::deaf::deaf_to_keys;
use super::settings::Settings;

/// Any stream that SSH may be spoken over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// How long it may take to see whether a name has an address, where there is another way.
const LOOKUP_LIMIT: Duration = Duration::from_secs(2);

/// Whether there is an address for that name, said soon.
pub async fn has_address(name: &str) -> bool {
    let found = timeout(LOOKUP_LIMIT, lookup_host((name, 22))).await;
    found.is_ok_and(|found| found.is_ok_and(|mut all| all.next().is_some()))
}

/// Connects by TCP, to the first of the host's places that answers.
pub(super) async fn dial(settings: &Settings) -> Result<TcpStream, Error> {
    let mut errors = Vec::new();
    for place in settings.places() {
        match dial_at(&place).await {
            Ok(stream) => return Ok(stream),
            Err(error) => errors.push(error),
        }
    }
    Err(Error::of_places(errors))
}

/// The same at one place, to each of its addresses.
async fn dial_at(settings: &Settings) -> Result<TcpStream, Error> {
    let limit = settings.connect_limit;
    let failed = |source| Error::Connect {
        host: settings.place(),
        source,
    };
    let timed_out = || Error::TimedOut {
        host: settings.place(),
        limit,
    };
    let found = lookup_host((settings.host.as_str(), settings.port));
    let found = timeout(limit, found).await.map_err(|_| Error::Unresolved {
        host: settings.place(),
        limit,
    })?;
    let addresses: Vec<SocketAddr> = found.map_err(failed)?.collect();
    let share = limit / u32::try_from(addresses.len()).unwrap_or(1).max(1);
    let mut last = failed(io::ErrorKind::NotFound.into());
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(failed)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = failed(error),
            Err(_) => last = timed_out(),
        }
    }
    Err(last)
}

/// Starts a ProxyCommand, as ssh does: by the user's shell.
pub(super) fn through(command: &str, settings: &Settings) -> Result<Box<dyn Stream>, Error> {
    let bad = |why: &str| Error::Handshake {
        host: settings.place(),
        why: format!("ProxyCommand {command:?} {why}"),
    };
    let line = settings
        .with_tokens(command, |_| None)
        .ok_or_else(|| bad("has an unknown token"))?;
    let (shell, flag, line) = match cfg!(windows) {
        true => ("cmd".to_owned(), "/c", line),
        false => {
            let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
            (shell, "-c", format!("exec {line}"))
        }
    };
    let started = deaf_to_keys(&shell).and_then(|mut command| {
        command.args([flag, &line]).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
    });
    let mut child = started.map_err(|source| Error::Program {
        program: shell,
        source,
    })?;
    let streams = child.stdout.take().zip(child.stdin.take());
    let (output, input) = streams.ok_or_else(|| bad("has no streams"))?;
    Ok(Box::new(Proxy {
        output,
        input,
        _child: child,
    }))
}

/// A ProxyCommand's streams; it is killed, if it has not ended by then, once they are dropped: one that
/// waits for somebody does not see that nobody reads it.
struct Proxy {
    output: ChildStdout,
    input: ChildStdin,
    _child: Child,
}

impl AsyncRead for Proxy {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(context, buffer)
    }
}

impl AsyncWrite for Proxy {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(context)
    }
}
