//! Bytes through cnsenter: all of them, in order, in bounded memory, and whatever is closed.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use kpexec_tests::{Stage, eventually};

const GIB: u64 = 1 << 30;

/// What a process may have had at most, in KiB. Ours has 2 to 3 MiB of code and libraries.
const BOUND: u64 = 8 << 10;

fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.unwrap().parse().unwrap()
}

/// The processes of cnsenter's on the node.
fn ours(stage: &Stage) -> Vec<u32> {
    let words = ["pgrep", "-x", "cnsenter|cnsenter-guard"];
    let pids = stage.node.command(words).run().out();
    pids.lines().map(|pid| pid.parse().unwrap()).collect()
}

#[test]
fn four_gibibytes_into_a_reader_that_is_slow_at_first() {
    let stage = Stage::new();
    let script = "dd if=/dev/zero bs=1M count=4096 2>/dev/null; read end; exit 3";
    let mut child = start(stage.sh(&["-i"], script).command());
    let mut stdout = child.stdout.take().unwrap();
    let (zeros, mut buffer) = (vec![0; 1 << 20], vec![1; 1 << 20]);
    let mut total = 0;
    while total < 4 * GIB {
        let count = stdout.read(&mut buffer).unwrap();
        assert!(count > 0, "ended after {total} bytes");
        assert!(buffer[..count] == zeros[..count], "differs after {total}");
        total += count as u64;
        if total < 4 << 20 {
            thread::sleep(Duration::from_millis(20));
        }
    }
    assert_eq!(total, 4 * GIB);
    let pids = ours(&stage);
    assert_eq!(pids.len(), 2, "cnsenter and its guard");
    for pid in pids {
        let pid = host_pid(&stage, pid);
        assert!(peak(pid) < BOUND, "{} KiB", peak(pid));
    }
    child.stdin.take();
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn a_quarter_gibibyte_through_a_terminal() {
    let stage = Stage::new();
    let inner = "stty raw; dd if=/dev/zero bs=1M count=256 2>/dev/null; echo tail";
    let command = format!("cnsenter -t {} -- sh -c '{inner}'", stage.target());
    let reader = "script -qec \"$C\" /dev/null </dev/null | (sleep 0.3; tr -dc '\\0' | wc -c)";
    assert_eq!(stage.bash(reader).env("C", command).ok(), "268435456");
}

/// The host's number of a process of the node.
fn host_pid(stage: &Stage, pid: u32) -> u32 {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let init = std::fs::read_link(format!("/proc/{}/ns/pid", stage.node.init())).unwrap();
    let mut found = pids.filter(|host| {
        let same = std::fs::read_link(format!("/proc/{host}/ns/pid")).is_ok_and(|ns| ns == init);
        let status = std::fs::read_to_string(format!("/proc/{host}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let last = line.and_then(|line| line.split_whitespace().last());
        same && last == Some(&pid.to_string())
    });
    found.next().unwrap()
}

fn start(mut command: Command) -> std::process::Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Bytes of every value, the same ones each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[test]
fn a_quarter_gibibyte_of_noise_both_ways_to_the_end() {
    let stage = Stage::new();
    let sent = noise(256 << 20);
    let mut child = start(stage.cnsenter(&["-i"], &["cat"]).command());
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            stdin.write_all(&sent).unwrap();
            drop(stdin);
        });
        let mut buffer = vec![0; 256 << 10];
        let mut at = 0;
        loop {
            let count = stdout.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            assert!(
                sent[at..].starts_with(&buffer[..count]),
                "differs after {at}"
            );
            at += count;
        }
        assert_eq!(at, sent.len());
    });
    assert!(child.wait().unwrap().success());
}

#[test]
fn files_both_ways() {
    let stage = Stage::new();
    let script = "head -c 33554432 /dev/urandom >/tmp/in
        cnsenter -i $T -- cat </tmp/in >/tmp/out; cmp /tmp/in /tmp/out && echo same
        cnsenter -i $T -- cat </tmp/in | cmp - /tmp/in && echo same
        cat /tmp/in | cnsenter -i $T -- cat >>/tmp/out; cat /tmp/in /tmp/in | cmp - /tmp/out && echo same
        cnsenter -i $T -- md5sum </tmp/in | cmp - <(md5sum </tmp/in) && echo same";
    assert_eq!(stage.bash(script).ok(), "same\nsame\nsame\nsame");
}

#[test]
fn the_end_of_stdin_is_half_a_close() {
    let stage = Stage::new();
    let output = stage.sh(&["-i"], "wc -c; sleep 0.1; echo still here; exit 3");
    let output = output.stdin("12345").run();
    assert_eq!((output.out().as_str(), output.code), ("5\nstill here\n", 3));
    // And a stdin that the command closes is no end of its output (a fault of kubectl exec's).
    let output = stage
        .sh(&["-i"], "exec wc -c 2>/dev/null")
        .stdin(noise(32 << 20))
        .run();
    assert_eq!((output.out().trim(), output.code), ("33554432", 0));
    // Without -i nothing is taken from it: the shell around it keeps its input.
    let script = "printf 'a\\nb\\n' | { cnsenter $T -- cat; cat; }";
    assert_eq!(stage.bash(script).ok(), "a\nb");
}

