//! What happens on a connection: a key is shown, and one day it ends.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{DisconnectReason, Handler, Session};
use russh::keys::PublicKeyOrCertificate;
use tokio::sync::{mpsc, oneshot};

use super::super::CLOSED;
use super::banner::Banner;

/// How often a silent node is asked whether it is there, once it has let us in.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(15);

/// A key that waits for somebody to judge it.
pub(super) struct Shown {
    pub(super) key: PublicKeyOrCertificate,
    pub(super) verdict: oneshot::Sender<bool>,
}

/// Why a connection was lost.
#[derive(Debug, Clone, Default)]
pub(super) struct Reason(Arc<Mutex<Option<String>>>);

impl Reason {
    pub(super) fn set(&self, reason: String) {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        place.get_or_insert(reason);
    }

    pub(super) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What happens on a connection.
pub(super) struct Events {
    pub(super) shown: mpsc::Sender<Shown>,
    pub(super) reason: Reason,
    pub(super) banner: Banner,
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

    async fn auth_banner(&mut self, text: &str, _: &mut Session) -> Result<(), russh::Error> {
        self.banner.show(text);
        Ok(())
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
pub(super) fn words(error: &russh::Error) -> String {
    match error {
        russh::Error::Version => "what answers there is no sshd".to_owned(),
        russh::Error::Disconnect | russh::Error::HUP | russh::Error::SendError => CLOSED.to_owned(),
        russh::Error::IO(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            CLOSED.to_owned()
        }
        russh::Error::IO(error) => error.kind().to_string(),
        russh::Error::KeepaliveTimeout => "the node has been silent for too long".to_owned(),
        russh::Error::NoCommonAlgo { kind, theirs, .. } => {
            format!("it knows no {kind:?} but {}", theirs.join(", "))
        }
        russh::Error::ChannelOpenFailure(why) => format!("{why:?}"),
        other => other.to_string(),
    }
}
