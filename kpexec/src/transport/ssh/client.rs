//! Our own SSH: a connection to a node, through jump hosts or a ProxyCommand, and commands on it.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use russh::client::{Config, DisconnectReason, Handle, Handler, Msg};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelMsg, ChannelWriteHalf, Disconnect, Preferred, cipher, compression};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::{TcpStream, lookup_host};
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::host_key::HostKeys;
use super::process::{Ends, How, Process, Said};
use super::prompt::Prompt;
use super::settings::{self, Settings};
use super::ways::Ways;
use super::{Error, Options, auth};

/// How much the other end may send without being told to go on: an 80 ms path carries 200 MB/s then.
const WINDOW: u32 = 16 << 20;

/// The largest packet that is taken, in bytes.
const PACKET: u32 = 65_535;

/// How much is read at once, in bytes: russh alone would read each packet's length by itself.
const READ_AHEAD: usize = 128 << 10;

/// How often a silent node is asked whether it is there, once it has let us in.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// The most jump hosts on a way.
const MAX_JUMPS: usize = 8;

/// Ciphers, the fastest first: AES is done in hardware nearly everywhere.
const CIPHERS: [cipher::Name; 5] = [
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// Any stream that SSH may be spoken over.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A node that has let us in.
pub(super) struct Client {
    handle: Handle<Events>,
    /// Why the connection was lost, once it is.
    reason: Reason,
    /// By what it is reached, for `-v`.
    pub(super) by: String,
}

/// Logs in at a host.
///
/// # Errors
/// When it is not there, not who it was, or does not let us in.
pub(super) async fn connect(
    ways: &Ways,
    settings: &Settings,
    options: &Options,
    prompt: &Prompt,
) -> Result<Client, Error> {
    connect_within(MAX_JUMPS, ways, settings, options, prompt).await
}

/// The same through no more than so many jump hosts.
fn connect_within<'a>(
    jumps: usize,
    ways: &'a Ways,
    settings: &'a Settings,
    options: &'a Options,
    prompt: &'a Prompt,
) -> std::pin::Pin<Box<dyn Future<Output = Result<Client, Error>> + Send + 'a>> {
    Box::pin(async move {
        let (stream, way) = open(jumps, ways, settings, options, prompt).await?;
        let keys = HostKeys::read(settings)?;
        let mut client = speak(stream, settings, &keys, prompt).await?;
        auth::log_in(&mut client.handle, settings, prompt)
            .await
            .map_err(|error| client.explained(error))?;
        client.by = format!("SSH to {}@{}{way}", settings.user, settings.place());
        Ok(client)
    })
}

/// Opens the stream to a host, and says by which way.
async fn open(
    jumps: usize,
    ways: &Ways,
    settings: &Settings,
    options: &Options,
    prompt: &Prompt,
) -> Result<(Box<dyn Stream>, String), Error> {
    if let Some(command) = &settings.proxy_command {
        return Ok((through(command, settings)?, " by ProxyCommand".to_owned()));
    }
    let Some(jump) = &settings.jump else {
        let stream = BufReader::with_capacity(READ_AHEAD, dial(settings).await?);
        return Ok((Box::new(stream), String::new()));
    };
    let jumps = jumps.checked_sub(1).ok_or(Error::Circle(MAX_JUMPS))?;
    let (hops, last) = match jump.rsplit_once(',') {
        Some((hops, last)) => (Some(hops), last),
        None => (None, jump.as_str()),
    };
    let via = settings::of_jump(last.trim(), hops, options).await?;
    let way = ways.by(jump);
    // Not among the others: a host that is to be reached through itself would wait for itself.
    let before = Ways::default();
    let opened = way.turns.take(async {
        let client = way.client.get_or_init(|| async {
            let client = connect_within(jumps, &before, &via, options, prompt).await;
            client.map_err(Arc::new)
        });
        match client.await {
            Ok(client) => client.forward(&via, settings).await,
            Err(error) => Err(Error::Shared(error.clone())),
        }
    });
    let channel = opened.await.unwrap_or_else(|| {
        Err(Error::Jump {
            via: via.place(),
            host: settings.place(),
            why: "it is not asked any more".to_owned(),
        })
    })?;
    Ok((Box::new(channel.into_stream()), format!(" through {last}")))
}

