//! The part that measures, beside the commands that it starts: what `bench WORD...` does.
//!
//! ```text
//! bench time  ROUNDS GAP  COMMAND... ::: COMMAND...     milliseconds from start to end
//! bench read  ROUNDS GAP  COMMAND... ::: COMMAND...     MB/s of what it writes to a pipe
//! bench watch ROUNDS GAP  COMMAND... ::: COMMAND...     MB/s of what it writes to a terminal
//! bench hold  ROUNDS GAP  COMMAND...                    peak memory of all of cnsenter's processes, KiB
//! bench rest  ROUNDS GAP  COMMAND...                    the same on a terminal, a while after the start
//! bench cpu   ROUNDS GAP  COMMAND... ::: COMMAND...     milliseconds of a processor, from start to end
//! bench peak  ROUNDS GAP  COMMAND... ::: COMMAND...     most memory that was resident, KiB
//! bench feed  ROUNDS GAP  MIB COMMAND... ::: ...        MB/s of what it reads from a pipe
//! bench turn  ROUNDS GAP  MIB COMMAND... ::: ...        MB/s of what it reads and writes again
//! bench keys  ROUNDS GAP  COMMAND... ::: COMMAND...     ms until a key is shown on a terminal, p50
//! bench slow  ROUNDS GAP  COMMAND... ::: COMMAND...     the same, p99
//! ```
//! GAP is the pause before each start in milliseconds. One median for each command is printed.

mod data;
mod keys;
mod spent;

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// As large as a pipe gets: the reader is not to be what is measured.
const BUFFER: usize = 1 << 20;

/// How long an idle session has been idle when it is looked at.
const SETTLED: Duration = Duration::from_millis(500);

/// Does what the words say and gives the line to print.
pub(crate) fn play(words: &[String]) -> String {
    if let [kind, command @ ..] = words
        && kind == spent::WORD
    {
        return spent::of(command);
    }
    let [kind, rounds, gap, commands @ ..] = words else {
        panic!("too few words: {words:?}");
    };
    let rounds: usize = rounds.parse().expect("ROUNDS is a number");
    let gap = Duration::from_millis(gap.parse().expect("GAP is a number"));
    let commands: Vec<_> = commands.split(|word| word == ":::").collect();
    let once = match kind.as_str() {
        "time" => time,
        "read" => read,
        "watch" => watch,
        "hold" => hold,
        "rest" => rest,
        "cpu" => spent::cpu,
        "peak" => spent::peak,
        "feed" => data::feed,
        "turn" => data::turn,
        "keys" => keys::median,
        "slow" => keys::slowest,
        other => panic!("no such measurement: {other}"),
    };
    for command in &commands {
        once(command);
    }
    let mut results = vec![Vec::new(); commands.len()];
    for round in 0..rounds {
        // Whoever comes first has other caches than whoever comes second.
        for turn in 0..commands.len() {
            let index = (round + turn) % commands.len();
            sleep(gap);
            results[index].push(once(commands[index]));
        }
    }
    let medians = results
        .into_iter()
        .map(|result| format!("{:.4}", median(result)));
    medians.collect::<Vec<_>>().join(" ") + "\n"
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    if numbers.len() % 2 == 1 {
        numbers[middle]
    } else {
        f64::midpoint(numbers[middle - 1], numbers[middle])
    }
}

fn command(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null());
    command
}

/// Ends the measurement if the command failed: its time would mean nothing.
fn must_succeed(mut child: Child, words: &[String]) {
    let status = child.wait().expect("a child can be waited for");
    assert!(status.success(), "{words:?}: {status}");
}

fn time(words: &[String]) -> f64 {
    let begun = Instant::now();
    let mut quiet = command(words);
    quiet.stdout(Stdio::null()).stderr(Stdio::null());
    must_succeed(quiet.spawn().expect("the command starts"), words);
    begun.elapsed().as_secs_f64() * 1e3
}

fn read(words: &[String]) -> f64 {
    let begun = Instant::now();
    let mut child = command(words);
    child.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = child.spawn().expect("the command starts");
    let output = child.stdout.take().expect("it was asked for");
    let length = drain(output);
    must_succeed(child, words);
    rate(length, begun)
}

fn watch(words: &[String]) -> f64 {
    let begun = Instant::now();
    let (master, child) = on_a_terminal(words);
    let length = drain(master);
    must_succeed(child, words);
    rate(length, begun)
}

fn rate(length: usize, begun: Instant) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "digits enough are left")]
    let length = length as f64;
    length / 1e6 / begun.elapsed().as_secs_f64()
}

fn drain(mut output: impl Read) -> usize {
    let (mut buffer, mut length) = (vec![0; BUFFER], 0);
    loop {
        match output.read(&mut buffer) {
            Ok(0) => return length,
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A terminal that nobody has open any more.
            Err(_) => return length,
        }
    }
}

/// Starts the command on a new terminal, as its controlling one; gives the other end.
fn on_a_terminal(words: &[String]) -> (File, Child) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        .expect("a new terminal");
    grantpt(&master)
        .and_then(|()| unlockpt(&master))
        .expect("a terminal is ours");
    let name = ptsname(&master, Vec::new()).expect("a terminal has a name");
    let slave = open(
        &name,
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .expect("its slave");
    let stream = || Stdio::from(slave.try_clone().expect("a file can be opened twice"));
    let child = Command::new("/usr/bin/setsid")
        .args(["--ctty", "--wait"])
        .args(words)
        .stdin(stream())
        .stdout(stream())
        .stderr(stream())
        .spawn()
        .expect("the command starts");
    (File::from(master), child)
}

/// The most that one run has, looked at all the time.
fn hold(words: &[String]) -> f64 {
    let mut quiet = command(words);
    quiet.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = quiet.spawn().expect("the command starts");
    let mut peak: f64 = 0.0;
    let status = loop {
        peak = peak.max(memory(child.id()));
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
    };
    assert!(status.success(), "{words:?}: {status}");
    peak
}

/// What a session on a terminal has when nothing happens. The command reads its terminal for ever.
fn rest(words: &[String]) -> f64 {
    let (master, mut child) = on_a_terminal(words);
    sleep(SETTLED);
    let found = memory(child.id());
    assert!(found > 0.0, "{words:?} has ended");
    // Hanging up ends it.
    drop(master);
    let _ = child.wait();
    found
}

/// The PSS of every process of cnsenter's at or below this one. What has become the command
/// already has another name; what is about to is counted.
fn memory(pid: u32) -> f64 {
    let folder = format!("/proc/{pid}");
    let read = |name: &str| fs::read_to_string(format!("{folder}/{name}")).unwrap_or_default();
    let ours = read("comm").starts_with("cnsenter");
    let own = if ours {
        let lines = read("smaps_rollup");
        let pss = lines.lines().find_map(|line| line.strip_prefix("Pss:"));
        pss.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or(0.0)
    } else {
        0.0
    };
    let children = read(&format!("task/{pid}/children"));
    let below = children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok());
    own + below.map(memory).sum::<f64>()
}
