//! What is wrong with a command line, in fewer words than clap's.

use clap::error::ContextKind::{SuggestedArg, SuggestedSubcommand, SuggestedValue, Usage};

/// What is wrong, on one line; and what to do about it on a second one, if clap has more to say.
/// The text may hold whatever the command line does: to be escaped before it is shown.
#[must_use]
pub fn told(error: &clap::Error, program: &str) -> String {
    let text = error.to_string();
    let what = text.split("\n\n").next().unwrap_or(&text).trim_end();
    let suggested = [SuggestedArg, SuggestedSubcommand, SuggestedValue]
        .into_iter()
        .find_map(|kind| error.get(kind));
    let meant = suggested.map_or(String::new(), |name| format!("did you mean {name}? "));
    let hint = if what.len() < text.trim_end().len() {
        let command = command_of(error, program);
        format!("\n  {meant}{command} --help says more")
    } else {
        String::new()
    };
    let what = what.strip_prefix("error: ").unwrap_or(what);
    let words: Vec<_> = what.lines().map(str::trim).collect();
    format!("{}{hint}", words.join(" ").trim_end())
}

/// The subcommand that was read when it went wrong, as clap's usage begins.
fn command_of(error: &clap::Error, program: &str) -> String {
    let usage = error.get(Usage).map(ToString::to_string);
    let usage = usage.unwrap_or_default();
    let rest = usage.trim().strip_prefix("Usage: ").unwrap_or_default();
    let is_name = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase());
    let words: Vec<_> = rest.split(' ').take_while(is_name).collect();
    let command = words.join(" ");
    match command.starts_with(program) {
        true => command,
        false => program.to_owned(),
    }
}
