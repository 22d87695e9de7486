//! The way to a node's cnsenter: a command line, and a duplex stream of bytes. What a user feels
//! lives above it, in [`crate::session`].

mod api;
pub mod ssh;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, poll_fn};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use api::{Error, open};

/// How many pieces may wait on each side, of at most some tens of kilobytes each.
const QUEUE: usize = 16;

/// What comes from the other end.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A piece of the stream.
    Stream(Bytes),
    /// cnsenter's own words, of its stderr.
    Diagnostics(Bytes),
    /// The process has ended; what is known of the reason, if that is not that all was said.
    End(Option<String>),
    /// The way there is lost, and why: what becomes of the process is not known.
    Lost(String),
}

/// Why a stream ended of whose end nothing else is known.
pub(crate) const CLOSED: &str = "the connection was closed";

/// What somebody sends from a task of their own, as a stream.
pub(crate) fn stream_of<T: Send + 'static>(mut from: mpsc::Receiver<T>) -> BoxStream<'static, T> {
    poll_fn(move |context| from.poll_recv(context)).boxed()
}

/// An open stream. Dropping it ends it.
pub struct Duplex {
    /// By what it was opened, for `-v`.
    pub by: String,
    /// What comes.
    pub incoming: BoxStream<'static, Incoming>,
    /// What goes. Once this is dropped, all that was sent is written and the stream is closed.
    pub outgoing: mpsc::Sender<Bytes>,
    /// Who writes: waited for at the end.
    pub writer: JoinHandle<()>,
}
