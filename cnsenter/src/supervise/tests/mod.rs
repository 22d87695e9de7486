//! Real commands, real pipes and terminals; a forked process stands for cnsenter.

mod ends;
mod pipes;
mod tty;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::session::Session;
use super::{Caller, Group, Options, Running, Signals, Streams, Terminal};
use crate::hostproc::HostProc;
use crate::sys::testing::fork;

/// No cgroup here: the process group has to do.
struct NoGroup;

impl Group for NoGroup {
    fn kill(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// How a command is run.
#[derive(Clone, Copy)]
struct Case {
    script: &'static str,
    input: bool,
    tty: bool,
    merged: bool,
    timeout: Option<Duration>,
    kill_on_exit: bool,
}

const GRACE: Duration = Duration::from_millis(300);

fn case(script: &'static str) -> Case {
    Case {
        script,
        input: false,
        tty: false,
        merged: false,
        timeout: None,
        kill_on_exit: false,
    }
}

impl Case {
    fn input(self) -> Self {
        Self {
            input: true,
            ..self
        }
    }

    fn tty(self) -> Self {
        Self { tty: true, ..self }
    }

    /// Starts "cnsenter" with these streams; they are closed here.
    fn start(self, stdin: OwnedFd, stdout: OwnedFd, stderr: OwnedFd) -> Pid {
        fork([&stdin, &stdout, &stderr], || self.supervise())
    }

    /// What cnsenter does, in a process of its own.
    fn supervise(self) -> u8 {
        let own = HostProc::open().unwrap().own().unwrap();
        let signals = Signals::block(&own.status().unwrap()).unwrap();
        // std gives a child SIGPIPE's default action; setsid(1) makes it lead a session.
        let mut command = Command::new("setsid");
        if self.tty {
            command.arg("-c");
        }
        command.args(["sh", "-c", self.script]);
        let streams = if self.tty {
            let pty = nix::pty::openpty(None, None).unwrap();
            for stdio in [Command::stdin, Command::stdout, Command::stderr] {
                stdio(&mut command, Stdio::from(pty.slave.try_clone().unwrap()));
            }
            // openpty's descriptors would be inherited.
            let master = pty.master.try_clone().unwrap();
            drop(pty);
            Streams::Pty {
                master,
                stdin: self.input,
                lent: false,
            }
        } else {
            let (out, out_theirs) = pipe();
            let (err, err_theirs) = pipe();
            let err_theirs = if self.merged {
                out_theirs.try_clone().unwrap()
            } else {
                err_theirs
            };
            command.stdout(out_theirs).stderr(err_theirs);
            let stdin = if self.input {
                let (theirs, ours) = pipe();
                command.stdin(theirs);
                Some(ours)
            } else {
                command.stdin(Stdio::null());
                None
            };
            Streams::Pipes {
                stdin,
                stdout: out,
                stderr: (!self.merged).then_some(err),
            }
        };
        let mut blocked = SigSet::empty();
        let set = SigmaskHow::SIG_SETMASK;
        pthread_sigmask(set, Some(signals.original_mask()), Some(&mut blocked)).unwrap();
        #[expect(clippy::zombie_processes, reason = "the session reaps it")]
        let child = command.spawn().unwrap();
        pthread_sigmask(set, Some(&blocked), None).unwrap();
        drop(command);
        let running = Running {
            pid: Pid::from_raw(child.id().cast_signed()),
            streams,
            group: &mut NoGroup,
        };
        let options = Options {
            timeout: self.timeout,
            kill_on_exit: self.kill_on_exit,
        };
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let caller = Caller {
            stdin: stdin.as_fd(),
            stdout: stdout.as_fd(),
            stderr: stderr.as_fd(),
        };
        let terminal = self.tty.then(Terminal::of_caller).flatten();
        let session = Session::new(running, signals, terminal, &options, caller, GRACE).unwrap();
        match session.run() {
            Ok(reason) => reason.code(),
            Err(_) => 99,
        }
    }
}

/// Reading end, writing end.
fn pipe() -> (OwnedFd, OwnedFd) {
    nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap()
}

fn null() -> OwnedFd {
    File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .unwrap()
        .into()
}

fn wait(pid: Pid) -> i32 {
    match waitpid(pid, None).unwrap() {
        WaitStatus::Exited(_, code) => code,
        other => panic!("{other:?}"),
    }
}

fn has_ended(pid: Pid) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z"))
}

/// Waits for a condition; fails the test after 10 s.
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs with no input; what it printed on stdout, and its exit code.
fn output_of(case: Case) -> (Vec<u8>, i32) {
    let (out, theirs) = pipe();
    let pid = case.start(null(), theirs, null());
    let mut bytes = Vec::new();
    File::from(out).read_to_end(&mut bytes).unwrap();
    (bytes, wait(pid))
}

/// User and system time that a process has used, in clock ticks (10 ms).
fn cpu_ticks(pid: Pid) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Memory that a process has in use, in KiB.
fn rss(pid: Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_ascii_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

/// Bytes in which a lost, repeated or moved part shows.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}
