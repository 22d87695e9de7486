//! Has this program measure on a node; see `measure.rs`.

use std::env;
use std::time::Duration;

use kpexec_tests::Cmd;

/// More than any measurement takes.
const DEADLINE: Duration = Duration::from_secs(300);

/// A median for each of the commands. `place` makes a command on the node.
pub(crate) fn ask<W: AsRef<[S]>, S: AsRef<str>>(
    kind: &str,
    rounds: usize,
    gap: u32,
    commands: &[W],
    place: impl FnOnce(Vec<String>) -> Cmd,
) -> Vec<f64> {
    let line = |command: &W| -> Vec<String> {
        let words = command.as_ref().iter();
        words.map(|word| word.as_ref().to_owned()).collect()
    };
    eprintln!("bench: {kind} {}", line(&commands[0]).join(" "));
    let exe = env::current_exe().expect("a program has a path");
    let mut words = vec![exe.display().to_string(), kind.to_owned()];
    words.extend([rounds.to_string(), gap.to_string()]);
    for (index, command) in commands.iter().enumerate() {
        words.extend((index > 0).then(|| ":::".to_owned()));
        words.extend(line(command));
    }
    let text = place(words).deadline(DEADLINE).ok();
    let numbers = text.split(' ');
    numbers.map(|n| n.parse().expect("numbers")).collect()
}
