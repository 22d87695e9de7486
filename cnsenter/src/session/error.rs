//! What ends a session, or its stream, and how the client is told.

use std::io;

use cnsenter_protocol::{
    Failure, FailureKind, SessionId, credit, decoder, exit, request as protocol_request,
};

use crate::causes::chain;
use crate::{request, seal};

/// Why `cnsenter session` could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The words, or the Request frame, are none of this protocol.
    #[error(
        "this is cnsenter {version}, which does not understand kpexec's request; install the same \
         version of both",
        version = env!("CARGO_PKG_VERSION")
    )]
    Words(#[source] protocol_request::Error),
    /// The request is sound, but not one that can be served.
    #[error(transparent)]
    Request(#[from] request::Error),
    /// The profile is not to be had.
    #[error("this cnsenter gives the privileges of profile \"full\" only, not \"{0}\"")]
    Profile(&'static str),
    /// No namespace has that name.
    #[error("\"{0}\" is no namespace that could be entered")]
    Namespace(String),
    /// Who asks by SSH may do nothing else.
    #[error("this SSH key is for kpexec's sessions and its search for pods, and nothing else: {0}")]
    Original(String),
    /// The client sends no frames.
    #[error("the client broke the session protocol")]
    Frames(#[from] decoder::Error),
    /// Its frames come when they make no sense.
    #[error("the client broke the session protocol: {what} for {session}")]
    Order {
        /// What came, and what is wrong with it.
        what: String,
        /// For which session.
        session: SessionId,
    },
    /// It sends more than it may.
    #[error("the client broke the session protocol in {session}")]
    Credit {
        /// In which session.
        session: SessionId,
        /// How.
        source: credit::Error,
    },
    /// No sealed image to run from.
    #[error(transparent)]
    Seal(#[from] seal::Error),
    /// A step of our own failed.
    #[error("cannot {what}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// Names the step that an error of the system belongs to, as in "cannot WHAT".
    pub(super) fn during<E: Into<io::Error>>(what: &'static str) -> impl Fn(E) -> Self {
        move |source| Self::System {
            what,
            source: source.into(),
        }
    }

    /// What the client is told.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let kind = match self {
            Self::Words(_)
            | Self::Request(_)
            | Self::Profile(_)
            | Self::Namespace(_)
            | Self::Original(_) => FailureKind::Request,
            Self::Frames(_) | Self::Order { .. } | Self::Credit { .. } => FailureKind::Protocol,
            Self::Seal(_) | Self::System { .. } => FailureKind::Enter,
        };
        Failure {
            kind,
            code: exit::CANNOT_ENTER,
            message: chain(self),
        }
    }
}
