//! What a command costs. The kernel counts that for all children together: each command has a parent
//! of its own, which is this program again.

use std::env;
use std::process::{Command, Stdio};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// The first word of the parent's command line.
pub(super) const WORD: &str = "spent";

/// Plays the parent: milliseconds of a processor, and KiB.
pub(super) fn of(words: &[String]) -> String {
    let mut quiet = super::command(words);
    quiet.stdout(Stdio::null()).stderr(Stdio::null());
    super::must_succeed(quiet.spawn().expect("the command starts"), words);
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the kernel counts");
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    format!("{micros} {}\n", usage.max_rss())
}

pub(super) fn cpu(words: &[String]) -> f64 {
    ask(words)[0] / 1e3
}

pub(super) fn peak(words: &[String]) -> f64 {
    ask(words)[1]
}

fn ask(words: &[String]) -> Vec<f64> {
    let parent = Command::new(env::current_exe().expect("a program has a path"))
        .arg(WORD)
        .args(words)
        .stderr(Stdio::inherit())
        .output()
        .expect("this program starts");
    assert!(parent.status.success(), "{words:?}: {}", parent.status);
    let text = String::from_utf8_lossy(&parent.stdout).into_owned();
    let numbers = text.split_whitespace();
    numbers.map(|n| n.parse().expect("numbers")).collect()
}
