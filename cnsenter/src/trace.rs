//! `-v`: says each step on stderr, with the time since the step before.

use std::fmt::Display;
use std::time::Instant;

/// Where the steps of one run are told, if anybody asked.
pub struct Trace {
    start: Option<Instant>,
    last: std::cell::Cell<Instant>,
}

impl Trace {
    /// A trace that prints if `verbose`.
    #[must_use]
    pub fn new(verbose: bool) -> Self {
        let now = Instant::now();
        Self {
            start: verbose.then_some(now),
            last: std::cell::Cell::new(now),
        }
    }

    /// Whether anybody listens: lets a caller leave out costly work.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.start.is_some()
    }

    /// Tells a step that is done. `text` is called only if somebody listens; what comes from a
    /// container must be escaped by the caller.
    pub fn step<T: Display>(&self, text: impl FnOnce() -> T) {
        let Some(start) = self.start else { return };
        let now = Instant::now();
        crate::stderr::say(format_args!(
            "cnsenter: [{:>8.3} ms, +{:.3}] {}",
            millis(now - start),
            millis(now - self.last.replace(now)),
            text()
        ));
    }
}

fn millis(d: std::time::Duration) -> f64 {
    d.as_secs_f64() * 1_000.0
}
