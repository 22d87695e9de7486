//! Our own SSH: a connection over a stream to an sshd, and commands on it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Stream as Sequence, unfold};
use russh::client::{Config, Handle, Msg};
use russh::{
    Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Disconnect, Preferred, cipher,
    compression,
};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::super::CLOSED;
use super::banner::Banner;
use super::dial::Stream;
use super::events::{Events, KEEPALIVE, Reason, Shown, words};
use super::host_key::HostKeys;
use super::keys::Unlocked;
use super::process::{How, Process, Said};
use super::prompt::Prompt;
use super::settings::Settings;
use super::{Error, auth};

/// How much the other end may send without being told to go on: an 80 ms path carries 200 MB/s then.
const WINDOW: u32 = 16 << 20;

/// How many answers to [`KEEPALIVE`] may be missing at least: a minute of silence in all.
const MISSING: usize = 3;

/// The largest packet that is taken, in bytes.
const PACKET: u32 = 65_535;

/// Why an sshd opens no session.
const NO_SESSION: &str = "its sshd refuses one session more on this connection; \
                          see MaxSessions in its sshd_config";

/// Ciphers, the fastest first: AES is done in hardware nearly everywhere.
const CIPHERS: [cipher::Name; 5] = [
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// A node that has let us in.
pub(super) struct Client {
    handle: Handle<Events>,
    /// Why the connection was lost, once it is.
    reason: Reason,
    /// By what it is reached, for `-v`.
    pub(super) by: String,
}

/// Logs in at whoever is at the other end of a stream.
///
/// # Errors
/// When that is not who it was, or does not let us in.
pub(super) async fn log_in(
    stream: Box<dyn Stream>,
    settings: &Settings,
    prompt: &Prompt,
    unlocked: &Unlocked,
    lease: Option<Duration>,
) -> Result<Client, Error> {
    let keys = HostKeys::read(settings, prompt).await?;
    let banner = Banner::new(settings, prompt);
    let config = Arc::new(config(&keys, lease));
    let mut client = speak(stream, settings, &keys, prompt, &banner, config).await?;
    auth::log_in(&mut client.handle, settings, prompt, &banner, unlocked)
        .await
        .map_err(|error| client.explained(error))?;
    Ok(client)
}

/// Agrees on keys and ciphers with whoever is at the other end of a stream, and sees who that is.
async fn speak(
    stream: Box<dyn Stream>,
    settings: &Settings,
    keys: &HostKeys,
    prompt: &Prompt,
    banner: &Banner,
    config: Arc<Config>,
) -> Result<Client, Error> {
    let reason = Reason::default();
    let (shown, mut to_judge) = mpsc::channel(1);
    let events = Events {
        shown,
        reason: reason.clone(),
        banner: banner.clone(),
    };
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
    let handle = handle.map_err(|error| {
        let why = reason.take().unwrap_or_else(|| words(&error));
        Error::Handshake {
            host: settings.place(),
            why: match &settings.proxy_command {
                Some(command) => format!("{why}; it was to be reached by ProxyCommand {command:?}"),
                None => why,
            },
        }
    })?;
    Ok(Client {
        handle,
        reason,
        by: String::new(),
    })
}

/// How many answers may be missing until a node is believed to be gone: a session's lease is not cut short,
/// and what comes before a session does not wait for ever.
fn missing_answers(lease: Option<Duration>) -> usize {
    let in_lease = lease
        .unwrap_or_default()
        .as_secs()
        .div_ceil(KEEPALIVE.as_secs());
    usize::try_from(in_lease).unwrap_or(usize::MAX).max(MISSING)
}

fn config(keys: &HostKeys, lease: Option<Duration>) -> Config {
    let usual = Preferred::DEFAULT;
    let kinds = keys.in_order(&usual.key);
    Config {
        client_id: russh::SshId::Standard(Cow::Borrowed(concat!(
            "SSH-2.0-kpexec_",
            env!("CARGO_PKG_VERSION")
        ))),
        window_size: WINDOW,
        maximum_packet_size: PACKET,
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: missing_answers(lease),
        preferred: Preferred {
            // Certificates are of use only where somebody is trusted to sign them.
            host_key_certificates: match keys.authorities().next() {
                None => Cow::Borrowed(&[]),
                Some(_) => Cow::Owned(kinds.clone()),
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
            why: client.reason.take().unwrap_or_else(|| match error {
                // What sshd says to one session more is "open failed".
                russh::Error::ChannelOpenFailure(_) => NO_SESSION.to_owned(),
                error => words(&error),
            }),
        };
        let mut channel = self.handle.channel_open_session().await;
        if let Err(russh::Error::ChannelOpenFailure(_)) = channel {
            // sshd may have counted one that has just ended.
            channel = self.handle.channel_open_session().await;
        }
        let channel = channel.map_err(|error| failed(self, error))?;
        let asked = channel.exec(true, line).await;
        asked.map_err(|error| failed(self, error))?;
        let (from, to) = channel.split();
        let heard = listen(from, self.reason.clone());
        Ok(Process::new(heard, |to_process| write(to, to_process)))
    }

    /// A stream to another host, from where this one is; to the first of its places that answers.
    pub(super) async fn forward(
        &self,
        via: &Settings,
        to: &Settings,
    ) -> Result<Channel<Msg>, Error> {
        let mut errors = Vec::new();
        for place in to.places() {
            match self.forward_to(&place).await {
                Ok(channel) => return Ok(channel),
                Err(why) => errors.push(Error::Jump {
                    via: via.place(),
                    host: place.place(),
                    why,
                }),
            }
        }
        Err(Error::of_places(errors))
    }

    async fn forward_to(&self, to: &Settings) -> Result<Channel<Msg>, String> {
        let port = u32::from(to.port);
        let opened = self
            .handle
            .channel_open_direct_tcpip(to.host.as_str(), port, "127.0.0.1", 0);
        match timeout(to.connect_limit, opened).await {
            Ok(opened) => opened.map_err(|error| words(&error)),
            Err(_) => {
                let limit = humantime::format_duration(to.connect_limit);
                Err(format!("nobody answered within {limit}"))
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

/// What is heard of a command, to its end.
fn listen(from: ChannelReadHalf, reason: Reason) -> impl Sequence<Item = Said> {
    unfold(Some((from, None)), move |state| {
        let reason = reason.clone();
        async move {
            let (mut from, mut how) = state?;
            let said = loop {
                match from.wait().await {
                    Some(ChannelMsg::Data { data }) => break Said::Stdout(data),
                    Some(ChannelMsg::ExtendedData { data, .. }) => break Said::Stderr(data),
                    Some(ChannelMsg::ExitStatus { exit_status }) => {
                        how = Some(How::Code(exit_status));
                    }
                    Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                        how = Some(How::Signal(format!("{signal_name:?}")));
                    }
                    Some(ChannelMsg::Failure) => {
                        let why = "sshd does not run this command";
                        break Said::Ended(How::Refused(why.to_owned()));
                    }
                    Some(ChannelMsg::Close) | None => {
                        let lost = || {
                            let why = reason.take();
                            How::Lost(why.unwrap_or_else(|| CLOSED.to_owned()))
                        };
                        break Said::Ended(how.take().unwrap_or_else(lost));
                    }
                    Some(_) => {}
                }
            };
            let goes_on = !matches!(said, Said::Ended(_));
            Some((said, goes_on.then_some((from, how))))
        }
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_not_cut_short() {
        let missing = |seconds| missing_answers(Some(Duration::from_secs(seconds)));
        assert_eq!([missing(3), missing(60), missing(300)], [3, 4, 20]);
        assert_eq!(missing_answers(None), MISSING);
    }
}
