//! Reading files of runtimes only where nobody else could have written them.
//!
//! A state file names the process that is entered as root. It is believed only if root (or, for a
//! rootless runtime, the user whose it is) owns it and every folder above it, and nobody else may
//! write any of them: a sticky folder such as /tmp does not qualify, since whoever comes first
//! makes the name there.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{self, OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

use crate::escape::escaped_path;

/// How many symbolic links are followed in one path.
const MAX_LINKS: usize = 8;

/// The least that is read at once in a hurry, in bytes: more than the spec of most containers.
const BUFFER: usize = 64 << 10;

/// Why a state file is not used. Paths are the node's, without `--host-root`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It, or a folder above it, is not there.
    #[error("{} does not exist", escaped_path(.0))]
    Missing(PathBuf),
    /// Somebody could have forged it.
    #[error("{} is not believed: {why}", escaped_path(.path))]
    Untrusted {
        /// What could have been written by somebody else.
        path: PathBuf,
        /// Its owner or mode.
        why: String,
    },
    /// It cannot be read.
    #[error("cannot read {}", escaped_path(.path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It does not hold what its runtime writes there.
    #[error("{} does not hold {what}", escaped_path(.path))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What should be there.
        what: &'static str,
    },
}

impl Error {
    fn of(path: PathBuf, error: nix::Error) -> Self {
        match error {
            nix::Error::ENOENT | nix::Error::ENOTDIR => Self::Missing(path),
            other => Self::Io {
                path,
                source: other.into(),
            },
        }
    }

    /// Whether it is only that there is nothing.
    #[must_use]
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Missing(_))
    }
}

/// The node's root file system.
#[derive(Debug)]
pub(super) struct Root {
    fd: OwnedFd,
    /// Whether it is our own as well, so that the kernel follows links in it as we do.
    own: bool,
}

/// A folder that only root and its owner may write, as may be every folder above it.
#[derive(Debug)]
pub(super) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
    owner: u32,
}

/// A file that was read from such a folder.
#[derive(Debug)]
pub(super) struct File {
    /// All of it.
    pub(super) bytes: Vec<u8>,
    /// When it was written, in seconds since the epoch.
    pub(super) modified: i64,
}

impl Root {
    /// Opens `--host-root`.
    ///
    /// # Errors
    /// As open(2).
    pub(super) fn open(host_root: &Path) -> Result<Self, Error> {
        fcntl::open(host_root, dir_flags(), Mode::empty())
            .map(|fd| Self {
                fd,
                own: host_root == Path::new("/"),
            })
            .map_err(|e| Error::of(host_root.to_owned(), e))
    }

    /// Opens a folder of the node by its absolute path; `owner` is the one user who is believed
    /// besides root. Symbolic links are followed where they are as safe as folders.
    ///
    /// # Errors
    /// [`Error::Missing`], or [`Error::Untrusted`] for the first folder that is not safe.
    pub(super) fn dir(&self, path: &Path, owner: u32) -> Result<Dir, Error> {
        // Most of the places that are tried are not there: one call tells.
        if self.own && nix::unistd::access(path, nix::unistd::AccessFlags::F_OK).is_err() {
            return Err(Error::Missing(path.to_owned()));
        }
        let mut wanted = path.to_owned();
        for _ in 0..=MAX_LINKS {
            match self.walk(&wanted, owner)? {
                Walked::Dir(dir) => return Ok(dir),
                Walked::Link(instead) => wanted = instead,
            }
        }
        Err(Error::Untrusted {
            path: path.to_owned(),
            why: format!("more than {MAX_LINKS} symbolic links"),
        })
    }

    /// Goes down to `path`, or to the first symbolic link on the way, which it replaces.
    fn walk(&self, path: &Path, owner: u32) -> Result<Walked, Error> {
        let mut fd = self.fd.try_clone().map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })?;
        let mut at = PathBuf::from("/");
        check(&at, &stat(&fd, &at)?, owner)?;
        let mut names = path.components().filter_map(|c| match c {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        while let Some(name) = names.next() {
            let next = at.join(name);
            let below = open_at(&fd, name, OFlag::O_PATH, &next)?;
            let stat = stat(&below, &next)?;
            if kind(&stat) == SFlag::S_IFLNK {
                check_owner(&next, &stat, owner)?;
                let target = fcntl::readlinkat(&fd, name).map_err(|e| Error::of(next, e))?;
                let rest: PathBuf = names.collect();
                return Ok(Walked::Link(normal(&at.join(target).join(rest))));
            }
            if kind(&stat) != SFlag::S_IFDIR {
                return Err(Error::Missing(next));
            }
            check(&next, &stat, owner)?;
            (fd, at) = (below, next);
        }
        Ok(Walked::Dir(Dir {
            fd,
            path: at,
            owner,
        }))
    }
}

enum Walked {
    Dir(Dir),
    Link(PathBuf),
}

