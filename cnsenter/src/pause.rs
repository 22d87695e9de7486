//! `cnsenter pause`: the init of nodepause's pod.
//!
//! One stays resident on every node for the life of the cluster, so cnsenter does not stay: it
//! executes a program of one page that is embedded in it ([`crate::sys::pause`]).

use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::fexecve;

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

fn execute() -> Result<Infallible, Errno> {
    fexecve(sealed_program()?, &[c"pause"], &[c""; 0])
}

fn sealed_program() -> Result<OwnedFd, Errno> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let executable = flags | MFdFlags::from_bits_retain(libc::MFD_EXEC);
    let fd = match memfd_create(c"pause", executable) {
        // Before Linux 6.3 there is no such flag, and every memfd can be executed.
        Err(Errno::EINVAL) => memfd_create(c"pause", flags)?,
        other => other?,
    };
    let mut file = File::from(fd);
    file.write_all(program::PROGRAM)
        .map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO)))?;
    // Not F_SEAL_FUTURE_WRITE: it is of Linux 5.1, and F_SEAL_WRITE says more.
    let seals = SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

#[cfg(test)]
mod tests;
