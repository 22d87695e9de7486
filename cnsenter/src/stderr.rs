//! Lines on stderr, for people.

use std::fmt::Display;
use std::io::{self, Write};

/// A line on stderr, by one write(2) so that those of several processes do not mix. Nobody is left
/// to be told if that fails, and no reason to end.
pub(crate) fn say(text: impl Display) {
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// A warning on stderr.
pub(crate) fn warn(text: impl Display) {
    say(format_args!("cnsenter: warning: {text}"));
}
