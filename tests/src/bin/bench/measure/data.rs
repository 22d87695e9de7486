//! Much data through a command's streams: random, so that nobody can make it smaller.

use std::fs::File;
use std::io::{self, Read, Write};
use std::process::{ChildStdin, Stdio};
use std::thread;
use std::time::Instant;

const MIB: usize = 1 << 20;

/// MB/s into a command that reads; the first word says how many MiB.
pub(super) fn feed(words: &[String]) -> f64 {
    pass(words, Stdio::null())
}

/// MB/s into and out of a command that copies; the first word says how many MiB.
pub(super) fn turn(words: &[String]) -> f64 {
    pass(words, Stdio::piped())
}

fn pass(words: &[String], stdout: Stdio) -> f64 {
    let (count, words) = words.split_first().expect("MIB is the first word");
    let count: usize = count.parse().expect("MIB is a number");
    let random = random();
    let begun = Instant::now();
    let mut child = super::command(words)
        .stdin(Stdio::piped())
        .stdout(stdout)
        .spawn()
        .expect("the command starts");
    let input = child.stdin.take().expect("it was asked for");
    let writer = thread::spawn(move || write(input, &random, count));
    if let Some(output) = child.stdout.take() {
        let length = super::drain(output);
        assert_eq!(length, count * MIB, "{words:?} lost something");
    }
    let written = writer.join().expect("the writer does not panic");
    super::must_succeed(child, words);
    written.unwrap_or_else(|error| panic!("{words:?} does not read: {error}"));
    super::rate(count * MIB, begun)
}

fn write(mut input: ChildStdin, random: &[u8], mut count: usize) -> io::Result<()> {
    while count > 0 {
        let now = count.min(random.len() / MIB);
        input.write_all(&random[..now * MIB])?;
        count -= now;
    }
    Ok(())
}

fn random() -> Vec<u8> {
    let mut bytes = vec![0; 64 * MIB];
    let source = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    source.expect("there is randomness");
    bytes
}
