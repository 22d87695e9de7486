//! What is wrong with a command line, in fewer words than clap's.

use clap::error::ContextKind::{SuggestedArg, SuggestedSubcommand, SuggestedValue};

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
        format!("\n  {meant}{program} --help says more")
    } else {
        String::new()
    };
    let what = what.strip_prefix("error: ").unwrap_or(what);
    let words: Vec<_> = what.lines().map(str::trim).collect();
    format!("{}{hint}", words.join(" ").trim_end())
}