impl Dir {
    /// Where it is on the node, without symbolic links.
    #[must_use]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A folder below.
    ///
    /// # Errors
    /// As [`Root::dir`]; a symbolic link is never followed here.
    pub(super) fn dir(&self, name: &str) -> Result<Self, Error> {
        let path = self.path.join(name);
        let fd = open_at(&self.fd, OsStr::new(name), OFlag::O_PATH, &path)?;
        let stat = stat(&fd, &path)?;
        if kind(&stat) != SFlag::S_IFDIR {
            return Err(Error::Missing(path));
        }
        check(&path, &stat, self.owner)?;
        Ok(Self {
            fd,
            path,
            owner: self.owner,
        })
    }

    /// Reads a file whole: a regular one (a FIFO never blocks us), and never more than `limit`
    /// bytes of it.
    ///
    /// # Errors
    /// As [`Root::dir`], or [`Error::Malformed`] when it is no regular file or too large.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<File, Error> {
        let path = self.path.join(name);
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let fd = open_at(&self.fd, OsStr::new(name), flags, &path)?;
        let stat = stat(&fd, &path)?;
        if kind(&stat) != SFlag::S_IFREG {
            return Err(Error::Malformed {
                path,
                what: "anything: it is no regular file",
            });
        }
        check(&path, &stat, self.owner)?;
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > limit {
            return Err(Error::Malformed {
                path,
                what: "anything that is read: it is too large",
            });
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        match read_up_to(&mut std::fs::File::from(fd), &mut bytes) {
            Ok(n) => bytes.truncate(n),
            Err(source) => return Err(Error::Io { path, source }),
        }
        Ok(File {
            bytes,
            modified: stat.st_mtime,
        })
    }

    /// Reads the file at a path below into `buffer`, to see in a hurry whether it is worth
    /// [`Dir::read`]: nothing is checked but that no symbolic link leads elsewhere, so nothing of it
    /// is to be believed. Gives at most `limit` bytes, and none at all of what cannot be read.
    pub(super) fn glance<'b>(&self, path: &str, limit: u64, buffer: &'b mut Vec<u8>) -> &'b [u8] {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let how = OpenHow::new()
            .flags(flags)
            .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
        let length = match fcntl::openat2(&self.fd, path, how) {
            Ok(fd) => read_growing(&fd, limit, buffer),
            // Linux before 5.6.
            Err(nix::Error::ENOSYS) => self.read_below(path, limit, buffer),
            Err(error) => Err(error.into()),
        };
        &buffer[..length.unwrap_or(0)]
    }

    fn read_below(&self, path: &str, limit: u64, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut dir = None;
        for folder in folders.split('/').filter(|name| !name.is_empty()) {
            let below = dir.as_ref().unwrap_or(self).dir(folder);
            dir = Some(below.map_err(io::Error::other)?);
        }
        let file = dir.as_ref().unwrap_or(self).read(name, limit);
        *buffer = file.map_err(io::Error::other)?.bytes;
        Ok(buffer.len())
    }

    /// Whether something of that name is there.
    #[must_use]
    pub(super) fn has(&self, name: &str) -> bool {
        nix::sys::stat::fstatat(&self.fd, name, fcntl::AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
    }

    /// The names in it that are text, hidden ones left out.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn names(&self) -> Result<Vec<String>, Error> {
        let mut dir = nix::dir::Dir::openat(&self.fd, ".", dir_flags(), Mode::empty())
            .map_err(|e| Error::of(self.path.clone(), e))?;
        Ok(dir
            .iter()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned))
            .filter(|name| !name.starts_with('.'))
            .collect())
    }
}

/// Reads a file whole, into a buffer that keeps its size from file to file; says how much of it is
/// used. A read that does not fill it was the last one, as with every file on disk.
fn read_growing(fd: &OwnedFd, limit: u64, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut length = 0;
    loop {
        if length == buffer.len() {
            buffer.resize((2 * length).clamp(BUFFER, limit.max(BUFFER)), 0);
        }
        let read = nix::unistd::read(fd, &mut buffer[length..])?;
        length += read;
        if length < buffer.len() || length >= limit {
            return Ok(length.min(limit));
        }
    }
}

