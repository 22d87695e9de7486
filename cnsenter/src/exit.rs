//! The exit codes of `cnsenter`, the same table as `kpexec`'s.

/// The command overran `--timeout` (as timeout(1) of coreutils).
pub const TIMED_OUT: u8 = 124;
/// cnsenter could not enter: target missing or refused, bad request.
pub const CANNOT_ENTER: u8 = 125;
/// The command was run, but its output or its end was lost.
pub const LOST: u8 = 255;
/// The command was found but could not be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// The command was not found.
pub const NOT_FOUND: u8 = 127;

/// What a shell reports for a command that died of signal `number`.
#[must_use]
pub fn of_signal(number: i32) -> u8 {
    u8::try_from(128 + number).unwrap_or(u8::MAX)
}