/// Connects by TCP: to each of the host's addresses, for its share of the time.
async fn dial(settings: &Settings) -> Result<TcpStream, Error> {
    let failed = |source| Error::Connect {
        host: settings.place(),
        source,
    };
    let limit = settings.connect_limit;
    let timed_out = || Error::TimedOut {
        host: settings.place(),
        limit,
    };
    let found = lookup_host((settings.host.as_str(), settings.port));
    let found = timeout(limit, found).await.map_err(|_| timed_out())?;
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
fn through(command: &str, settings: &Settings) -> Result<Box<dyn Stream>, Error> {
    let bad = |why: &str| Error::Handshake {
        host: settings.place(),
        why: format!("ProxyCommand {command:?} {why}"),
    };
    let line = settings
        .expanded(command)
        .ok_or_else(|| bad("has an unknown token"))?;
    let (shell, flag, line) = match cfg!(windows) {
        true => ("cmd".to_owned(), "/c", line),
        false => {
            let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
            (shell, "-c", format!("exec {line}"))
        }
    };
    let mut child = Command::new(&shell)
        .args([flag, &line])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|source| Error::Program {
            program: shell,
            source,
        })?;
    let streams = child.stdout.take().zip(child.stdin.take());
    let (output, input) = streams.ok_or_else(|| bad("has no streams"))?;
    Ok(Box::new(tokio::io::join(output, input)))
}

/// Agrees on keys and ciphers with whoever is at the other end of a stream, and sees who that is.
async fn speak(
    stream: Box<dyn Stream>,
    settings: &Settings,
    keys: &HostKeys,
    prompt: &Prompt,
) -> Result<Client, Error> {
    let reason = Reason::default();
    let (shown, mut to_judge) = mpsc::channel(1);
    let events = Events {
        shown,
        reason: reason.clone(),
    };
    let config = Arc::new(config(keys));
    let greeted = russh::client::connect_stream(config, stream, events);
    tokio::pin!(greeted);
    let limit = sleep(settings.connect_limit);
    tokio::pin!(limit);
    let mut has_spoken = false;
    let handle = loop {
        tokio::select! {
            handle = &mut greeted => break handle,
            Some(Shown { key, verdict }) = to_judge.recv() => {
                has_spoken = true;
                let checked = keys.check(&key, prompt).await;
                let _ = verdict.send(checked.is_ok());
                checked?;
            }
            () = &mut limit, if !has_spoken => return Err(Error::TimedOut {
                host: settings.place(),
                limit: settings.connect_limit,
            }),
        }
    };
    let handle = handle.map_err(|error| Error::Handshake {
        host: settings.place(),
        why: reason.take().unwrap_or_else(|| words(&error)),
    })?;
    Ok(Client {
        handle,
        reason,
        by: String::new(),
    })
}

fn config(keys: &HostKeys) -> Config {
    let usual = Preferred::DEFAULT;
    let kinds = keys.known.in_order(&usual.key);
    Config {
        client_id: russh::SshId::Standard(Cow::Borrowed(concat!(
            "SSH-2.0-kpexec_",
            env!("CARGO_PKG_VERSION")
        ))),
        window_size: WINDOW,
        maximum_packet_size: PACKET,
        keepalive_interval: Some(KEEPALIVE),
        preferred: Preferred {
            // Certificates are of use only where somebody is trusted to sign them.
            host_key_certificates: match keys.known.authorities() {
                [] => Cow::Borrowed(&[]),
                _ => Cow::Owned(kinds.clone()),
            },
            key: Cow::Owned(kinds),
            cipher: Cow::Borrowed(&CIPHERS),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..usual
        },
        ..Config::default()
    }
}

impl Client {
    /// Starts a command, without a terminal.
    ///
    /// # Errors
    /// When sshd does not do it.
    pub(super) async fn start(&mut self, line: &str) -> Result<Process, Error> {
        let failed = |client: &Self, error: russh::Error| Error::NoExec {
            host: client.by.clone(),
            why: client.reason.take().unwrap_or_else(|| words(&error)),
        };
        let channel = self.handle.channel_open_session().await;
        let channel = channel.map_err(|error| failed(self, error))?;
        let asked = channel.exec(true, line).await;
        asked.map_err(|error| failed(self, error))?;
        let reason = self.reason.clone();
        Ok(Process::new(|ends| pump(channel, ends, reason)))
    }

