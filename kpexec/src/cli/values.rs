//! Values that several commands take.

use std::time::Duration;

/// The name of a namespace, as far as it could be one in a path (RFC 1123 labels).
pub fn parse_namespace(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    match text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("only letters, digits and \"-\" occur in a namespace's name".to_owned()),
    }
}

/// The same where none is no answer.
pub fn parse_own_namespace(text: &str) -> Result<String, String> {
    match text {
        "" => Err("it is empty".to_owned()),
        text => parse_namespace(text),
    }
}

/// A time as kubectl takes it: `30s`, `1m30s`, a number of seconds, 0 for ever.
pub fn parse_timeout(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map(Duration::from_secs);
    seconds
        .or_else(|_| humantime::parse_duration(text))
        .map_err(|_| "write a time such as 30s, 5m or 1h30m".to_owned())
}
