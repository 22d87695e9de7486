//! What may be written in each place of the command line.

use std::ffi::OsStr;
use std::sync::Arc;

use clap::builder::StyledStr;
use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter};
use cnsenter_protocol::Profile;

use super::line::Line;
use super::live::{self, Named};
use crate::cli::{self, ExecArgs};
use crate::config;
use crate::program::Program;

/// What the line says already.
type Known = Arc<Option<ExecArgs>>;

/// The command line's definition, with what is completed where.
pub(super) fn command(line: &Line, known: &Known) -> Command {
    // Other commands are the first word, or none.
    let is_sub = line.index > 1
        && line
            .words
            .get(1)
            .is_some_and(|word| cli::is_subcommand(word));
    let command = if line.index > 1 && !is_sub {
        cli::exec_command(Program::Kpexec)
    } else {
        cli::command(Program::Kpexec)
    };
    let is_flag = line.is_flag();
    command
        .mut_subcommands(|sub| sub.mut_args(|arg| completed(arg, known)))
        .mut_args(|arg| {
            // Hidden words are shown only where there is no other: flags come after pods.
            let hidden = !arg.is_positional() && !is_flag;
            let arg = if hidden { arg.hide(true) } else { arg };
            completed(arg, known)
        })
        .disable_help_flag(!is_flag)
        .disable_version_flag(!is_flag)
}

fn completed(arg: Arg, known: &Known) -> Arg {
    let known = known.clone();
    match arg.get_id().as_str() {
        "target" => live(arg, known, |known, word| match word.split_once('/') {
            None => live::pods_and_types(known),
            Some((kind, _)) => live::objects(known, kind),
        }),
        "container" => live(arg, known, |known, _| live::containers(known)),
        "namespace" | "agent_namespace" => live(arg, known, |known, _| live::namespaces(known)),
        "context" => of_kubeconfig(arg, known, |names| names.contexts),
        "cluster" => of_kubeconfig(arg, known, |names| names.clusters),
        "kubeconfig_user" => of_kubeconfig(arg, known, |names| names.users),
        "kubeconfig" | "filename" => arg.add(ArgValueCompleter::new(PathCompleter::any())),
        "privileges" => fixed(arg, || Profile::names().map(str::to_owned).to_vec()),
        _ => arg,
    }
}

/// Words that the cluster gives.
fn live(
    arg: Arg,
    known: Known,
    list: impl Fn(&ExecArgs, &str) -> Vec<Named> + Send + Sync + 'static,
) -> Arg {
    arg.add(ArgValueCompleter::new(move |word: &OsStr| {
        let (Some(known), Some(word)) = (known.as_ref(), word.to_str()) else {
            return Vec::new();
        };
        let all = list(known, word).into_iter();
        all.filter(|named| named.name.starts_with(word))
            .map(|Named { name, help }| {
                let help = (!help.is_empty()).then(|| StyledStr::from(help));
                CompletionCandidate::new(name).help(help)
            })
            .collect()
    }))
}

/// Words of the kubeconfig.
fn of_kubeconfig(arg: Arg, known: Known, which: fn(config::Names) -> Vec<String>) -> Arg {
    fixed(arg, move || {
        let file = known.as_ref().as_ref();
        let file = file.and_then(|known| known.cluster.access.kubeconfig.as_deref());
        config::names(file).map(which).unwrap_or_default()
    })
}

fn fixed(arg: Arg, list: impl Fn() -> Vec<String> + Send + Sync + 'static) -> Arg {
    arg.add(ArgValueCompleter::new(move |word: &OsStr| {
        let word = word.to_str().unwrap_or_default();
        let all = list().into_iter().filter(|name| name.starts_with(word));
        all.map(CompletionCandidate::new).collect()
    }))
}
