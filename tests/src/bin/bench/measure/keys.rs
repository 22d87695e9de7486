//! How long it takes until a key that is pressed is shown, by the terminal at the other end.

use std::fs::File;
use std::io::{Read, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How many keys are pressed.
const KEYS: usize = 300;

/// Somebody who types in haste.
const PAUSE: Duration = Duration::from_millis(5);

pub(super) fn median(words: &[String]) -> f64 {
    super::median(delays(words))
}

/// All but one of a hundred keys are shown sooner.
pub(super) fn slowest(words: &[String]) -> f64 {
    let mut delays = delays(words);
    delays.sort_by(f64::total_cmp);
    delays[delays.len() * 99 / 100]
}

/// The command is one that reads its terminal for ever, and says `ready` first.
fn delays(words: &[String]) -> Vec<f64> {
    let (mut master, mut child) = super::on_a_terminal(words);
    let mut seen = Vec::new();
    while !seen.windows(5).any(|part| part == b"ready") {
        seen.push(key(&mut master));
    }
    // Its end of line, and what else comes before anything is typed.
    for shown in [b'\r', b'\n'] {
        assert_eq!(key(&mut master), shown);
    }
    let one = |_| {
        sleep(PAUSE);
        let begun = Instant::now();
        master.write_all(b"k").expect("a terminal can be typed at");
        assert_eq!(key(&mut master), b'k');
        begun.elapsed().as_secs_f64() * 1e3
    };
    let delays = (0..KEYS).map(one).collect();
    drop(master);
    let _ = child.wait();
    delays
}

fn key(master: &mut File) -> u8 {
    let mut byte = [0];
    master.read_exact(&mut byte).expect("the command goes on");
    byte[0]
}
