//! The two processes that enter: the intermediate, and the command up to its exec.
//!
//! Each step says whether its failure is fatal. Those that change what the command may do are;
//! what only makes it less comfortable, or leaves it weaker, is not.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::sys::signal::{SigmaskHow, Signal, pthread_sigmask};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{
    Gid, Uid, chdir, chroot, dup2_stderr, dup2_stdin, dup2_stdout, fchdir, getcwd, read, setgroups,
    setresgid, setresuid, setsid, write,
};

use super::NODES_INIT;
use super::exec::CommandLine;
use super::message::{Channel, Failure, Message, Step};
use super::stdio::{self, Stdio};
use super::target::Target;
use crate::hostproc::{HostProc, Process};
use crate::plan::{Plan, TerminalKind};
use crate::request::Namespace;
use crate::supervise::Signals;
use crate::sys::process::{self, Fork, exit_now, fork_sibling};
use crate::sys::pty;

/// What both need; all of it made before the first fork.
pub(super) struct Entrance<'a> {
    pub(super) proc: &'a HostProc,
    pub(super) target: &'a Target,
    pub(super) plan: &'a Plan,
    pub(super) command: &'a CommandLine,
    pub(super) signals: &'a Signals,
    /// The command's streams; None if its terminal is the target's and yet to be made.
    pub(super) stdio: Option<Stdio>,
    /// The master side of a terminal of the target's, once it is made.
    pub(super) master: Option<OwnedFd>,
    pub(super) channel: Channel,
}

/// A failed step.
struct Stop(Failure);

trait At<T> {
    fn at(self, step: Step) -> Result<T, Stop>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Result<T, Stop> {
        self.map_err(|e| {
            let error: io::Error = e.into();
            let errno = error.raw_os_error().unwrap_or(0);
            // An error of our own has words instead of a number.
            let detail = if errno == 0 {
                format!(": {error}")
            } else {
                String::new()
            };
            Stop(Failure {
                step,
                errno,
                detail,
                exec: None,
            })
        })
    }
}

