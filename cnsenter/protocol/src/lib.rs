//! What `kpexec` and `cnsenter session` say to each other over one duplex stream of bytes.
//!
//! - The request is the command line that starts cnsenter ([`Request`], [`Argv`]), so that audit
//!   logs name what is run and admission policies decide on it. What a command line cannot hold
//!   follows in a Request frame, whose sum the command line names.
//! - The stream carries [`frame`]s: data as raw bytes, and small [`Control`] messages. cnsenter
//!   speaks first: [`PREAMBLE`], Hello.
//! - Session N of a stream is the N-th target of its command line. The stream itself cannot name a
//!   target, so nothing that was not authorized can be asked for.
//! - Data flows by [`credit`]; [`exit`] says what exit codes mean.
//!
//! Nothing here does I/O, knows a clock or depends on the operating system.

pub mod control;
pub mod credit;
pub mod decoder;
pub mod exit;
mod fields;
pub mod frame;
pub mod request;
#[cfg(test)]
mod tests;

pub use control::{Control, Exit, Failure, FailureKind, Hello, KilledFor, Signal, Size};
pub use decoder::{Decoder, Item};
pub use fields::Error as FieldError;
pub use frame::{SessionId, Stream};
pub use request::{Argv, CgroupChoice, Encoded, Profile, Reader, Request, Target, Tty};

/// The protocol's number, the first word after `cnsenter session`.
pub const PROTOCOL: u32 = 1;

/// What precedes cnsenter's Hello. Login scripts and such may print something before it; the line
/// ends in it show a stream that a terminal has changed on its way.
pub const PREAMBLE: [u8; 8] = *b"\x89cns\r\n\x1a\n";

/// Lengths of time that both ends keep to.
pub mod times {
    use std::time::Duration;

    /// How often each end that has nothing else to say sends a Ping.
    pub const PING_INTERVAL: Duration = Duration::from_secs(15);
    /// How long a silent client is waited for, unless the request says otherwise.
    pub const LEASE: Duration = Duration::from_secs(60);
    /// The most that a client can ask for by Hold.
    pub const LONGEST_HOLD: Duration = Duration::from_secs(600);
    /// How long cnsenter stays for the Ack of the last Exit.
    pub const ACK_LIMIT: Duration = Duration::from_secs(60);
}
