//! The user's output, each stream written by a thread of its own: a write may block at any time, and
//! one must not hold up the other.

use std::io::{self, Write};
use std::thread;

use bytes::Bytes;
use cnsenter_protocol::Stream;
use tokio::sync::mpsc;

/// A piece was written, or was not.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) stream: Stream,
    /// How much room there is for more.
    pub(super) bytes: usize,
    pub(super) result: io::Result<()>,
}

/// The threads. What they are given is bounded by the windows of the streams.
pub(super) struct Outputs {
    stdout: Option<std::sync::mpsc::Sender<Bytes>>,
    stderr: Option<std::sync::mpsc::Sender<Bytes>>,
    /// What the threads say.
    pub(super) written: mpsc::UnboundedReceiver<Written>,
}

impl Outputs {
    pub(super) fn start(stdout: Box<dyn Write + Send>, stderr: Box<dyn Write + Send>) -> Self {
        let (tell, written) = mpsc::unbounded_channel();
        let stdout = start(Stream::Stdout, stdout, tell.clone());
        let stderr = start(Stream::Stderr, stderr, tell);
        Self {
            stdout: Some(stdout),
            stderr: Some(stderr),
            written,
        }
    }

    /// Hands a piece over.
    pub(super) fn write(&self, stream: Stream, bytes: Bytes) {
        let queue = if stream == Stream::Stderr {
            &self.stderr
        } else {
            &self.stdout
        };
        if let Some(queue) = queue {
            // A thread that has gone has said why.
            let _ = queue.send(bytes);
        }
    }

    /// Waits until all is written, unless it is of no use any more; why stdout was not.
    pub(super) async fn finish(mut self, abandon: bool) -> Option<io::Error> {
        self.stdout = None;
        self.stderr = None;
        let mut failed = None;
        while !abandon && let Some(written) = self.written.recv().await {
            if let (Stream::Stdout, Err(error)) = (written.stream, written.result) {
                failed = Some(error);
            }
        }
        failed
    }
}

fn start(
    stream: Stream,
    mut target: Box<dyn Write + Send>,
    tell: mpsc::UnboundedSender<Written>,
) -> std::sync::mpsc::Sender<Bytes> {
    let (queue, pieces) = std::sync::mpsc::channel::<Bytes>();
    thread::spawn(move || {
        for piece in pieces {
            let result = target.write_all(&piece).and_then(|()| target.flush());
            // After an error the rest is only counted, so that the other end does not wait.
            if result.is_err() {
                target = Box::new(io::sink());
            }
            if tell
                .send(Written {
                    stream,
                    bytes: piece.len(),
                    result,
                })
                .is_err()
            {
                return;
            }
        }
    });
    queue
}

/// std's own stdout keeps what comes after the last line break, and looks for it in everything.
#[cfg(unix)]
pub(super) fn unbuffered_stdout() -> Box<dyn Write + Send> {
    use std::os::fd::AsFd;
    match io::stdout().as_fd().try_clone_to_owned() {
        Ok(stdout) => Box::new(std::fs::File::from(stdout)),
        // Whoever closed it wants nothing of it.
        Err(_) => Box::new(io::sink()),
    }
}

/// A console wants to be written to in UTF-16, which std's stdout does.
#[cfg(not(unix))]
pub(super) fn unbuffered_stdout() -> Box<dyn Write + Send> {
    Box::new(io::stdout())
}
