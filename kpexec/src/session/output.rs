//! The user's output, each stream written by a thread of its own where a write may block: one must
//! not hold up the other.

use std::io::{self, Write};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::Duration;

use bytes::{Buf, Bytes};
use cnsenter_protocol::credit::Window;
use cnsenter_protocol::{Control, Stream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Error;
#[cfg(unix)]
use crate::patient::Patient;

/// How much is written, in bytes, before that is told: little against the windows.
const BATCH: usize = 128 << 10;

/// Something was written, or was not.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) stream: Stream,
    /// How much room there is for more.
    pub(super) bytes: usize,
    pub(super) result: io::Result<()>,
}

/// The threads. What they are given is bounded by the windows of the streams.
pub(super) struct Outputs {
    stdout: Output,
    stderr: Output,
    /// The windows' origin of time.
    begin: Instant,
    /// What the threads say.
    pub(super) written: mpsc::UnboundedReceiver<Written>,
}

struct Output {
    queue: std::sync::mpsc::Sender<Bytes>,
    /// How many bytes the thread has not told of yet.
    queued: usize,
    /// What takes a few bytes at once, or none, while the thread has nothing to do: a key's echo is
    /// not to wait until that has woken up.
    at_once: Option<Box<dyn Write + Send>>,
    window: Window,
}

impl Outputs {
    pub(super) fn start(
        stdout: Box<dyn Write + Send>,
        screen: Option<Box<dyn Write + Send>>,
        stderr: Box<dyn Write + Send>,
    ) -> Self {
        let (tell, written) = mpsc::unbounded_channel();
        Self {
            stdout: Output {
                at_once: screen,
                ..Output::start(Stream::Stdout, stdout, tell.clone())
            },
            stderr: Output::start(Stream::Stderr, stderr, tell),
            begin: Instant::now(),
            written,
        }
    }

    /// Writes a piece that came, or hands it over. The credit for more, if it is due.
    ///
    /// # Errors
    /// When there was no room for it.
    pub(super) fn take(
        &mut self,
        stream: Stream,
        mut bytes: Bytes,
        delay: Option<Duration>,
    ) -> Result<Option<Control>, Error> {
        let output = self.output(stream)?;
        output
            .window
            .receive(bytes.len())
            .map_err(|error| Error::Protocol(error.to_string()))?;
        let written = output.write_at_once(&bytes);
        bytes.advance(written);
        if !bytes.is_empty() {
            output.queued += bytes.len();
            // A thread that has gone has said why.
            let _ = output.queue.send(bytes);
        }
        if written == 0 {
            return Ok(None);
        }
        self.due_after(stream, written, delay)
    }

    /// The thread has written this much: the credit for more, if it is due.
    ///
    /// # Errors
    /// When there is no such output.
    pub(super) fn release(
        &mut self,
        stream: Stream,
        bytes: usize,
        delay: Option<Duration>,
    ) -> Result<Option<Control>, Error> {
        let output = self.output(stream)?;
        output.queued = output.queued.saturating_sub(bytes);
        self.due_after(stream, bytes, delay)
    }

    fn due_after(
        &mut self,
        stream: Stream,
        bytes: usize,
        delay: Option<Duration>,
    ) -> Result<Option<Control>, Error> {
        let now = self.begin.elapsed();
        let window = &mut self.output(stream)?.window;
        window.release(bytes);
        let due = window.due(now, delay);
        Ok(due.map(|bytes| Control::Credit { stream, bytes }))
    }

    /// The same, of both, when the way's delay has become known.
    pub(super) fn due(&mut self, delay: Option<Duration>) -> impl Iterator<Item = Control> {
        let now = self.begin.elapsed();
        let outputs = [
            (Stream::Stdout, &mut self.stdout),
            (Stream::Stderr, &mut self.stderr),
        ];
        outputs.into_iter().filter_map(move |(stream, output)| {
            let bytes = output.window.due(now, delay)?;
            Some(Control::Credit { stream, bytes })
        })
    }

