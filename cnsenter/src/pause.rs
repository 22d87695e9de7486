//! `cnsenter pause`: the init of nodepause's pod.
//!
//! One stays resident on every node for the life of the cluster, so cnsenter does not stay: it
//! executes a program of one page that is embedded in it ([`crate::sys::pause`]).

use std::convert::Infallible;
use std::io;

use nix::unistd::fexecve;

use crate::seal::sealed_executable;
use crate::sys::pause as program;

/// Reaps every child, as PID 1 or as a subreaper, and returns when TERM or INT comes.
///
/// It returns only where a memfd cannot be executed (sysctl vm.memfd_noexec, an LSM): this process
/// then does the same itself. Otherwise the program takes its place and exits with 0.
pub fn run() {
    // From here to the program's first wait no TERM may be lost, and none may kill.
    program::block_signals();
    let Err(_) = execute();
    program::reap_until_terminated();
}

fn execute() -> io::Result<Infallible> {
    let image = sealed_executable(c"pause", &mut &program::PROGRAM[..])?;
    Ok(fexecve(image, &[c"pause"], &[c""; 0])?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_program_is_small() {
        let size = super::program::PROGRAM.len();
        assert!(size < 4096, "{size} bytes: no longer one page");
    }
}
