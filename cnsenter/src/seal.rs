//! Running from a sealed image.
//!
//! A container may be made to execute or open /proc/PID/exe of whoever enters it and so overwrite
//! the node's own cnsenter (CVE-2019-5736). So before anything is entered, cnsenter executes
//! itself once more from a read-only mount that is attached nowhere, and whose last descriptor is
//! closed by that very exec: while one is held, a peer with CAP_SYS_ADMIN could make the mount
//! writable again through it. Where such a mount cannot be had (Linux before 5.12, an executable
//! in another mount namespace), from a sealed copy in memory.
//!
//! The request crosses as bytes in a pipe or, if it is large, a memory file; of the caller's environment nothing else does.

use std::convert::Infallible;
use std::ffi::{CStr, CString, OsString};
use std::io::{self, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::request::Request;
use crate::sys::image;

/// The variable that names the request's descriptor to the sealed image.
const REQUEST_FD: &str = "CNSENTER_REQUEST_FD";

/// What a pipe holds at least, in bytes: one page (pipe(7)).
const PIPE_SIZE: usize = 4096;

/// What can go wrong on the way into the sealed image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request could not be passed on.
    #[error("cannot pass the request to the sealed image")]
    Request(#[source] io::Error),
    /// Neither way of sealing works here.
    #[error("cannot make a sealed copy of cnsenter's own executable to run from")]
    Seal(#[source] io::Error),
    /// The sealed image could not be executed.
    #[error("cannot execute the sealed copy of cnsenter")]
    Exec(#[source] io::Error),
    /// Somebody set the variable by hand.
    #[error("{REQUEST_FD} is set, but this is not the sealed image; unset it")]
    NotSealed,
}

/// Executes the sealed image with `request`; `args` only for ps(1).
///
/// # Errors
/// Returns only if that failed.
pub fn run_sealed(request: &Request, args: &[OsString]) -> Result<Infallible, Error> {
    let request = pass(request).map_err(Error::Request)?;
    let image = read_only_bind()
        .or_else(|_| memory_copy())
        .map_err(Error::Seal)?;
    let env = CString::new(format!("{REQUEST_FD}={}", request.as_raw_fd()))
        .map_err(|e| Error::Request(e.into()))?;
    let args: Vec<CString> = args
        .iter()
        .map(|a| CString::new(a.clone().into_vec()))
        .collect::<Result<_, _>>()
        .map_err(|e| Error::Request(e.into()))?;
    nix::unistd::execveat(image, c"", &args, &[env], AtFlags::AT_EMPTY_PATH)
        .map_err(|e| Error::Exec(e.into()))
}

/// The request, if this is the sealed image; None on the first start.
///
/// # Errors
/// When the request is there but this is not the sealed image, or it cannot be read.
pub fn received() -> Result<Option<Request>, Error> {
    let Some(number) = std::env::var_os(REQUEST_FD) else {
        return Ok(None);
    };
    let fd: RawFd = number
        .to_str()
        .and_then(|n| n.parse().ok())
        .filter(|n| *n > 2)
        .ok_or(Error::NotSealed)?;
    if !is_sealed() {
        return Err(Error::NotSealed);
    }
    let bytes = crate::sys::image::take_inherited(fd)
        .and_then(|fd| {
            let mut file = std::fs::File::from(fd);
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut file, &mut bytes)?;
            Ok(bytes)
        })
        .map_err(Error::Request)?;
    postcard::from_bytes(&bytes)
        .map(Some)
        .map_err(|e| Error::Request(io::Error::other(e)))
}

fn pass(request: &Request) -> io::Result<OwnedFd> {
    let bytes = postcard::to_stdvec(request).map_err(io::Error::other)?;
    if bytes.len() <= PIPE_SIZE {
        // A pipe knows no limit of file sizes (`ulimit -f`).
        let (read, write) = nix::unistd::pipe()?;
        std::fs::File::from(write).write_all(&bytes)?;
        return Ok(read);
    }
    let fd = memfd_create(c"cnsenter-request", MFdFlags::empty())?;
    let mut file = std::fs::File::from(fd);
    file.write_all(&bytes)?;
    file.rewind()?;
    Ok(file.into())
}

fn read_only_bind() -> io::Result<OwnedFd> {
    let mount = image::detached_bind(c"/proc/self/exe")?;
    image::make_read_only(std::os::fd::AsFd::as_fd(&mount))?;
    Ok(mount)
}

fn memory_copy() -> io::Result<OwnedFd> {
    sealed_executable(c"cnsenter", &mut std::fs::File::open("/proc/self/exe")?)
}

/// A program in memory that nobody can change any more (memfd_create(2), fcntl(2) F_ADD_SEALS).
///
/// # Errors
/// As memfd_create(2), or when `program` cannot be read.
pub(crate) fn sealed_executable(name: &CStr, program: &mut impl io::Read) -> io::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // Said explicitly because of sysctl vm.memfd_noexec; Linux before 6.3 refuses it.
    let executable = flags | MFdFlags::from_bits_retain(libc::MFD_EXEC);
    let fd = match memfd_create(name, executable) {
        Err(Errno::EINVAL) => memfd_create(name, flags)?,
        other => other?,
    };
    let mut file = std::fs::File::from(fd);
    io::copy(program, &mut file)?;
    let seals = SealFlag::F_SEAL_SEAL
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

/// Whether our executable is one of the two sealed kinds.
fn is_sealed() -> bool {
    let Ok(exe) = std::fs::File::open("/proc/self/exe") else {
        return false;
    };
    // Every file of a tmpfs has seals, an installed cnsenter on one too, but is not sealed.
    let seals =
        fcntl(&exe, FcntlArg::F_GET_SEALS).map_or(SealFlag::empty(), SealFlag::from_bits_retain);
    if seals.contains(SealFlag::F_SEAL_WRITE) {
        return true;
    }
    // A bind mount of the file itself: its root is the mount's root, and read-only.
    let read_only = nix::sys::statvfs::fstatvfs(&exe)
        .is_ok_and(|s| s.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY));
    let path = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    read_only && (path.as_os_str() == "/" || path.as_os_str() == "/ (deleted)")
}
