//! Programs of the user's own on the way to a node, which do not hear the terminal's keys: Ctrl-C and
//! Ctrl-Z are kpexec's, which passes the one on to the command and has the node wait for the other.

#[cfg(unix)]
use std::env;
use std::io;
#[cfg(unix)]
use std::path::Path;

use tokio::process::Command;

/// Runs a program with these words first of all. What is ignored stays so through exec (signal(7)).
///
/// # Errors
/// When there is no such program, which a shell would tell in its own way.
#[cfg(unix)]
pub(super) fn deaf_to_keys(program: &str) -> io::Result<Command> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = match program.contains('/') {
        true => Path::new(program).is_file(),
        false => env::split_paths(&path).any(|folder| folder.join(program).is_file()),
    };
    if !is_there {
        return Err(io::Error::other("there is no such program"));
    }
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "trap '' INT QUIT TSTP; exec \"$@\"", "sh", program]);
    Ok(command)
}

/// The same where a program has no signals.
#[cfg(windows)]
pub(super) fn deaf_to_keys(program: &str) -> io::Result<Command> {
    Ok(Command::new(program))
}
