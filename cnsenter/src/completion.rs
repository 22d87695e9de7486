//! `cnsenter completion SHELL`: command lines completed by the shell, TARGET from what runs now.
//!
//! The script that a shell sources calls cnsenter back with [`VARIABLE`] set, once per TAB. Script
//! and answer belong to one version, so a shell should source the script anew when it starts.

use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::mpsc;
use std::time::Duration;

use clap::{Command, ValueHint};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{Bash, CompleteEnv, EnvCompleter, Fish, Zsh};

use crate::cli::{self, CompletionShell};
use crate::escape::escaped;
use crate::resolve::Container;

/// Tells cnsenter that a shell wants words, and which shell. (Not clap's `COMPLETE`: a variable of
/// so common a name may be set for something else.)
pub const VARIABLE: &str = "_CNSENTER_COMPLETE";

/// How long somebody who pressed TAB waits for containers.
const PATIENCE: Duration = Duration::from_millis(900);

/// How much of an ID is written where that is enough to tell it from the others.
const SHORT_ID: usize = 12;

/// Lists the containers of this node; empty where it cannot.
pub type List = fn() -> Vec<Container>;

/// The script that makes a shell complete cnsenter's command line.
///
/// # Errors
/// When `out` cannot be written to.
pub fn write_script(shell: CompletionShell, out: &mut dyn io::Write) -> io::Result<()> {
    let shell: &dyn EnvCompleter = match shell {
        CompletionShell::Bash => &Bash,
        CompletionShell::Zsh => &Zsh,
        CompletionShell::Fish => &Fish,
    };
    shell.write_registration(VARIABLE, "cnsenter", "cnsenter", "cnsenter", out)
}

/// Whether a shell called, and [`answer`] is all there is to do.
#[must_use]
pub fn is_requested() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|shell| !shell.is_empty())
}

/// Writes the words for a shell's TAB to stdout; nothing if anything fails, for whatever is said
/// would land in the middle of somebody's command line. To be called first thing in main, while
/// there is one thread: it changes the environment.
pub fn answer(args: Vec<OsString>, list: List) {
    let Some(place) = Place::of(&args) else {
        return;
    };
    // clap_complete exits by itself for no reason known here; an error is kept silent.
    let _ = CompleteEnv::with_factory(|| command(list, &place))
        .var(VARIABLE)
        .try_complete(args, None);
}

/// Which word of the command line is completed.
struct Place {
    writes_a_flag: bool,
}

impl Place {
    /// From `cnsenter -- WORD...`, as the scripts call. None after the command line's own "--":
    /// what is there belongs to the container, of which nothing is known.
    fn of(args: &[OsString]) -> Option<Self> {
        let call = args.iter().position(|a| a == "--")?;
        let words = &args[call + 1..];
        let index = std::env::var("_CLAP_COMPLETE_INDEX").ok();
        let index = index.and_then(|i| i.parse().ok());
        Self::at(words, index.unwrap_or(words.len().saturating_sub(1)))
    }

    fn at(words: &[OsString], index: usize) -> Option<Self> {
        let before = words.get(..index).unwrap_or(words);
        let current = words.get(index).map_or(OsStr::new(""), OsString::as_os_str);
        (!before.iter().any(|word| word == "--")).then(|| Self {
            writes_a_flag: current.as_encoded_bytes().starts_with(b"-"),
        })
    }
}

/// The command line's definition, with what is completed where.
fn command(list: List, place: &Place) -> Command {
    let adapt = |command: Command| {
        let command = command.mut_args(|arg| {
            // Hidden words are shown only where there is no other: flags come after containers.
            let hidden = !arg.is_positional() && !place.writes_a_flag;
            let arg = if hidden { arg.hide(true) } else { arg };
            match arg.get_id().as_str() {
                "target" => arg.add(ArgValueCompleter::new(move |word: &OsStr| {
                    targets(list, word)
                })),
                "pod" => arg.add(ArgValueCompleter::new(move |word: &OsStr| pods(list, word))),
                // A directory of the container, not of the node.
                "workdir" => arg.value_hint(ValueHint::Other),
                _ => arg,
            }
        });
        command
            .disable_help_flag(!place.writes_a_flag)
            .disable_version_flag(!place.writes_a_flag)
    };
    // One name of each subcommand is enough.
    adapt(cli::command()).mut_subcommands(|sub| adapt(sub).visible_alias(None))
}

/// What may be written for TARGET. IDs are hidden: they are shown to who begins to write one.
fn targets(list: List, word: &OsStr) -> Vec<CompletionCandidate> {
    let Some(word) = word.to_str() else {
        return Vec::new();
    };
    let mut containers = in_time(list);
    containers.retain(|c| !c.sandbox);
    let names = containers.iter().filter_map(|c| {
        Some((
            c.display_name()?,
            describe(c, &short(&c.id, SHORT_ID)),
            false,
        ))
    });
    let ids = containers.iter().map(|c| {
        let name = c.display_name();
        let shown = describe(c, name.as_deref().unwrap_or_default());
        (unique_id(&c.id, word, &containers), shown, name.is_some())
    });
    names
        .chain(ids)
        .filter(|(text, ..)| text.starts_with(word) && is_plain(text))
        .map(|(text, shown, hidden)| {
            CompletionCandidate::new(text)
                .help(Some(shown.into()))
                .hide(hidden)
        })
        .collect()
}

/// What may be written for NS/POD.
fn pods(list: List, word: &OsStr) -> Vec<CompletionCandidate> {
    let containers = in_time(list);
    let names = containers.iter().filter_map(|c| c.pod.as_ref());
    let mut names: Vec<_> = names
        .map(|pod| format!("{}/{}", pod.namespace, pod.name))
        .collect();
    names.sort();
    names.dedup();
    let begun = |name: &String| word.to_str().is_some_and(|word| name.starts_with(word));
    names.retain(|name| begun(name) && is_plain(name));
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// What a slow or hung daemon does not tell in time is not completed.
fn in_time(list: List) -> Vec<Container> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(list()));
    receiver.recv_timeout(PATIENCE).unwrap_or_default()
}

/// One line to know a container by.
fn describe(container: &Container, also: &str) -> String {
    let image = container.image.as_deref().unwrap_or_default();
    let parts = [container.runtime.name(), also, image];
    let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
    escaped(&parts.join("  ")).to_string()
}

/// The start of an ID that is no other's start, and not shorter than what is written already.
fn unique_id(id: &str, word: &str, containers: &[Container]) -> String {
    let is_taken = |prefix: &str| {
        containers
            .iter()
            .any(|other| other.id != id && other.id.starts_with(prefix))
    };
    (SHORT_ID.max(word.len())..id.len())
        .map(|length| short(id, length))
        .find(|prefix| !is_taken(prefix))
        .unwrap_or_else(|| id.to_owned())
}

fn short(id: &str, length: usize) -> String {
    id.chars().take(length).collect()
}

/// Shells put the word into the command line as it is: nothing that one would read as more than
/// letters, be it an escape sequence or `$(...)`, is ever completed.
fn is_plain(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'/' | b':');
    !text.starts_with('-') && text.bytes().all(plain)
}

#[cfg(test)]
mod tests;
