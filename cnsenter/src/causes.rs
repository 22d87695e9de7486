//! Errors in words.

use std::io;

/// An error and its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&describe(cause));
        source = cause.source();
    }
    line
}

/// A cause in words; the standard library would add "(os error N)".
fn describe(cause: &(dyn std::error::Error + 'static)) -> String {
    let errno = cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::raw_os_error);
    match errno {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_owned(),
        None => cause.to_string(),
    }
}
