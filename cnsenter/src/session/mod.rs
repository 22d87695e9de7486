//! `cnsenter session`: kpexec's other end.
//!
//! One process with one poll(2) loop serves the stream ([`cnsenter_protocol`]): it greets, checks
//! the request and relays. Each command has a process of its own, which is what a local run is: the
//! sealed image, the same request, the same way into the container. A socket links the two; when
//! the stream ends the socket does, and with it the command and all that it has started. Should
//! both processes be killed, the command's guard is left to do it.

mod backlog;
mod command;
mod conduit;
mod error;
mod init;
mod input;
mod lease;
pub mod original;
mod outbox;
mod output;
mod request;
mod server;
mod sessions;

use std::ffi::OsString;

pub use error::Error;

/// The words of a session's request, if this is one: `session` and the number of a protocol, so
/// that a container of that name can still be entered.
#[must_use]
pub fn asked_for(args: &[OsString]) -> Option<&[OsString]> {
    let number = args.get(2)?.to_str()?;
    let is_number = number.bytes().all(|b| b.is_ascii_digit()) && !number.is_empty();
    (is_number && args[1] == "session").then(|| &args[1..])
}

/// Serves the stream on our stdin and stdout to its end; our exit code.
///
/// # Errors
/// When the stream cannot be used at all.
pub fn serve(words: &[OsString]) -> Result<u8, Error> {
    server::Server::new()?.run(words)
}

#[cfg(test)]
mod tests {
    use super::asked_for;

    #[test]
    fn a_container_may_be_called_session() {
        let asks = |line: &str| {
            let args: Vec<_> = line.split(' ').map(Into::into).collect();
            asked_for(&args).is_some()
        };
        assert!(asks("cnsenter session 1 a/b full -- true"));
        assert!(asks("cnsenter session 77"));
        assert!(!asks("cnsenter session -- true"));
        assert!(!asks("cnsenter session"));
        assert!(!asks("cnsenter -i session -- 1"));
    }
}
