//! The node's own /proc, opened once and checked.
//!
//! Everything that is believed about a target is read through this directory: a container's own
//! /proc may be anything its image likes (CVE-2019-16884, CVE-2025-52881).

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{self, OFlag};
use nix::sys::stat::Mode;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::unistd::Pid;

/// The most that is read from one file of /proc unless the caller says otherwise, in bytes.
const READ_LIMIT: u64 = 16 << 20;

/// What is wrong with this node's /proc.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No directory there, or no right to open it.
    #[error("cannot open /proc; mount it first: mount -t proc proc /proc")]
    Open(#[source] io::Error),
    /// Something else is mounted there.
    #[error("/proc is not a proc file system; mount it first: mount -t proc proc /proc")]
    NotProc,
    /// Its /proc/self is not us.
    #[error(
        "/proc belongs to another PID namespace (it knows this process as {known:?}, which is {real}); \
         run cnsenter where /proc is its own, in a pod with hostPID: true"
    )]
    OtherPidNamespace {
        /// What /proc/self says.
        known: String,
        /// Our own PID.
        real: i32,
    },
    /// The process is gone, or hidden from us.
    #[error("no process {0} in /proc: it has ended, or /proc is mounted with hidepid")]
    NoProcess(i32),
    /// A file of a process could not be read.
    #[error("cannot read /proc/{pid}/{name}")]
    Read {
        /// The process.
        pid: i32,
        /// The file below its directory.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A file of a process did not look as proc(5) says.
    #[error("/proc/{pid}/{name} does not look as proc(5) says")]
    Parse {
        /// The process.
        pid: i32,
        /// The file below its directory.
        name: &'static str,
    },
}

/// The root of the node's /proc.
#[derive(Debug)]
pub struct HostProc {
    dir: OwnedFd,
}

impl HostProc {
    /// Opens /proc and checks that it is a proc file system of our own PID namespace (proc(5)).
    ///
    /// # Errors
    /// When /proc is missing, something else, or another PID namespace's.
    pub fn open() -> Result<Self, Error> {
        let dir = fcntl::open(
            "/proc",
            OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )
        .map_err(|e| Error::Open(e.into()))?;
        match fstatfs(&dir) {
            Ok(s) if s.filesystem_type() == PROC_SUPER_MAGIC => {}
            Ok(_) => return Err(Error::NotProc),
            Err(e) => return Err(Error::Open(e.into())),
        }
        let real = Pid::this().as_raw();
        let known = fcntl::readlinkat(&dir, "self")
            .map(|s| s.to_string_lossy().into_owned())
            .unwrap_or_default();
        if known != real.to_string() {
            return Err(Error::OtherPidNamespace { known, real });
        }
        Ok(Self { dir })
    }

    /// A process of this /proc. The directory stays bound to that very process: once it has
    /// ended, reads fail, whoever has its PID then.
    ///
    /// # Errors
    /// When there is no such process, or it is hidden from us.
    pub fn process(&self, pid: Pid) -> Result<Process, Error> {
        let dir = fcntl::openat(
            &self.dir,
            pid.as_raw().to_string().as_str(),
            OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )
        .map_err(|_| Error::NoProcess(pid.as_raw()))?;
        Ok(Process { pid, dir })
    }

    /// Ourselves.
    ///
    /// # Errors
    /// As [`HostProc::process`].
    pub fn own(&self) -> Result<Process, Error> {
        self.process(Pid::this())
    }

    /// Every process there is now, in the order of the directory.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn pids(&self) -> Result<Vec<Pid>, Error> {
        let open = |e: nix::Error| Error::Open(e.into());
        let mut dir = nix::dir::Dir::openat(
            &self.dir,
            ".",
            OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )
        .map_err(open)?;
        Ok(dir
            .iter()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str().ok()?.parse().ok())
            .map(Pid::from_raw)
            .collect())
    }

    /// Reads a small file of the root of /proc, such as `sys/kernel/cap_last_cap`.
    ///
    /// # Errors
    /// As read(2).
    pub fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        read_at(self.dir.as_fd(), name)
    }
}

