//! Every way bytes can take arrives whole and in order.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::{case, cpu_ticks, null, output_of, pattern, pipe, rss, wait};

const LENGTH: usize = 9_000_011;

fn temporary(bytes: &[u8]) -> File {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("cnsenter-{}-{number}", std::process::id()));
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(path).unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

fn append(file: &File) -> OwnedFd {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    File::options().append(true).open(path).unwrap().into()
}

/// `cat` between two ends; `feed` writes into the first and `drain` reads from the second.
fn through(stdin: OwnedFd, stdout: OwnedFd, feed: Option<OwnedFd>, drain: OwnedFd) {
    let sent = pattern(LENGTH);
    let pid = case("cat").input().start(stdin, stdout, null());
    let feeder = feed.map(|feed| {
        let sent = sent.clone();
        std::thread::spawn(move || {
            let mut feed = File::from(feed);
            // Odd sizes, so that pages are not full.
            for piece in sent.chunks(77_777) {
                feed.write_all(piece).unwrap();
            }
        })
    });
    let mut drain = File::from(drain);
    let mut got = Vec::new();
    if drain.stream_position().is_ok() {
        assert_eq!(wait(pid), 0);
        drain.seek(SeekFrom::Start(0)).unwrap();
        drain.read_to_end(&mut got).unwrap();
    } else {
        drain.read_to_end(&mut got).unwrap();
        assert_eq!(wait(pid), 0);
    }
    if let Some(feeder) = feeder {
        feeder.join().unwrap();
    }
    assert_eq!(got.len(), sent.len());
    assert!(got == sent, "changed on the way");
}

#[test]
fn pipe_to_pipe() {
    let ((stdin, feed), (drain, stdout)) = (pipe(), pipe());
    through(stdin, stdout, Some(feed), drain);
}

#[test]
fn pipe_to_file() {
    let (stdin, feed) = pipe();
    let file = temporary(b"");
    let stdout = file.try_clone().unwrap();
    through(stdin, stdout.into(), Some(feed), file.into());
}

#[test]
fn pipe_to_appended_file() {
    let (stdin, feed) = pipe();
    let file = temporary(b"");
    let stdout = append(&file);
    through(stdin, stdout, Some(feed), file.into());
}

#[test]
fn file_to_pipe() {
    let (drain, stdout) = pipe();
    let file = temporary(&pattern(LENGTH));
    through(file.into(), stdout, None, drain);
}

#[test]
fn socket_to_socket() {
    let (stdin, feed) = UnixStream::pair().unwrap();
    let (stdout, drain) = UnixStream::pair().unwrap();
    through(stdin.into(), stdout.into(), Some(feed.into()), drain.into());
}

#[test]
fn no_description_of_the_callers_becomes_nonblocking() {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let ((stdin, feed), (drain, stdout)) = (pipe(), pipe());
    let copies = [stdin.try_clone().unwrap(), stdout.try_clone().unwrap()];
    let pid = case("cat; sleep 0.2").input().start(stdin, stdout, null());
    File::from(feed).write_all(b"x").unwrap();
    let mut one = [0];
    let mut drain = File::from(drain);
    drain.read_exact(&mut one).unwrap();
    for copy in &copies {
        let flags = OFlag::from_bits_retain(fcntl(copy, FcntlArg::F_GETFL).unwrap());
        assert!(!flags.contains(OFlag::O_NONBLOCK));
    }
    assert_eq!(wait(pid), 0);
}

#[test]
fn a_slow_reader_gets_all_in_bounded_memory() {
    let (drain, stdout) = pipe();
    let pid = case("head -c 30000000 /dev/zero; printf end").start(null(), stdout, null());
    std::thread::sleep(Duration::from_millis(300));
    // Stalled: it waits, and does not turn.
    let before = cpu_ticks(pid);
    std::thread::sleep(Duration::from_millis(500));
    assert!(cpu_ticks(pid) - before <= 1);
    // A forked test has the harness's memory as well: what counts is the growth.
    let idle = rss(pid);
    let mut drain = File::from(drain);
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    let mut last = Vec::new();
    loop {
        let count = drain.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        if total < 20_000_000 {
            assert!(rss(pid) < idle + 1024, "{idle}, then {} KiB", rss(pid));
            std::thread::sleep(Duration::from_millis(1));
        }
        total += count;
        last = buffer[count.saturating_sub(3)..count].to_vec();
    }
    assert_eq!(total, 30_000_003);
    assert_eq!(last, b"end");
    assert_eq!(wait(pid), 0);
}

#[test]
fn merged_output_keeps_its_order() {
    let mut case = case("for i in 1 2 3 4 5 6 7 8; do echo o$i; echo e$i >&2; done");
    case.merged = true;
    let (bytes, code) = output_of(case);
    assert_eq!(code, 0);
    let expected: String = (1..=8).map(|i| format!("o{i}\ne{i}\n")).collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn a_reader_that_leaves_ends_the_command_by_sigpipe() {
    let (out, theirs) = pipe();
    let pid = case("exec yes").start(null(), theirs, null());
    let mut one = [0; 2];
    let mut out = File::from(out);
    out.read_exact(&mut one).unwrap();
    drop(out);
    assert_eq!(wait(pid), 141);
}

#[test]
fn a_reader_that_was_never_there_is_told_at_the_first_write() {
    let (out, theirs) = pipe();
    drop(out);
    let (report, report_theirs) = pipe();
    let script = "trap '' PIPE; sleep 0.3; echo a 2>/dev/null || echo failed >&2";
    let pid = case(script).start(null(), theirs, report_theirs);
    let mut text = String::new();
    File::from(report).read_to_string(&mut text).unwrap();
    assert_eq!(wait(pid), 0);
    assert_eq!(text, "failed\n");
}

#[test]
fn a_command_that_closes_its_stdin_is_not_fed_any_more() {
    let (stdin, feed) = pipe();
    let pid = case("exec <&-; sleep 0.7")
        .input()
        .start(stdin, null(), null());
    let start = Instant::now();
    let mut feed = File::from(feed);
    let piece = [0; 4096];
    // Rust ignores SIGPIPE: the write fails instead.
    while feed.write_all(&piece).is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(start.elapsed() < Duration::from_millis(600));
    assert_eq!(wait(pid), 0);
}

#[test]
fn a_stalled_stdout_stalls_neither_stderr_nor_stdin() {
    let ((stdin, feed), (stalled, stdout), (report, stderr)) = (pipe(), pipe(), pipe());
    let script = "yes & read line; echo got $line >&2; kill $!";
    let pid = case(script).input().start(stdin, stdout, stderr);
    std::thread::sleep(Duration::from_millis(100));
    File::from(feed).write_all(b"word\n").unwrap();
    let mut text = [0; 9];
    File::from(report).read_exact(&mut text).unwrap();
    assert_eq!(&text, b"got word\n");
    drop(stalled);
    assert_eq!(wait(pid), 0);
}

#[test]
fn a_full_disk_is_no_success() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let pid = case("echo lost").start(null(), full.into(), null());
    assert_eq!(wait(pid), 99);
}
