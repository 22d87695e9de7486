//! Reading /etc/passwd and /etc/group of a root directory that somebody else controls.

use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{Mode, SFlag, fstat};

use crate::hostproc::HostProc;
use crate::plan::AccountFile;

/// The largest file that is read, in bytes.
const LIMIT: u64 = 10 << 20;

/// Reads `etc/NAME` below `root` without ever leaving it, and only if it is a regular file of a
/// sane size: the container may have put a FIFO, a device, a link out of its root or gigabytes
/// there (CVE-2019-14271).
pub(super) fn read(proc: &HostProc, root: BorrowedFd<'_>, name: &str) -> AccountFile {
    match open_below(root, &format!("etc/{name}")) {
        Ok(path) => read_regular(proc, &path)
            .unwrap_or_else(|why| AccountFile::Unusable(format!("its /etc/{name} {why}"))),
        Err(Errno::ENOENT | Errno::ENOTDIR) => {
            AccountFile::Unusable(format!("it has no /etc/{name}"))
        }
        Err(e) => AccountFile::Unusable(format!("its /etc/{name} cannot be opened: {}", e.desc())),
    }
}

/// Opens a path below `root` as if that were the root directory (openat2(2), RESOLVE_IN_ROOT);
/// before Linux 5.6 without following any link.
pub(super) fn open_below(root: BorrowedFd<'_>, path: &str) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let how = OpenHow::new()
        .flags(flags)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    match openat2(root, path, how) {
        Err(Errno::ENOSYS) => {}
        other => return other,
    }
    let mut at = root.try_clone_to_owned().map_err(|_| Errno::EMFILE)?;
    for part in path.split('/') {
        at = openat(&at, part, flags | OFlag::O_NOFOLLOW, Mode::empty())?;
        if fstat(&at)?.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFLNK.bits() {
            return Err(Errno::ELOOP);
        }
    }
    Ok(at)
}

fn read_regular(proc: &HostProc, path: &OwnedFd) -> Result<AccountFile, String> {
    let stat = fstat(path).map_err(|e| e.desc().to_owned())?;
    if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
        return Err("is not a regular file".to_owned());
    }
    let too_large = || format!("is larger than {} MiB", LIMIT >> 20);
    if u64::try_from(stat.st_size).unwrap_or(u64::MAX) > LIMIT {
        return Err(too_large());
    }
    // Opened for reading only now that it is known to be a file whose opening has no effect.
    let file = openat(
        proc.as_fd(),
        format!("self/fd/{}", path.as_raw_fd()).as_str(),
        OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY,
        Mode::empty(),
    )
    .map_err(|e| format!("cannot be read: {}", e.desc()))?;
    let mut bytes = Vec::new();
    std::fs::File::from(file)
        .take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| format!("cannot be read: {e}"))?;
    if bytes.len() as u64 > LIMIT {
        Err(too_large())
    } else {
        Ok(AccountFile::Read(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    struct Root(PathBuf);

    impl Root {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("cnsenter-{name}-{}", std::process::id()));
            fs::create_dir_all(path.join("etc")).unwrap();
            Self(path)
        }

        fn read(&self) -> AccountFile {
            let root = fs::File::open(&self.0).unwrap();
            read(&HostProc::open().unwrap(), root.as_fd(), "passwd")
        }

        fn why(&self) -> String {
            match self.read() {
                AccountFile::Unusable(why) => why,
                other => panic!("{other:?}"),
            }
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn reads_a_regular_file_also_through_a_link_within_the_root() {
        let root = Root::new("plain");
        fs::write(root.0.join("etc/real"), "root:x:0:0").unwrap();
        symlink("/etc/real", root.0.join("etc/passwd")).unwrap();
        assert_eq!(root.read(), AccountFile::Read(b"root:x:0:0".to_vec()));
    }

    #[test]
    fn a_link_out_of_the_root_stays_inside() {
        let root = Root::new("link");
        symlink("../../../../../../etc/passwd", root.0.join("etc/passwd")).unwrap();
        assert!(root.why().contains("cannot be opened"), "{}", root.why());
        fs::remove_file(root.0.join("etc/passwd")).unwrap();
        symlink("/proc/self/root/etc/hostname", root.0.join("etc/passwd")).unwrap();
        assert_eq!(root.why(), "it has no /etc/passwd");
    }

    #[test]
    fn a_fifo_a_directory_and_a_giant_are_refused_at_once() {
        let root = Root::new("odd");
        let passwd = root.0.join("etc/passwd");
        nix::unistd::mkfifo(&passwd, Mode::S_IRWXU).unwrap();
        assert_eq!(root.why(), "its /etc/passwd is not a regular file");
        fs::remove_file(&passwd).unwrap();
        fs::create_dir(&passwd).unwrap();
        assert_eq!(root.why(), "its /etc/passwd is not a regular file");
        fs::remove_dir(&passwd).unwrap();
        fs::File::create(&passwd).unwrap().set_len(1 << 30).unwrap();
        assert_eq!(root.why(), "its /etc/passwd is larger than 10 MiB");
    }
}
