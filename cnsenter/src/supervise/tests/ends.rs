//! How a run ends, and what it is called then.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{case, cpu_ticks, eventually, has_ended, null, output_of, pipe, wait};

fn read_line(fd: &OwnedFd) -> String {
    let mut file = File::from(fd.try_clone().unwrap());
    let mut line = Vec::new();
    let mut byte = [0];
    while file.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

/// Starts a script and waits until it has said "ready".
fn ready(case: super::Case) -> (Pid, OwnedFd) {
    let (out, theirs) = pipe();
    let pid = case.start(null(), theirs, null());
    assert_eq!(read_line(&out), "ready");
    (pid, out)
}

#[test]
fn exit_codes_and_signals() {
    for (script, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("exit 255", 255),
        ("kill -KILL $$", 137),
        ("kill -40 $$", 168),
    ] {
        assert_eq!(output_of(case(script)), (vec![], code), "{script}");
    }
}

#[test]
fn background_children_are_not_waited_for() {
    let start = Instant::now();
    let (bytes, code) = output_of(case("sleep 3 & head -c 300000 /dev/zero; exit 3"));
    assert_eq!((bytes.len(), code), (300_000, 3));
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_background_child_that_writes_for_ever_is_not_followed() {
    let start = Instant::now();
    let (out, theirs) = pipe();
    let pid = case("yes & sleep 0.2; exit 4").start(null(), theirs, null());
    // Slower than the writer: there always is more.
    let reader = std::thread::spawn(move || {
        let mut out = File::from(out);
        while out.read(&mut [0; 64 << 10]).unwrap() > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    eventually("ends", || has_ended(pid));
    assert_eq!(wait(pid), 4);
    assert!(start.elapsed() < Duration::from_secs(5));
    reader.join().unwrap();
}

#[test]
fn the_same_with_a_terminal() {
    let start = Instant::now();
    let (bytes, code) = output_of(case("sleep 3 & head -c 300000 /dev/zero; exit 3").tty());
    assert_eq!((bytes.len(), code), (300_000, 3));
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(
        wait(
            case("yes & sleep 0.2; exit 4")
                .tty()
                .start(null(), null(), null())
        ),
        4
    );
}

#[test]
fn all_of_a_short_terminals_output_is_delivered() {
    for _ in 0..50 {
        let (bytes, code) = output_of(case("seq 3000; exit 5").tty());
        let expected: String = (1..=3000).map(|i| format!("{i}\r\n")).collect();
        assert_eq!(code, 5);
        assert_eq!(bytes.len(), expected.len());
        assert!(bytes == expected.as_bytes());
    }
}

#[test]
fn timeout_asks_then_kills() {
    let mut polite = case("exec sleep 9");
    polite.timeout = Some(Duration::from_millis(200));
    let start = Instant::now();
    assert_eq!(output_of(polite).1, 124);
    assert!(start.elapsed() < Duration::from_millis(200) + super::GRACE);

    let mut stubborn = case("trap '' TERM; while :; do sleep 0.05; done");
    stubborn.timeout = Some(Duration::from_millis(200));
    let start = Instant::now();
    assert_eq!(output_of(stubborn).1, 124);
    assert!(start.elapsed() >= Duration::from_millis(200) + super::GRACE);
    assert!(start.elapsed() < Duration::from_millis(200) + super::GRACE * 2);

    let mut stopped = case("kill -STOP $$");
    stopped.timeout = Some(Duration::from_millis(200));
    assert_eq!(output_of(stopped).1, 124);
}

#[test]
fn timeout_with_a_reader_that_stalls() {
    let (_out, theirs) = pipe();
    let mut case = case("exec yes");
    case.timeout = Some(Duration::from_millis(200));
    assert_eq!(wait(case.start(null(), theirs, null())), 124);
}

#[test]
fn kill_on_exit_ends_background_children() {
    let mut case = case("sleep 60 & echo $!");
    case.kill_on_exit = true;
    let (bytes, _) = output_of(case);
    let pid: i32 = String::from_utf8(bytes).unwrap().trim().parse().unwrap();
    eventually("killed", || has_ended(Pid::from_raw(pid)));
}

#[test]
fn signals_are_forwarded() {
    for signal in [
        "HUP", "INT", "QUIT", "USR1", "USR2", "WINCH", "ALRM", "TERM", "CONT",
    ] {
        let script: &'static str = Box::leak(
            format!("trap 'echo got; exit 9' {signal}; echo ready; while :; do sleep 0.02; done")
                .into_boxed_str(),
        );
        let (pid, out) = ready(case(script));
        kill(pid, format!("SIG{signal}").parse::<Signal>().unwrap()).unwrap();
        assert_eq!(read_line(&out), "got", "{signal}");
        assert_eq!(wait(pid), 9);
    }
}

#[test]
fn a_command_that_stops_stops_nobody_else() {
    let (pid, out) = ready(case("echo ready; kill -STOP $$; echo on"));
    std::thread::sleep(Duration::from_millis(100));
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    assert!(stat.contains(") S "), "{stat}");
    kill(pid, Signal::SIGCONT).unwrap();
    assert_eq!(read_line(&out), "on");
    assert_eq!(wait(pid), 0);
}

#[test]
fn a_signal_ends_the_wait_for_a_stalled_reader() {
    let (_out, theirs) = pipe();
    // Full from the beginning, as a pipe holds 64 KiB.
    nix::unistd::write(&theirs, &[0; 64 << 10]).unwrap();
    let pid = case("echo more").start(null(), theirs, null());
    std::thread::sleep(Duration::from_millis(300));
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(wait(pid), 143);
}

#[test]
fn idle_costs_nothing() {
    for case in [case("sleep 60"), case("sleep 60").tty().input()] {
        let ((stdin, _feed), (_out, stdout)) = (pipe(), pipe());
        let pid = case.start(stdin, stdout, null());
        std::thread::sleep(Duration::from_millis(300));
        let switches = || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            status
                .lines()
                .find(|l| l.starts_with("voluntary"))
                .unwrap()
                .to_owned()
        };
        let (before, ticks) = (switches(), cpu_ticks(pid));
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!((switches(), cpu_ticks(pid)), (before, ticks));
        kill(pid, Signal::SIGTERM).unwrap();
        assert_eq!(wait(pid), 143);
    }
}

#[test]
fn input_that_is_no_terminal_ends_a_terminal_session() {
    for (script, text) in [
        ("cat", "a line\n"),
        ("cat", "no end"),
        ("sleep 0.3; cat", "late\n"),
    ] {
        let ((stdin, feed), (out, stdout)) = (pipe(), pipe());
        let pid = case(script).tty().input().start(stdin, stdout, null());
        File::from(feed).write_all(text.as_bytes()).unwrap();
        let mut got = String::new();
        File::from(out).read_to_string(&mut got).unwrap();
        assert_eq!(wait(pid), 0, "{script} {text:?}");
        // Once echoed, once by cat.
        assert_eq!(got.matches(text.trim()).count(), 2, "{got:?}");
    }
}