    fn output(&mut self, stream: Stream) -> Result<&mut Output, Error> {
        match stream {
            Stream::Stdout => Ok(&mut self.stdout),
            Stream::Stderr => Ok(&mut self.stderr),
            Stream::Stdin => Err(Error::Protocol("stdin came from the node".to_owned())),
        }
    }

    /// Waits until all is written, unless it is of no use any more; why stdout was not.
    pub(super) async fn finish(self, abandon: bool) -> Option<io::Error> {
        let Self {
            stdout,
            stderr,
            mut written,
            ..
        } = self;
        drop((stdout, stderr));
        let mut failed = None;
        while !abandon && let Some(written) = written.recv().await {
            if let (Stream::Stdout, Err(error)) = (written.stream, written.result) {
                failed = Some(error);
            }
        }
        failed
    }
}

impl Output {
    fn start(
        stream: Stream,
        mut target: Box<dyn Write + Send>,
        tell: mpsc::UnboundedSender<Written>,
    ) -> Self {
        let (queue, pieces) = std::sync::mpsc::channel::<Bytes>();
        thread::spawn(move || {
            while let Ok(piece) = pieces.recv() {
                let mut result = target.write_all(&piece);
                let mut bytes = piece.len();
                // Who is behind says so once for all that waits.
                while result.is_ok()
                    && bytes < BATCH
                    && let Ok(piece) = pieces.try_recv()
                {
                    result = target.write_all(&piece);
                    bytes += piece.len();
                }
                let result = result.and_then(|()| target.flush());
                // After an error the rest is only counted, so that the other end does not wait.
                if result.is_err() {
                    target = Box::new(io::sink());
                }
                let written = Written {
                    stream,
                    bytes,
                    result,
                };
                if tell.send(written).is_err() {
                    return;
                }
            }
        });
        Self {
            queue,
            queued: 0,
            at_once: None,
            window: Window::new(Duration::ZERO),
        }
    }

    /// How much of it was written; why the rest was not is for the thread to find.
    fn write_at_once(&mut self, bytes: &[u8]) -> usize {
        match &mut self.at_once {
            Some(target) if self.queued == 0 && !bytes.is_empty() => {
                target.write(bytes).unwrap_or(0)
            }
            _ => 0,
        }
    }
}

/// std's own stdout keeps what comes after the last line break, and looks for it in everything.
#[cfg(unix)]
pub(super) fn unbuffered_stdout() -> Box<dyn Write + Send> {
    Box::new(Patient(Stdout))
}

/// The descriptor itself, and not a second one: of those there may be none left.
#[cfg(unix)]
struct Stdout;

#[cfg(unix)]
impl AsFd for Stdout {
    fn as_fd(&self) -> BorrowedFd<'_> {
        rustix::stdio::stdout()
    }
}

#[cfg(unix)]
impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match rustix::io::write(rustix::stdio::stdout(), bytes) {
            // Whoever closed it wants nothing of it.
            Err(rustix::io::Errno::BADF) => Ok(bytes.len()),
            written => Ok(written?),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file or pipe takes any bytes, a console only text.
#[cfg(not(unix))]
pub(super) fn unbuffered_stdout() -> Box<dyn Write + Send> {
    on_console(io::stdout())
}

#[cfg(unix)]
pub(super) fn stderr() -> Box<dyn Write + Send> {
    Box::new(Patient(io::stderr()))
}

#[cfg(not(unix))]
pub(super) fn stderr() -> Box<dyn Write + Send> {
    on_console(io::stderr())
}

#[cfg(not(unix))]
fn on_console(target: impl Write + io::IsTerminal + Send + 'static) -> Box<dyn Write + Send> {
    if target.is_terminal() {
        Box::new(super::console::Console::new(target))
    } else {
        Box::new(target)
    }
}
