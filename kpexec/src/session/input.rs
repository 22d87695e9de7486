//! The user's input: read by a thread of its own where a read may block, at any time and for ever.

use std::io::{self, Read};
use std::thread;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

/// How much is read at once, in bytes: what one frame carries.
const PIECE: usize = cnsenter_protocol::frame::MAX_DATA;

/// The same of a terminal, which has no more.
const TYPED: usize = 4 << 10;

/// How many pieces are read before they can be sent.
const AHEAD: usize = 4;

/// Where it comes from.
pub(super) enum Source {
    /// Whatever can be read.
    Any(Box<dyn Read + Send>),
    /// What tells when there is something, and never blocks.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "elsewhere a thread reads it")
    )]
    Terminal(Box<dyn AsyncRead + Send + Unpin>),
}

/// What is being read.
pub(super) enum Input {
    Thread(mpsc::Receiver<io::Result<Bytes>>),
    /// A key is not to wait until a thread has woken up.
    Terminal(Box<dyn AsyncRead + Send + Unpin>),
}

impl Input {
    /// Starts to read. A thread is left behind in its read.
    pub(super) fn start(source: Source) -> Self {
        match source {
            Source::Any(stdin) => Self::Thread(read(stdin)),
            Source::Terminal(keys) => Self::Terminal(keys),
        }
    }

    /// The next piece; None at the end. Nothing is lost if this is dropped.
    pub(super) async fn next(&mut self) -> Option<io::Result<Bytes>> {
        match self {
            Self::Thread(pieces) => pieces.recv().await,
            Self::Terminal(keys) => {
                let mut typed = BytesMut::with_capacity(TYPED);
                match keys.read_buf(&mut typed).await {
                    Ok(0) => None,
                    result => Some(result.map(|_| typed.freeze())),
                }
            }
        }
    }
}

fn read(mut stdin: Box<dyn Read + Send>) -> mpsc::Receiver<io::Result<Bytes>> {
    let (pieces, input) = mpsc::channel(AHEAD);
    thread::spawn(move || {
        loop {
            let mut piece = vec![0; PIECE];
            let item = match stdin.read(&mut piece) {
                Ok(0) => return,
                Ok(length) => {
                    piece.truncate(length);
                    Ok(piece.into())
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = item.is_err();
            if pieces.blocking_send(item).is_err() || failed {
                return;
            }
        }
    });
    input
}