/// Fills `bytes`, or less if the file has shrunk meanwhile.
fn read_up_to(file: &mut std::fs::File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < bytes.len() {
        match file.read(&mut bytes[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(n)
}

fn dir_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC
}

fn open_at(dir: &OwnedFd, name: &OsStr, flags: OFlag, path: &Path) -> Result<OwnedFd, Error> {
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    fcntl::openat(dir, name, flags, Mode::empty()).map_err(|e| match e {
        nix::Error::ELOOP => Error::Untrusted {
            path: path.to_owned(),
            why: "it is a symbolic link".into(),
        },
        other => Error::of(path.to_owned(), other),
    })
}

fn stat(fd: &OwnedFd, path: &Path) -> Result<FileStat, Error> {
    fstat(fd).map_err(|e| Error::of(path.to_owned(), e))
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

fn check(path: &Path, stat: &FileStat, owner: u32) -> Result<(), Error> {
    check_owner(path, stat, owner)?;
    if stat.st_mode & 0o022 != 0 {
        return Err(Error::Untrusted {
            path: path.to_owned(),
            why: format!(
                "others than its owner may write it (mode {:04o})",
                stat.st_mode & 0o7777
            ),
        });
    }
    Ok(())
}

fn check_owner(path: &Path, stat: &FileStat, owner: u32) -> Result<(), Error> {
    if stat.st_uid == 0 || stat.st_uid == owner {
        return Ok(());
    }
    let wanted = match owner {
        0 => "root".to_owned(),
        uid => format!("uid {uid}"),
    };
    Err(Error::Untrusted {
        path: path.to_owned(),
        why: format!("uid {} owns it, not {wanted}", stat.st_uid),
    })
}

/// Takes `.` and `..` out of an absolute path whose folders so far are no symbolic links.
fn normal(path: &Path) -> PathBuf {
    let mut out: Vec<OsString> = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name.to_owned()),
            Component::ParentDir => {
                out.pop();
            }
            _ => {}
        }
    }
    let mut whole = PathBuf::from("/");
    whole.extend(out.iter().map(|n| OsStr::from_bytes(n.as_bytes())));
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    fn tree() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("run/state/abc")).unwrap();
        fs::write(dir.path().join("run/state/abc/init.pid"), "42").unwrap();
        let root = Root::open(dir.path()).unwrap();
        (dir, root)
    }

    fn read(root: &Root, owner: u32) -> Result<Vec<u8>, Error> {
        let file = root
            .dir(Path::new("/run/state"), owner)?
            .dir("abc")?
            .read("init.pid", 16)?;
        Ok(file.bytes)
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn reads_what_only_root_can_write() {
        let (_dir, root) = tree();
        assert_eq!(read(&root, 0).unwrap(), b"42");
    }

    #[test]
    fn refuses_what_others_may_write_at_every_level() {
        for (path, bits) in [
            ("run", 0o777),
            ("run", 0o1777),
            ("run/state", 0o775),
            ("run/state/abc", 0o757),
            ("run/state/abc/init.pid", 0o666),
        ] {
            let (dir, root) = tree();
            mode(&dir.path().join(path), bits);
            let e = read(&root, 0).unwrap_err();
            assert!(matches!(e, Error::Untrusted { .. }), "{path} {bits:o}: {e}");
        }
    }

    #[test]
    fn refuses_another_owner_at_every_level() {
        for path in [
            "run",
            "run/state",
            "run/state/abc",
            "run/state/abc/init.pid",
        ] {
            let (dir, root) = tree();
            chown(dir.path().join(path), Some(1000), None).unwrap();
            let e = read(&root, 0).unwrap_err();
            assert!(matches!(e, Error::Untrusted { .. }), "{path}: {e}");
            assert_eq!(read(&root, 1000).unwrap(), b"42", "{path}");
            assert!(read(&root, 1001).is_err(), "{path}");
        }
    }

    #[test]
    fn follows_roots_links_to_folders_and_no_others() {
        let (dir, root) = tree();
        fs::create_dir(dir.path().join("var")).unwrap();
        symlink("../run/./state", dir.path().join("var/state")).unwrap();
        symlink("/run/state", dir.path().join("abs")).unwrap();
        for path in ["/var/state", "/abs"] {
            let found = root.dir(Path::new(path), 0).unwrap();
            assert_eq!(found.path(), Path::new("/run/state"));
        }
        std::os::unix::fs::lchown(dir.path().join("abs"), Some(1000), None).unwrap();
        assert!(root.dir(Path::new("/abs"), 0).is_err());
        symlink("loop", dir.path().join("loop")).unwrap();
        assert!(root.dir(Path::new("/loop"), 0).is_err());
        symlink("init.pid", dir.path().join("run/state/abc/other.pid")).unwrap();
        let abc = root.dir(Path::new("/run/state/abc"), 0).unwrap();
        assert!(matches!(
            abc.read("other.pid", 16),
            Err(Error::Untrusted { .. })
        ));
    }

    #[test]
    fn neither_waits_for_a_fifo_nor_reads_without_bound() {
        let (dir, root) = tree();
        let abc = dir.path().join("run/state/abc");
        nix::unistd::mkfifo(&abc.join("fifo"), Mode::from_bits_truncate(0o600)).unwrap();
        fs::write(abc.join("big"), vec![b'x'; 17]).unwrap();
        let trusted = root.dir(Path::new("/run/state/abc"), 0).unwrap();
        assert!(matches!(
            trusted.read("fifo", 16),
            Err(Error::Malformed { .. })
        ));
        assert!(matches!(
            trusted.read("big", 16),
            Err(Error::Malformed { .. })
        ));
        assert!(trusted.read("missing", 16).unwrap_err().is_missing());
    }
}