impl AsFd for HostProc {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// One process, by its directory in the node's /proc.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    dir: OwnedFd,
}

/// A namespace's identity: its inode number. All namespaces are in the kernel's one nsfs, so two
/// processes share one if these are equal (namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NsId(pub u64);

impl NsId {
    /// The node's own user namespace, in which every ID is itself: its number is fixed
    /// (PROC_USER_INIT_INO of Linux's proc_ns.h).
    pub const NODE_USER: Self = Self(0xeffffffd);

    /// From what the link says: `net:[4026531840]`. Following it instead costs four times as much.
    fn parse(link: &std::ffi::OsStr) -> Option<Self> {
        let (_, inode) = link.to_str()?.split_once(":[")?;
        inode.strip_suffix(']')?.parse().ok().map(Self)
    }
}

impl Process {
    /// Its PID in our own PID namespace.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Reads one of its files whole, such as `status` or `cgroup`.
    ///
    /// # Errors
    /// [`Error::NoProcess`] once the process has ended, else [`Error::Read`].
    pub fn read(&self, name: &'static str) -> Result<Vec<u8>, Error> {
        read_at(self.dir.as_fd(), name).map_err(|e| self.error(name, e))
    }

    /// Its /proc/PID/status.
    ///
    /// # Errors
    /// As [`Process::read`].
    pub fn status(&self) -> Result<Status, Error> {
        self.read("status")
            .map(|bytes| Status(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// When it started, in clock ticks since boot: with the PID, what tells it from a later
    /// process of the same PID (field 22 of /proc/PID/stat).
    ///
    /// # Errors
    /// As [`Process::read`], or [`Error::Parse`].
    pub fn start_time(&self) -> Result<u64, Error> {
        let stat = self.read("stat")?;
        let parse = || -> Option<u64> {
            // The name in field 2 may hold anything, ")" as well: count from the last one.
            let rest = &stat[stat.iter().rposition(|b| *b == b')')? + 1..];
            std::str::from_utf8(rest)
                .ok()?
                .split_ascii_whitespace()
                .nth(19)?
                .parse()
                .ok()
        };
        parse().ok_or(Error::Parse {
            pid: self.pid.as_raw(),
            name: "stat",
        })
    }

    /// Which namespace it is in; `name` as in /proc/PID/ns. None if this kernel has no such kind.
    ///
    /// # Errors
    /// As [`Process::read`].
    pub fn namespace(&self, name: &'static str) -> Result<Option<NsId>, Error> {
        match fcntl::readlinkat(&self.dir, name) {
            Ok(link) => NsId::parse(&link).map(Some).ok_or(Error::Parse {
                pid: self.pid.as_raw(),
                name,
            }),
            Err(nix::Error::ENOENT) if self.is_alive() => Ok(None),
            Err(e) => Err(self.error(name, e.into())),
        }
    }

    /// Opens one of its files, directories or magic links.
    ///
    /// # Errors
    /// As [`Process::read`].
    pub fn open(&self, name: &'static str, flags: OFlag) -> Result<OwnedFd, Error> {
        fcntl::openat(&self.dir, name, flags | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(|e| self.error(name, e.into()))
    }

    /// What one of its magic links says, such as `exe`.
    ///
    /// # Errors
    /// As [`Process::read`].
    pub fn read_link(&self, name: &'static str) -> Result<std::ffi::OsString, Error> {
        fcntl::readlinkat(&self.dir, name).map_err(|e| self.error(name, e.into()))
    }

    /// Whether it has not ended (a zombie has).
    #[must_use]
    pub fn is_alive(&self) -> bool {
        read_at(self.dir.as_fd(), "stat").is_ok_and(|stat| {
            stat.iter()
                .rposition(|b| *b == b')')
                .and_then(|i| stat.get(i + 2))
                .is_some_and(|state| !matches!(state, b'Z' | b'X' | b'x'))
        })
    }

    /// Whether it has ended, or is about to: an init that ends first takes its PID namespace down.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        /// PF_EXITING of the kernel's flags, field 9 of /proc/PID/stat.
        const EXITING: u64 = 4;
        let Ok(stat) = self.read("stat") else {
            return true;
        };
        let flags = stat.iter().rposition(|b| *b == b')').and_then(|end| {
            let fields = std::str::from_utf8(stat.get(end + 2..)?).ok()?;
            fields.split(' ').nth(6)?.parse::<u64>().ok()
        });
        flags.is_some_and(|flags| flags & EXITING != 0)
    }

    fn error(&self, name: &'static str, source: io::Error) -> Error {
        match source.raw_os_error() {
            Some(libc::ESRCH | libc::ENOENT) => Error::NoProcess(self.pid.as_raw()),
            _ => Error::Read {
                pid: self.pid.as_raw(),
                name,
                source,
            },
        }
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// The fields of /proc/PID/status (proc(5)).
#[derive(Debug, Clone)]
pub struct Status(String);

impl Status {
    /// A field's value, such as that of `CapEff`.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.0
            .lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    }

    /// A field that is one mask in hexadecimal, such as `CapBnd` or `SigIgn`.
    #[must_use]
    pub fn mask(&self, name: &str) -> Option<u64> {
        u64::from_str_radix(self.field(name)?, 16).ok()
    }

    /// A field that is a list of numbers, such as `Uid` or `Groups`; anything else is left out.
    #[must_use]
    pub fn numbers(&self, name: &str) -> Vec<u32> {
        let words = self
            .field(name)
            .unwrap_or_default()
            .split_ascii_whitespace();
        words.filter_map(|n| n.parse().ok()).collect()
    }
}

fn read_at(dir: BorrowedFd<'_>, name: &str) -> io::Result<Vec<u8>> {
    let fd = fcntl::openat(dir, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::with_capacity(4096);
    std::fs::File::from(fd)
        .take(READ_LIMIT)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_ourselves() {
        let proc = HostProc::open().unwrap();
        let own = proc.own().unwrap();
        assert!(own.is_alive() && !own.is_ending());
        assert!(own.start_time().unwrap() > 0);
        assert!(own.namespace("ns/mnt").unwrap().is_some());
        assert!(own.namespace("ns/nonsense").unwrap().is_none());
        assert!(proc.pids().unwrap().contains(&Pid::this()));
    }

    #[test]
    fn status_fields_are_found_by_whole_name() {
        let status =
            Status("Name:\tGroups: 1\nGroups:\t1 2 \nCapEff:\t000001ff\nNoNewPrivs:\t1\n".into());
        assert_eq!(status.numbers("Groups"), [1, 2]);
        assert_eq!(status.mask("CapEff"), Some(0x1ff));
        assert_eq!(status.field("NoNewPrivs"), Some("1"));
        assert_eq!(status.field("Seccomp"), None);
    }

    #[test]
    fn namespaces_are_known_by_their_inodes() {
        let own = HostProc::open().unwrap().own().unwrap();
        let inode = nix::sys::stat::stat("/proc/self/ns/net").unwrap().st_ino;
        assert_eq!(own.namespace("ns/net").unwrap(), Some(NsId(inode)));
        for odd in ["", "net:", "net:[", "net:[]", "net:[4", "net:[-4]", "/etc"] {
            assert_eq!(NsId::parse(odd.as_ref()), None, "{odd}");
        }
    }

    #[test]
    fn an_ended_process_is_told_from_a_missing_file() {
        let proc = HostProc::open().unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let process = proc
            .process(Pid::from_raw(child.id().cast_signed()))
            .unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!process.is_alive());
        assert!(matches!(process.read("status"), Err(Error::NoProcess(_))));
        assert!(matches!(
            process.namespace("ns/mnt"),
            Err(Error::NoProcess(_))
        ));
    }
}