#[test]
fn merged_output_keeps_its_order() {
    let stage = Stage::new();
    let inner = "i=0; while [ $i -lt 500 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done";
    let wanted: String = (0..500).map(|i| format!("out {i}\nerr {i}\n")).collect();
    for script in [
        "cnsenter $T -- sh -c \"$I\" 2>&1 | cat",
        "cnsenter $T -- sh -c \"$I\" >/tmp/both 2>&1; cat /tmp/both",
    ] {
        let output = stage.bash(script).env("I", inner).run();
        assert!(output.out() == wanted, "{script}: {output}");
    }
    // Apart, each keeps its own.
    let output = stage.sh(&[], inner).run();
    assert_eq!(output.out().matches("out").count(), 500);
    assert_eq!(output.err().matches("err").count(), 500);
}

#[test]
fn a_full_disk_is_told() {
    let stage = Stage::new();
    for script in [
        "cnsenter $T -- echo lost >/dev/full",
        "cnsenter $T -- sh -c 'dd if=/dev/zero bs=1M count=8 2>/dev/null' >/dev/full",
        "cnsenter -i $T -- cat </bin/busybox >/dev/full",
    ] {
        let output = stage.bash(script).run();
        // Not 125: the command was run.
        assert_eq!(output.code, 255, "{script}: {output}");
        assert!(
            output.err().contains("No space left on device"),
            "{script}: {output}"
        );
    }
}

#[test]
fn sockets_do() {
    let stage = Stage::new();
    // Both ends of a socket as all three, as inetd and rsh daemons hand it on.
    let script = "import socket, subprocess, os
a, b = socket.socketpair()
p = subprocess.Popen(['cnsenter', '-i', os.environ['T'], '--', 'sh', '-c', 'cat; echo end >&2'], stdin=b, stdout=b, stderr=b)
b.close()
import threading
data = os.urandom(4 << 20)
threading.Thread(target=lambda: (a.sendall(data), a.shutdown(socket.SHUT_WR))).start()
got = b''
while True:
    part = a.recv(1 << 16)
    if not part: break
    got += part
print(got == data + b'end\\n', p.wait())";
    let command = stage.bash("exec python3 -c \"$S\"").env("S", script);
    assert_eq!(command.ok(), "True 0");
}

#[test]
fn closed_streams_are_no_trap() {
    let stage = Stage::new();
    let before = stage.node.snapshot();
    for (closed, code) in [("<&-", 5), (">&-", 5), ("2>&-", 5), ("<&- >&- 2>&-", 5)] {
        for flags in ["", "-i"] {
            let script = format!("cnsenter {flags} $T -- sh -c 'exit 5' {closed}");
            assert_eq!(stage.bash(&script).run().code, code, "{script}");
        }
    }
    // No file of ours gets a closed one's number, and with it the command's output.
    // The fourth is that of ls itself.
    for closed in ["", "<&-", "<&- 2>&-"] {
        let script = format!("cnsenter -i $T -- ls /proc/self/fd {closed}");
        let output = stage.bash(&script).run();
        assert_eq!(output.out(), "0\n1\n2\n3\n", "{closed}: {output}");
    }
    let script = "cnsenter -i $T -- cat <&-";
    assert_eq!(stage.bash(script).run().code, 0);
    before.assert_same(&stage.node);
}

#[test]
fn streams_can_be_opened_by_name() {
    for uid in ["0", "1000"] {
        let stage = Stage::new();
        let script = "cat /dev/stdin >/dev/stdout; echo err >/dev/stderr";
        let output = stage.sh(&["-i", "-u", uid], script).stdin("in\n").run();
        assert_eq!(
            (output.out().as_str(), output.err().as_str()),
            ("in\n", "err\n"),
            "{output}"
        );
        let script = "cat </dev/stdin >/dev/stdout; echo err >/dev/stderr; tty";
        let mut terminal = stage.sh(&["-t", "-u", uid], script).pty();
        // Before that, the key would be the outer terminal's.
        eventually("the terminal is raw", || terminal.is_raw());
        terminal.write("in\r\x04");
        assert_eq!(terminal.wait(), 0);
        terminal.wait_for("err\r\n/dev/pts/0");
    }
}

#[test]
fn a_reader_that_stalls_does_not_lose_the_tail() {
    let stage = Stage::new();
    let script =
        "cnsenter $T -- sh -c 'head -c 3000000 /dev/zero; echo tail' | (sleep 1; cat) | tail -c 5";
    assert_eq!(stage.bash(script).ok(), "tail");
    eventually("nothing is left", || ours(&stage).is_empty());
}