impl Entrance<'_> {
    /// The intermediate: joins the namespaces, opens the terminal, forks the command, leaves.
    pub(super) fn enter(mut self) -> ! {
        if let Err(Stop(failure)) = self.join_and_fork() {
            let _ = self.channel.send(&Message::Failed(failure), None);
        }
        exit_now(0);
    }

    fn join_and_fork(&mut self) -> Result<(), Stop> {
        self.prepare()?;
        self.join_node()?;
        self.join()?;
        if let Some((uid, gid)) = self.plan.identity.first {
            // In a user namespace our own IDs do not exist.
            become_ids(uid, gid).at(Step::BecomeRoot)?;
            guard_ourselves().at(Step::BecomeRoot)?;
        }
        if self.plan.joins(Namespace::Mount) {
            // The namespace's root is not the container's after chroot(2) or with no_pivot.
            fchdir(&self.target.root).at(Step::Root)?;
            chroot(".").at(Step::Root)?;
        }
        self.open_terminal()?;
        if self.plan.unconfined {
            self.leave_confinement().at(Step::Label)?;
        }
        self.keep_what_is_the_commands().at(Step::Prepare)?;
        match fork_sibling().at(Step::Fork)? {
            Fork::Child => self.be_the_command(),
            Fork::Parent(_) => Ok(()),
        }
    }

    fn prepare(&self) -> Result<(), Stop> {
        guard_ourselves().at(Step::Prepare)?;
        if let Some(adj) = self.plan.oom_score_adj {
            // Lowering it takes CAP_SYS_RESOURCE; the command is then merely killed earlier.
            let _ = self.write_own("oom_score_adj", adj.to_string().as_bytes());
        }
        setgroups(&[]).at(Step::Prepare)?;
        match process::join_new_session_keyring() {
            // A kernel without keys has none to leak; Docker's filter denies the call.
            Err(e) if !matches!(e.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                Err(e).at(Step::Prepare)
            }
            _ => Ok(()),
        }
    }

    /// What is not the target's is the node's.
    fn join_node(&self) -> Result<(), Stop> {
        if self.plan.join_node.is_empty() {
            return Ok(());
        }
        let init = self.proc.process(NODES_INIT).map_err(io::Error::other);
        let init = init.at(Step::JoinNode)?;
        let root = openat(
            &init,
            "root",
            OFlag::O_PATH | OFlag::O_CLOEXEC,
            Mode::empty(),
        );
        let root = root.at(Step::JoinNode)?;
        let wanted = self.plan.join_node.iter().map(|(ns, _)| *ns);
        join_each(&init, wanted).at(Step::JoinNode)?;
        if self.plan.joins_node(Namespace::Mount) {
            fchdir(&root).at(Step::JoinNode)?;
            chroot(".").at(Step::JoinNode)?;
        }
        Ok(())
    }

    /// All at once, so that nothing is half joined; one by one before Linux 5.8.
    fn join(&self) -> Result<(), Stop> {
        let flags = self.plan.join.iter().map(|(ns, _)| clone_flag(*ns));
        let flags = flags.fold(CloneFlags::empty(), CloneFlags::union);
        if flags.is_empty() {
            return Ok(());
        }
        match self.target.pidfd.as_ref().map(|pidfd| setns(pidfd, flags)) {
            Some(Ok(())) => return Ok(()),
            Some(Err(Errno::EINVAL)) | None => {}
            Some(Err(e)) => return Err(e).at(Step::Join),
        }
        let wanted = self.plan.join.iter().map(|(ns, _)| *ns);
        join_each(&self.target.process, wanted).at(Step::Join)
    }

    /// Makes the terminal, if it comes from the devpts that is now ours.
    fn open_terminal(&mut self) -> Result<(), Stop> {
        if self.plan.terminal == TerminalKind::Target {
            let (master, slave) = stdio::terminal(self.plan.identity.uid).at(Step::Terminal)?;
            self.stdio = Some(Stdio::of_terminal(slave).at(Step::Terminal)?);
            self.master = Some(master);
        }
        Ok(())
    }

    /// Takes the command's streams, and closes all that the command has no use for. From its birth
    /// on a container's process with CAP_SYS_PTRACE can open whatever it has open, by
    /// /proc/PID/fd: the node's own directories and the operator's terminal would be among it.
    fn keep_what_is_the_commands(&mut self) -> io::Result<()> {
        if let Some(stdio) = self.stdio.take() {
            dup2_stdin(&stdio.stdin)?;
            dup2_stdout(&stdio.stdout)?;
            dup2_stderr(stdio.stderr())?;
        }
        let mut keep = process::standard_fds().to_vec();
        keep.push(self.channel.as_fd());
        keep.extend(self.master.as_ref().map(AsFd::as_fd));
        process::close_all_but(&keep)
    }

    /// The command, in every namespace now.
    fn be_the_command(&mut self) -> ! {
        let failure = match self.get_ready() {
            Ok(()) => {
                let master = self.master.as_ref().map(AsFd::as_fd);
                if self.channel.send(&Message::Ready, master).is_err()
                    || !self.channel.await_release()
                {
                    exit_now(0);
                }
                self.go()
            }
            Err(Stop(failure)) => failure,
        };
        let _ = self.channel.send(&Message::Failed(failure), None);
        exit_now(0);
    }

    fn get_ready(&mut self) -> Result<(), Stop> {
        guard_ourselves().at(Step::Session)?;
        setsid().at(Step::Session)?;
        if self.plan.terminal != TerminalKind::None {
            pty::make_controlling(process::standard_fds()[0]).at(Step::Session)?;
        }
        umask(Mode::S_IWGRP | Mode::S_IWOTH);
        self.become_the_user().at(Step::Identity)?;
        self.change_directory()
    }

    /// Has exec make the command unconfined, whatever profile is attached to its path. A forked
    /// process takes that over.
    fn leave_confinement(&self) -> io::Result<()> {
        const FILE: &str = "attr/apparmor/exec";
        self.write_own(FILE, b"exec unconfined")?;
        let label = self.read_own(FILE)?;
        if label.starts_with(b"unconfined") {
            return Ok(());
        }
        let label = crate::escape::escaped_start(label.trim_ascii());
        Err(io::Error::other(format!(
            "the command's label would be {label}"
        )))
    }

    fn become_the_user(&self) -> io::Result<()> {
        let id = &self.plan.identity;
        if id.set_groups {
            let groups: Vec<Gid> = id.groups.iter().copied().map(Gid::from_raw).collect();
            setgroups(&groups)?;
        }
        become_ids(id.uid, id.gid)?;
        let clear = |set| caps::clear(None, set).map_err(io::Error::other);
        clear(caps::CapSet::Ambient)?;
        clear(caps::CapSet::Inheritable)?;
        if self.plan.capabilities == 0 {
            clear(caps::CapSet::Effective)?;
            clear(caps::CapSet::Permitted)?;
        }
        // The kernel has just cleared what PR_SET_PDEATHSIG set.
        guard_ourselves()
    }

    fn change_directory(&self) -> Result<(), Stop> {
        let Some(cwd) = &self.plan.cwd else {
            return Ok(());
        };
        let detail = |Stop(failure): Stop| {
            let path = crate::escape::escaped_start(cwd.path.as_os_str().as_bytes());
            Stop(Failure {
                detail: format!(" \"{path}\"; choose another with -w"),
                ..failure
            })
        };
        match chdir(&cwd.path) {
            Err(_) if !cwd.required => chdir("/").at(Step::Directory)?,
            other => other.at(Step::Directory).map_err(detail)?,
        }
        // A directory outside our root, reached through a leaked descriptor, has no absolute
        // name (CVE-2024-21626).
        match getcwd() {
            Ok(path) if path.is_absolute() => Ok(()),
            _ => Err(Errno::ENOENT).at(Step::Directory).map_err(detail),
        }
    }

    /// The last steps. Returns only if exec fails.
    fn go(&self) -> Failure {
        process::reset_signal_actions(self.signals.to_reset());
        let mask = self.signals.original_mask();
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(mask), None);
        // Really closed, not only on exec: argv may name /proc/self/fd/N. The channel stays for
        // the errno that exec may return.
        let last = match close_all_but_stdio_and(self.channel.as_fd()) {
            Ok(()) => self.command.exec(),
            Err(e) => {
                let errno = e.raw_os_error().unwrap_or(0);
                return Failure {
                    step: Step::Exec,
                    errno,
                    detail: String::new(),
                    exec: None,
                };
            }
        };
        Failure {
            step: Step::Exec,
            errno: 0,
            detail: String::new(),
            exec: Some(last),
        }
    }

    /// Writes one of this process's own files in the node's /proc.
    fn write_own(&self, name: &str, text: &[u8]) -> io::Result<()> {
        let path = format!("self/{name}");
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let file = openat(self.proc.as_fd(), path.as_str(), flags, Mode::empty())?;
        write(&file, text)?;
        Ok(())
    }

    /// Reads one of them, up to a page.
    fn read_own(&self, name: &str) -> io::Result<Vec<u8>> {
        let path = format!("self/{name}");
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let file = openat(self.proc.as_fd(), path.as_str(), flags, Mode::empty())?;
        let mut text = vec![0; 4096];
        let length = read(&file, &mut text)?;
        text.truncate(length);
        Ok(text)
    }
}

