//! Signals while there is no session: only those that end us mean something then.

use cnsenter_protocol::Signal;

use super::signals::{Event, Signals, stop_ourselves};

/// Takes over the signals that end a program, for as long as somebody has to clear up.
pub struct Interrupts(Signals);

impl Interrupts {
    /// From here on none of them ends us by itself.
    #[must_use]
    pub fn new() -> Self {
        Self(Signals::new(false))
    }

    /// The number of the next one.
    pub async fn next(&mut self) -> i32 {
        loop {
            match self.0.next().await {
                Event::Forward(Signal::Usr1 | Signal::Usr2 | Signal::Winch) | Event::Resize => {}
                Event::Forward(signal) => return signal.number(),
                Event::End(signal) => return signal,
                Event::Stop => stop_ourselves(),
            }
        }
    }
}

impl Default for Interrupts {
    fn default() -> Self {
        Self::new()
    }
}
