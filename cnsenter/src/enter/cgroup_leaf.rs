//! A cgroup without others below it, by which everything it starts can be ended.
//!
//! Killing a process ends that process; what it forked twice lives on. A cgroup holds all of them:
//! v2 has `cgroup.kill` (cgroups v2, Linux 5.14), v1 its freezer (cgroups(7)).

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{Pid, UnlinkatFlags, unlinkat};

/// How long killed processes may take to be gone before their cgroup is left behind.
const REMOVAL_LIMIT: Duration = Duration::from_secs(2);

pub(super) const DIRECTORY: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_CLOEXEC);
pub(super) const WRITE: OFlag = OFlag::O_WRONLY.union(OFlag::O_CLOEXEC);

pub(super) fn write_pid(procs: BorrowedFd<'_>, pid: Pid) -> io::Result<()> {
    nix::unistd::write(procs, pid.as_raw().to_string().as_bytes())?;
    Ok(())
}

/// Where a leaf may be made, and what it is called there.
#[derive(Debug)]
pub(super) struct Site {
    parent: OwnedFd,
    name: String,
    v2: bool,
}

impl Site {
    pub(super) fn below(group: &Path, v2: bool) -> io::Result<Self> {
        let since_boot = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?;
        Ok(Self {
            parent: open(group, DIRECTORY, Mode::empty())?,
            name: format!(
                "cnsenter-{}-{}{:09}",
                std::process::id(),
                since_boot.tv_sec(),
                since_boot.tv_nsec()
            ),
            v2,
        })
    }

    pub(super) fn make(&self) -> io::Result<Leaf> {
        let parent = self.parent.try_clone()?;
        mkdirat(&parent, self.name.as_str(), Mode::S_IRWXU)?;
        self.find().inspect_err(|_| {
            let _ = unlinkat(&parent, self.name.as_str(), UnlinkatFlags::RemoveDir);
        })
    }

    /// The leaf, if it was made.
    ///
    /// # Errors
    /// ENOENT if it was not, or is gone.
    pub(super) fn find(&self) -> io::Result<Leaf> {
        Ok(Leaf {
            dir: openat(&self.parent, self.name.as_str(), DIRECTORY, Mode::empty())?,
            parent: self.parent.try_clone()?,
            name: self.name.clone(),
            v2: self.v2,
        })
    }
}

impl AsFd for Site {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.parent.as_fd()
    }
}

/// A cgroup that holds the command and all it starts, and nothing else.
#[derive(Debug)]
pub struct Leaf {
    parent: OwnedFd,
    name: String,
    dir: OwnedFd,
    v2: bool,
}

impl Leaf {
    /// Its name, below the group that it is in.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directory into which clone3(2) can put a child; None with v1.
    #[must_use]
    pub(super) fn birthplace(&self) -> Option<BorrowedFd<'_>> {
        self.v2.then_some(self.dir.as_fd())
    }

    pub(super) fn admit(&self, pid: Pid) -> io::Result<()> {
        self.write("cgroup.procs", &pid.as_raw().to_string())
    }

    pub(super) fn write(&self, file: &str, text: &str) -> io::Result<()> {
        write_in(self.dir.as_fd(), file, text)
    }

    pub(super) fn read(&self, file: &str) -> io::Result<String> {
        read_in(self.dir.as_fd(), file)
    }

    /// Kills every process in it, those that fork meanwhile included, and waits until they are
    /// gone, but not for longer than two seconds: some cannot be killed (state D, proc(5)).
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn kill(&self) -> io::Result<()> {
        let deadline = Instant::now() + REMOVAL_LIMIT;
        loop {
            self.kill_once()?;
            if self.processes()?.is_empty() || Instant::now() >= deadline {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn kill_once(&self) -> io::Result<()> {
        if self.v2 {
            match self.write("cgroup.kill", "1") {
                // Before Linux 5.14.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                other => return other,
            }
        }
        let (file, frozen, thawed) = if self.v2 {
            ("cgroup.freeze", "1", "0")
        } else {
            ("freezer.state", "FROZEN", "THAWED")
        };
        // Frozen, they cannot fork faster than we kill, except those that have yet to freeze: the
        // next round is for what these forked. The signal takes effect as they thaw.
        let froze = self.write(file, frozen);
        let killed = self.kill_each();
        froze.and(self.write(file, thawed)).and(killed)
    }

    fn kill_each(&self) -> io::Result<()> {
        for pid in self.processes()? {
            match kill(pid, Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn processes(&self) -> io::Result<Vec<Pid>> {
        pids_in(self.dir.as_fd())
    }

    /// Removes it. Processes that are still in it, which the command left in the background, move
    /// to the group above.
    ///
    /// # Errors
    /// When it cannot be emptied within two seconds.
    pub fn remove(&self) -> io::Result<()> {
        let deadline = Instant::now() + REMOVAL_LIMIT;
        loop {
            match unlinkat(&self.parent, self.name.as_str(), UnlinkatFlags::RemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => return Ok(()),
                Err(Errno::EBUSY) if Instant::now() < deadline => {}
                Err(e) => return Err(e.into()),
            }
            if !self.evacuate(self.dir.as_fd())? {
                // Those that were killed are still on their way out.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Moves everybody out and removes the groups below; says whether anything was done.
    fn evacuate(&self, dir: BorrowedFd<'_>) -> io::Result<bool> {
        let mut done = false;
        for pid in pids_in(dir)? {
            done |= write_in(self.parent.as_fd(), "cgroup.procs", &pid.to_string()).is_ok();
        }
        for entry in Dir::openat(dir, ".", DIRECTORY, Mode::empty())?
            .iter()
            .flatten()
        {
            let name = entry.file_name();
            let is_group = entry.file_type() == Some(nix::dir::Type::Directory);
            if is_group && !name.to_bytes().starts_with(b".") {
                let below = openat(dir, name, DIRECTORY, Mode::empty())?;
                self.evacuate(below.as_fd())?;
                done |= unlinkat(dir, name, UnlinkatFlags::RemoveDir).is_ok();
            }
        }
        Ok(done)
    }
}

fn write_in(dir: BorrowedFd<'_>, file: &str, text: &str) -> io::Result<()> {
    let fd = openat(dir, file, WRITE, Mode::empty())?;
    std::fs::File::from(fd).write_all(text.as_bytes())
}

fn read_in(dir: BorrowedFd<'_>, file: &str) -> io::Result<String> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let fd = openat(dir, file, flags, Mode::empty())?;
    io::read_to_string(std::fs::File::from(fd))
}

fn pids_in(dir: BorrowedFd<'_>) -> io::Result<Vec<Pid>> {
    let text = read_in(dir, "cgroup.procs")?;
    // 0 stands for a process of another PID namespace, which nobody could name.
    Ok(text
        .lines()
        .filter_map(|l| l.parse().ok())
        .filter(|p| *p > 0)
        .map(Pid::from_raw)
        .collect())
}
