//! Lines on stderr, for people.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};

use crate::patient::Patient;

/// Text with its line breaks, but nothing else that moves a terminal (CVE-2021-25743): names and
/// messages come from the cluster.
#[must_use]
pub(crate) fn printable(text: &str) -> String {
    let plain = |c: char| c == '\n' || !(c.is_control() || is_format(c));
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if plain(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_default());
        }
    }
    shown
}

/// Invisible characters that reorder the text around them (CVE-2021-42574).
fn is_format(c: char) -> bool {
    matches!(u32::from(c), 0x61c | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff)
}

/// A line on stderr, by one write. Nobody is left to be told if that fails, and no reason to end.
pub(crate) fn say(text: impl Display) {
    let _ = Patient(io::stderr()).write_all(format!("{text}\n").as_bytes());
}

/// An error and its causes, on one line.
#[must_use]
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Some of other crates' errors have their causes' words in their own.
        let words = describe(cause);
        if !line.ends_with(&words) {
            line.push_str(": ");
            line.push_str(&words);
        }
        source = cause.source();
    }
    line
}

/// A cause in words; the standard library adds "(os error N)".
fn describe(cause: &(dyn Error + 'static)) -> String {
    let words = cause.to_string();
    match words.rfind(" (os error ") {
        Some(end) if cause.is::<io::Error>() => words[..end].to_owned(),
        _ => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_a_terminal_is_shown() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\r"), "a\\u{1b}[2Jb\nc\\r");
        assert_eq!(printable("größe\u{202e}"), "größe\\u{202e}");
    }
}
