//! A process on a node, however it was started there.

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::super::{Duplex, Incoming, QUEUE};
use super::Link;

/// What is heard of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// Of its stdout.
    Stdout(Bytes),
    /// Of its stderr.
    Stderr(Bytes),
    /// How it ended. Nothing more is heard.
    Ended(How),
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum How {
    /// With this exit code.
    Code(u32),
    /// By this signal.
    Signal(String),
    /// Nobody knows; why not.
    Lost(String),
}

impl How {
    /// In words, unless it is that all is well.
    pub(super) fn words(&self) -> Option<String> {
        match self {
            Self::Code(0) => None,
            Self::Code(code) => Some(format!("cnsenter ended there with exit code {code}")),
            Self::Signal(name) => Some(format!("cnsenter was ended there by signal {name}")),
            Self::Lost(reason) => Some(reason.clone()),
        }
    }
}

/// A process, and its streams.
pub(super) struct Process {
    pub(super) incoming: mpsc::Receiver<Said>,
    pub(super) outgoing: mpsc::Sender<Bytes>,
    pub(super) writer: JoinHandle<()>,
    /// What was heard before it was a session.
    pub(super) early: Vec<Said>,
}

/// The other ends of a process' streams, for whoever pumps them.
pub(super) struct Ends {
    pub(super) to_process: mpsc::Receiver<Bytes>,
    pub(super) from_process: mpsc::Sender<Said>,
}

impl Process {
    /// A process whose streams `writer` fills.
    pub(super) fn new(pump: impl FnOnce(Ends) -> JoinHandle<()>) -> Self {
        let (outgoing, to_process) = mpsc::channel(QUEUE);
        let (from_process, incoming) = mpsc::channel(QUEUE);
        Self {
            incoming,
            outgoing,
            writer: pump(Ends {
                to_process,
                from_process,
            }),
            early: Vec::new(),
        }
    }

    /// The stream of its session. `link` is kept as long as that.
    pub(super) fn into_duplex(self, by: String, link: Link) -> Duplex {
        let (to_session, incoming) = mpsc::channel(QUEUE);
        let Self {
            incoming: mut heard,
            outgoing,
            writer,
            early,
        } = self;
        tokio::spawn(async move {
            for said in early {
                if to_session.send(incoming_of(said)).await.is_err() {
                    return;
                }
            }
            while let Some(said) = heard.recv().await {
                if to_session.send(incoming_of(said)).await.is_err() {
                    return;
                }
            }
        });
        let writer = tokio::spawn(async move {
            let _ = writer.await;
            if let Link::Ssh(client) = link {
                client.close().await;
            }
        });
        Duplex {
            by,
            incoming,
            outgoing,
            writer,
        }
    }
}

fn incoming_of(said: Said) -> Incoming {
    match said {
        Said::Stdout(bytes) => Incoming::Stream(bytes),
        Said::Stderr(bytes) => Incoming::Diagnostics(bytes),
        Said::Ended(how) => Incoming::End(how.words()),
    }
}
