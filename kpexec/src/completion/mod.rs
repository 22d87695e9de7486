//! Completion of command lines, with what is in the cluster now.
//!
//! `kpexec -C SHELL` prints a script that calls kpexec back, with a variable set, once for each TAB.
//! Script and answer belong to one version, so a shell should source the script anew when it
//! starts. kubectl runs `kubectl_complete-pexec` for the words of `kubectl pexec`.

pub mod asker;
mod candidates;
mod line;
mod live;
mod shell;

use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::Arc;

use crate::cli;
use asker::{Asker, INDEX};
use line::Line;
use shell::Word;

pub use shell::write_script;

/// Writes the words that could be where the cursor is; nothing if anything fails.
///
/// # Errors
/// When `out` cannot be written to.
pub fn answer(asker: Asker, args: Vec<OsString>, out: &mut dyn Write) -> io::Result<()> {
    let index = std::env::var(INDEX).ok().and_then(|i| i.parse().ok());
    // After "--" it is the container's business.
    let line = Line::of(asker, args, index);
    let words = line.as_ref().map(words).unwrap_or_default();
    shell::write_words(asker, &line.unwrap_or_default(), &words, out)
}

fn words(line: &Line) -> Vec<Word> {
    let known = Arc::new(cli::parse_unfinished(&line.words));
    let mut command = candidates::command(line, &known);
    let found = clap_complete::engine::complete(&mut command, line.words.clone(), line.index, None);
    let found = found.unwrap_or_default();
    // What is hidden is shown where there is no other: here nothing is better.
    let wanted = found
        .iter()
        .filter(|one| line.is_flag() || !one.is_hide_set());
    let mut words: Vec<_> = wanted.filter_map(Word::of).collect();
    if words.is_empty() && line.is_after_target(known.as_ref().as_ref()) {
        words.push(Word::separator());
    }
    words
}
