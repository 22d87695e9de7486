//! The client of the session protocol: the user's streams, terminal and signals on one side, frames
//! on the other.
//!
//! One task owns all state; threads read and write those of the user's streams that may block.
//! Nothing that comes waits for anything that goes: what is to be sent is kept until there is room.

mod client;
#[cfg(any(windows, test))]
mod console;
mod ending;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod incoming;
mod input;
mod interrupts;
mod outbox;
mod output;
mod pulse;
#[cfg(target_os = "linux")]
mod reopened;
mod signals;
mod silence;
mod terminal;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::time::Duration;

use cnsenter_protocol::{Hello, PROTOCOL, SessionId};

use crate::patient::Patient;
use crate::report::Report;
use crate::transport::Duplex;
use client::Session;
use signals::Signals;

pub use ending::Ending;
pub use error::Error;
pub use interrupts::Interrupts;
pub(crate) use signals::giving_back;
pub use terminal::{Terminal, size};

/// The only session of our streams.
const SESSION: SessionId = SessionId(1);

/// The command's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Io {
    /// It reads what we read.
    pub stdin: bool,
    /// It gets a terminal.
    pub tty: bool,
    /// A terminal was asked for, and there is none.
    pub tty_refused: bool,
}

/// What a session needs to know besides its stream.
pub struct Options {
    /// The command's streams.
    pub io: Io,
    /// The payload of the Request frame, if there is one.
    pub supplement: Option<Vec<u8>>,
    /// How long a silent end is believed to be there.
    pub lease: Option<Duration>,
    /// The node, for messages.
    pub node: String,
    /// What the user is told until cnsenter greets.
    pub report: Report,
}

/// The user's streams.
struct Streams {
    stdin: input::Source,
    stdout: Box<dyn Write + Send>,
    /// The same, where a write that would wait can be left to it.
    screen: Option<Box<dyn Write + Send>>,
    stderr: Box<dyn Write + Send>,
}

impl Streams {
    fn ours() -> Self {
        Self {
            stdin: input::Source::Any(Box::new(Patient(io::stdin()))),
            stdout: output::unbuffered_stdout(),
            screen: None,
            stderr: output::stderr(),
        }
    }

    /// Without threads, as far as they are terminals.
    #[cfg(target_os = "linux")]
    fn reopened(mut self) -> Self {
        if let Some(keys) = reopened::keys() {
            self.stdin = input::Source::Terminal(Box::new(keys));
        }
        let screen = reopened::Screen::of_stdout();
        self.screen = screen.map(|screen| Box::new(screen) as _);
        self
    }
}

/// Whether who greets like this speaks our protocol.
#[must_use]
pub fn is_spoken_by(hello: &Hello) -> bool {
    (hello.oldest..=hello.newest).contains(&PROTOCOL)
}

/// Runs the session to its end.
///
/// # Errors
/// When the command was not started, or is lost.
pub async fn run(stream: Duplex, options: Options) -> Result<Ending, Error> {
    let signals = Signals::new(options.io.tty);
    let streams = Streams::ours();
    #[cfg(target_os = "linux")]
    let streams = match options.io.tty {
        true => streams.reopened(),
        false => streams,
    };
    run_with(stream, options, streams, signals).await
}

async fn run_with(
    stream: Duplex,
    options: Options,
    streams: Streams,
    signals: Signals,
) -> Result<Ending, Error> {
    let mut session = Session::new(stream, options, streams, signals);
    let ending = match session.greet().await {
        // A quick command has ended by then.
        Ok(Some(exit)) => Ok(Ending::Exit(exit)),
        Ok(None) => session.serve().await,
        Err(error) => Err(error),
    };
    session.close(ending).await
}
