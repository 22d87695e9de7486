//! A process on a node, however it was started there.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::super::{Duplex, Incoming, QUEUE};
use super::Link;

/// The most that is kept of what nobody reads yet, in bytes: more than a session may say before it is
/// given credit.
const MAX_EARLY: usize = 4 << 20;

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

impl Said {
    fn len(&self) -> usize {
        match self {
            Self::Stdout(bytes) | Self::Stderr(bytes) => bytes.len(),
            Self::Ended(_) => 0,
        }
    }
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum How {
    /// With this exit code.
    Code(u32),
    /// By this signal.
    Signal(String),
    /// It was not started; why not.
    Refused(String),
    /// Nobody knows; why not.
    Lost(String),
}

impl How {
    /// In words, unless it is that all is well.
    pub(super) fn words(&self) -> Option<String> {
        match self {
            Self::Code(0) => None,
            Self::Code(code) => Some(format!("what was started ended with exit code {code}")),
            Self::Signal(name) => Some(format!("what was started was ended by signal {name}")),
            Self::Refused(reason) | Self::Lost(reason) => Some(reason.clone()),
        }
    }
}

/// A process, and its streams.
pub(super) struct Process {
    /// What is heard of it. Unread for long, it holds up all else that comes on the same connection.
    pub(super) incoming: BoxStream<'static, Said>,
    pub(super) outgoing: mpsc::Sender<Bytes>,
    pub(super) writer: JoinHandle<()>,
    /// What was heard before it was a session.
    pub(super) early: Vec<Said>,
    /// Who waits for the end of a program of this machine, and ends it if that is dropped.
    pub(super) attendant: JoinSet<()>,
}

impl Process {
    /// A process of which this is heard, and which `write` writes to.
    pub(super) fn new<W>(
        heard: impl Stream<Item = Said> + Send + 'static,
        write: impl FnOnce(mpsc::Receiver<Bytes>) -> W,
    ) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let (outgoing, to_process) = mpsc::channel(QUEUE);
        Self {
            incoming: heard.fuse().boxed(),
            outgoing,
            writer: tokio::spawn(write(to_process)),
            early: Vec::new(),
            attendant: JoinSet::new(),
        }
    }

    /// Waits for something else on the same connection, and keeps what is heard meanwhile.
    pub(super) async fn heard_during<T>(&mut self, other: impl Future<Output = T>) -> T {
        tokio::pin!(other);
        let mut room = MAX_EARLY;
        loop {
            tokio::select! {
                done = &mut other => return done,
                Some(said) = self.incoming.next(), if room > 0 => {
                    room = room.saturating_sub(said.len());
                    self.early.push(said);
                }
            }
        }
    }

    /// The stream of its session. `link` is kept as long as that.
    pub(super) fn into_duplex(self, by: String, link: Link) -> Duplex {
        let heard = stream::iter(self.early).chain(self.incoming);
        let writer = self.writer;
        // Needed as long as there is something to hear, or to say.
        let attendant = Arc::new(self.attendant);
        let listened = attendant.clone();
        let writer = tokio::spawn(async move {
            let _ = writer.await;
            if let Link::Ssh(client) = link {
                client.close().await;
            }
            drop(attendant);
        });
        Duplex {
            by,
            incoming: heard
                .map(move |said| {
                    let _ = &listened;
                    incoming_of(said)
                })
                .boxed(),
            outgoing: self.outgoing,
            writer,
        }
    }
}

fn incoming_of(said: Said) -> Incoming {
    match said {
        Said::Stdout(bytes) => Incoming::Stream(bytes),
        Said::Stderr(bytes) => Incoming::Diagnostics(bytes),
        Said::Ended(How::Lost(reason)) => Incoming::Lost(reason),
        Said::Ended(how) => Incoming::End(how.words()),
    }
}
