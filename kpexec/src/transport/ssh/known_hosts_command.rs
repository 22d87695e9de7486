//! KnownHostsCommand of ssh_config(5): a program that knows hosts, such as a domain's.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;
use tokio::time::timeout;

use super::known_hosts::Known;
use super::prompt::Prompt;
use super::settings::Settings;

/// Adds what the program says of a host, which known_hosts would call so; if it fails, that is nothing, and
/// the user is told.
pub(super) async fn ask(settings: &Settings, host: &str, known: &mut Known, prompt: &Prompt) {
    let Some(text) = &settings.known_hosts_command else {
        return;
    };
    match said(settings, text, host).await {
        Ok(lines) => known.add(&PathBuf::from("KnownHostsCommand"), &lines, host),
        Err(why) => prompt.note(&format!("Warning: KnownHostsCommand {text:?} {why}")),
    }
}

/// It runs before the host has shown a key: as ssh runs it to learn which kinds of keys there are.
async fn said(settings: &Settings, text: &str, host: &str) -> Result<String, String> {
    let token = |token| match token {
        'H' => Some(host.to_owned()),
        'I' => Some("ORDER".to_owned()),
        'f' | 'K' | 't' => Some("NONE".to_owned()),
        _ => None,
    };
    let words = shlex::split(text).unwrap_or_default();
    let words = words.iter().map(|word| settings.with_tokens(word, token));
    let words: Option<Vec<String>> = words.collect();
    let words = words.ok_or("has an unknown token")?;
    let (program, rest) = words.split_first().ok_or("cannot be read")?;
    // As ssh has it: what runs is not up to PATH.
    if !Path::new(program).is_absolute() {
        return Err("has no absolute path".to_owned());
    }
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null()).kill_on_drop(true);
    let limit = settings.connect_limit;
    let output = timeout(limit, command.output()).await.map_err(|_| {
        let limit = humantime::format_duration(limit);
        format!("has not ended within {limit}")
    })?;
    let output = output.map_err(|error| format!("does not start: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("failed: {}", output.status)),
    }
}