/// Opened before the first is joined: afterwards the process's files may be out of reach.
fn join_each(process: &Process, wanted: impl Iterator<Item = Namespace>) -> nix::Result<()> {
    let open = |ns: Namespace| {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        openat(process, ns.proc_name(), flags, Mode::empty()).map(|fd| (fd, clone_flag(ns)))
    };
    let all: Vec<(OwnedFd, CloneFlags)> = wanted.map(open).collect::<Result<_, _>>()?;
    all.iter().try_for_each(|(fd, flag)| setns(fd, *flag))
}

/// Not to be traced or looked into by the container's processes (CVE-2016-9962), and not to
/// outlive whoever waits for us.
fn guard_ourselves() -> io::Result<()> {
    prctl::set_dumpable(false)?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    Ok(())
}

fn become_ids(uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    Ok(())
}

fn close_all_but_stdio_and(channel: BorrowedFd<'_>) -> io::Result<()> {
    let stdio = process::standard_fds();
    process::close_all_but(&[stdio[0], stdio[1], stdio[2], channel])
}

/// CLONE_NEWTIME is missing in nix.
const NEW_TIME: CloneFlags = CloneFlags::from_bits_retain(libc::CLONE_NEWTIME);

fn clone_flag(ns: Namespace) -> CloneFlags {
    match ns {
        Namespace::User => CloneFlags::CLONE_NEWUSER,
        Namespace::Cgroup => CloneFlags::CLONE_NEWCGROUP,
        Namespace::Ipc => CloneFlags::CLONE_NEWIPC,
        Namespace::Uts => CloneFlags::CLONE_NEWUTS,
        Namespace::Net => CloneFlags::CLONE_NEWNET,
        Namespace::Pid => CloneFlags::CLONE_NEWPID,
        Namespace::Time => NEW_TIME,
        Namespace::Mount => CloneFlags::CLONE_NEWNS,
    }
}
