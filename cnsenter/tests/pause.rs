//! `cnsenter pause` as an init: it reaps, and ends on TERM and INT alone.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The ways `cnsenter pause` goes: the program that it becomes, and itself where a file in memory
/// cannot be written, and so not executed.
const PROGRAM: &str = "";
const FALLBACK: &str = "ulimit -f 0;";

/// A pause, in the process of a shell that ran a script first; fds 3 and 4 of the script are the
/// test's.
struct Pause {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Pause {
    fn start(which: &str, script: &str) -> Self {
        let script = format!("exec 3>&1 4<&0; {script} {which} exec \"$0\" pause >&2");
        let mut child = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_cnsenter")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let pause = Self { child, output };
        within_2s("pause starts", || pause.waits_for_a_signal());
        let words = std::fs::read(format!("/proc/{}/cmdline", pause.pid())).unwrap();
        assert_eq!(
            words == b"pause\0",
            which == PROGRAM,
            "the way that was asked for"
        );
        pause
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn waits_for_a_signal(&self) -> bool {
        std::fs::read_to_string(format!("/proc/{}/comm", self.pid()))
            .is_ok_and(|comm| comm == "pause\n")
    }

    fn status(&self, field: &str) -> String {
        field_of(&self.pid().to_string(), field).unwrap()
    }

    fn read_pid(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn ends_with_0_on(mut self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(1) {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert_eq!(status.code(), Some(0));
                return;
            }
            sleep(Duration::from_millis(2));
        }
        panic!("{signal} did not end it within 1 s");
    }
}

/// A failed assertion leaves no process behind.
impl Drop for Pause {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn field_of(pid: &str, field: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

fn within_2s(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{what} within 2 s"
        );
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn holds_at_most_200_kib() {
    let pause = Pause::start(PROGRAM, "");
    let rss = pause.status("VmRSS");
    let kib: u32 = rss.strip_suffix(" kB").unwrap().trim().parse().unwrap();
    assert!(kib <= 200, "resident: {rss}");
    pause.ends_with_0_on(Signal::SIGTERM);
}

#[test]
fn is_called_pause_and_shows_no_environment() {
    let pause = Pause::start(PROGRAM, "");
    let read = |name| std::fs::read(format!("/proc/{}/{name}", pause.pid())).unwrap();
    assert_eq!(read("cmdline"), b"pause\0");
    assert_eq!(read("comm"), b"pause\n");
    assert_eq!(read("environ"), b"");
    pause.ends_with_0_on(Signal::SIGINT);
}

#[test]
fn sleeps_until_a_signal_comes() {
    let pause = Pause::start(PROGRAM, "");
    sleep(Duration::from_millis(50));
    let switches = || {
        (
            pause.status("voluntary_ctxt_switches"),
            pause.status("nonvoluntary_ctxt_switches"),
        )
    };
    let before = switches();
    sleep(Duration::from_millis(300));
    assert_eq!(switches(), before);
    pause.ends_with_0_on(Signal::SIGTERM);
}

#[test]
fn no_other_signal_ends_it() {
    for which in [PROGRAM, FALLBACK] {
        let pause = Pause::start(which, "");
        for signal in Signal::iterator() {
            if !matches!(
                signal,
                Signal::SIGKILL | Signal::SIGSTOP | Signal::SIGTERM | Signal::SIGINT
            ) {
                kill(pause.pid(), signal).unwrap();
            }
        }
        sleep(Duration::from_millis(50));
        assert!(pause.waits_for_a_signal());
        pause.ends_with_0_on(Signal::SIGTERM);
    }
}

#[test]
fn children_from_before_it_started_are_reaped() {
    // The first has ended when pause starts, and its SIGCHLD is lost; the second has not.
    let mut pause = Pause::start(
        PROGRAM,
        "true & echo $! >&3; sleep 0.2 & echo $! >&3; sleep 0.1;",
    );
    for _ in 0..2 {
        let child = pause.read_pid();
        within_2s("a child is reaped", || field_of(&child, "State").is_none());
    }
    pause.ends_with_0_on(Signal::SIGTERM);
}

#[test]
fn orphans_come_to_it_and_are_reaped() {
    for which in [PROGRAM, FALLBACK] {
        adopts_and_reaps(which);
    }
}

fn adopts_and_reaps(which: &str) {
    let mut pause = Pause::start(which, "(read go <&4; sleep 0.3 & echo $! >&3) &");
    pause
        .child
        .stdin
        .take()
        .unwrap()
        .write_all(b"go\n")
        .unwrap();
    let orphan = pause.read_pid();
    let pause_pid = pause.pid().to_string();
    within_2s("pause adopts", || {
        field_of(&orphan, "PPid").as_ref() == Some(&pause_pid)
    });
    within_2s("pause reaps", || field_of(&orphan, "State").is_none());
    pause.ends_with_0_on(Signal::SIGTERM);
}
