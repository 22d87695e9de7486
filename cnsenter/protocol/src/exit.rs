//! The exit codes of `cnsenter` and `kpexec`; 0 to 255 may also be the command's own.

/// `kpexec` failed before anything ran: bad target, no permission, no agent on the node.
pub const NOTHING_RAN: u8 = 1;
/// The command overran `--timeout` (as timeout(1) of coreutils).
pub const TIMED_OUT: u8 = 124;
/// cnsenter could not enter: target missing or refused, bad request.
pub const CANNOT_ENTER: u8 = 125;
/// The command was found but could not be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// The command was not found.
pub const NOT_FOUND: u8 = 127;
/// The command was run, but its output or its end was lost: to cnsenter, or with the connection.
pub const CONNECTION_LOST: u8 = 255;

/// What a shell reports for a command that died of signal `number`.
#[must_use]
pub fn of_signal(number: i32) -> u8 {
    u8::try_from(128_i32.saturating_add(number)).unwrap_or(u8::MAX)
}
