//! `-v`: says each step on stderr, with the time since the step before.

use std::cell::Cell;
use std::fmt::Display;
use std::time::Instant;

use crate::stderr::{printable, say};

/// Where the steps of one run are told, if anybody asked.
pub struct Trace {
    start: Option<Instant>,
    last: Cell<Instant>,
}

impl Trace {
    /// A trace that prints if `verbose`.
    #[must_use]
    pub fn new(verbose: bool) -> Self {
        let now = Instant::now();
        Self {
            start: verbose.then_some(now),
            last: Cell::new(now),
        }
    }

    /// Tells a step that is done. `text` is called only if somebody listens.
    pub fn step<T: Display>(&self, text: impl FnOnce() -> T) {
        let Some(start) = self.start else { return };
        let now = Instant::now();
        let [total, part] =
            [now - start, now - self.last.replace(now)].map(|time| time.as_secs_f64() * 1_000.0);
        let text = printable(&text().to_string());
        say(format_args!("kpexec: [{total:>8.3} ms, +{part:.3}] {text}"));
    }
}