    /// A stream to another host, from where this one is.
    async fn forward(&self, via: &Settings, to: &Settings) -> Result<Channel<Msg>, Error> {
        let port = u32::from(to.port);
        let opened = self
            .handle
            .channel_open_direct_tcpip(to.host.as_str(), port, "127.0.0.1", 0);
        let failed = |why| Error::Jump {
            via: via.place(),
            host: to.place(),
            why,
        };
        match timeout(to.connect_limit, opened).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(error)) => Err(failed(words(&error))),
            Err(_) => {
                let limit = humantime::format_duration(to.connect_limit);
                Err(failed(format!("nobody answered within {limit}")))
            }
        }
    }

    /// Says goodbye, and waits until that is sent.
    pub(super) async fn close(self) {
        let bye = self.handle.disconnect(Disconnect::ByApplication, "", "");
        if bye.await.is_ok() {
            let _ = self.handle.await;
        }
    }

    /// Adds the host's own words to a refusal, if it has said any.
    fn explained(&self, error: Error) -> Error {
        match (error, self.reason.take()) {
            (Error::Denied { host, user, why }, Some(reason)) => Error::Denied {
                host,
                user,
                why: format!("{reason}; {why}"),
            },
            (error, _) => error,
        }
    }
}

/// A key that waits for somebody to judge it.
struct Shown {
    key: PublicKeyOrCertificate,
    verdict: oneshot::Sender<bool>,
}

/// Why a connection was lost.
#[derive(Debug, Clone, Default)]
struct Reason(Arc<Mutex<Option<String>>>);

impl Reason {
    fn set(&self, reason: String) {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        place.get_or_insert(reason);
    }

    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What happens on a connection.
struct Events {
    shown: mpsc::Sender<Shown>,
    reason: Reason,
}

impl Handler for Events {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        let key = match key {
            PublicKeyOrCertificate::Certificate(certificate) => certificate.clone().into(),
            PublicKeyOrCertificate::PublicKey { key, .. } => key.clone().into(),
        };
        let (verdict, judged) = oneshot::channel();
        let asked = self.shown.send(Shown { key, verdict }).await;
        Ok(asked.is_ok() && judged.await.unwrap_or(false))
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<russh::Error>,
    ) -> Result<(), russh::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.reason.set(format!("it said {:?}", info.message));
                Ok(())
            }
            DisconnectReason::Error(error) => {
                self.reason.set(words(&error));
                Err(error)
            }
        }
    }
}

/// What went wrong, for people.
fn words(error: &russh::Error) -> String {
    match error {
        russh::Error::Version => "what answers there is no sshd".to_owned(),
        russh::Error::Disconnect | russh::Error::HUP | russh::Error::SendError => {
            "the connection was closed".to_owned()
        }
        russh::Error::IO(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the connection was closed".to_owned()
        }
        russh::Error::IO(error) => error.kind().to_string(),
        russh::Error::KeepaliveTimeout => {
            let limit = KEEPALIVE.as_secs() * 4;
            format!("the node has been silent for {limit}s")
        }
        russh::Error::NoCommonAlgo { kind, theirs, .. } => {
            format!("it knows no {kind:?} but {}", theirs.join(", "))
        }
        russh::Error::ChannelOpenFailure(why) => format!("{why:?}"),
        other => other.to_string(),
    }
}

/// Lets reading and writing go on independently of each other.
fn pump(channel: Channel<Msg>, ends: Ends, reason: Reason) -> tokio::task::JoinHandle<()> {
    let (mut from, to) = channel.split();
    let Ends {
        to_process,
        from_process,
    } = ends;
    tokio::spawn(async move {
        let mut how = None;
        while let Some(message) = from.wait().await {
            let said = match message {
                ChannelMsg::Data { data } => Said::Stdout(data),
                ChannelMsg::ExtendedData { data, .. } => Said::Stderr(data),
                ChannelMsg::ExitStatus { exit_status } => {
                    how = Some(How::Code(exit_status));
                    continue;
                }
                ChannelMsg::ExitSignal { signal_name, .. } => {
                    how = Some(How::Signal(format!("{signal_name:?}")));
                    continue;
                }
                ChannelMsg::Failure => {
                    how = Some(How::Lost("sshd does not run this command".to_owned()));
                    break;
                }
                ChannelMsg::Close => break,
                _ => continue,
            };
            if from_process.send(said).await.is_err() {
                return;
            }
        }
        let lost = || {
            reason
                .take()
                .unwrap_or_else(|| "the connection was closed".to_owned())
        };
        let how = how.unwrap_or_else(|| How::Lost(lost()));
        let _ = from_process.send(Said::Ended(how)).await;
    });
    tokio::spawn(write(to, to_process))
}

async fn write(to: ChannelWriteHalf<Msg>, mut from: mpsc::Receiver<Bytes>) {
    while let Some(bytes) = from.recv().await {
        if to.data_bytes(bytes).await.is_err() {
            // The reader says why.
            return;
        }
    }
    let _ = to.eof().await;
}
