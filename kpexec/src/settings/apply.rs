//! Settings as the defaults of flags, checked as the flags' own values are.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, ValueHint};

use super::{Error, Settings, Value};

impl Settings {
    /// Puts what is set in the place of the defaults of a command's flags, and of its subcommands'.
    ///
    /// # Errors
    /// When a flag could not have the value.
    pub fn apply(&self, command: Command) -> Result<Command, Error> {
        for value in &self.values {
            if let Some(flag) = flag(&command, value.key.name) {
                check(flag, value)?;
            }
        }
        Ok(match self.is_empty() {
            true => command,
            false => self.changed(command),
        })
    }

    fn changed(&self, command: Command) -> Command {
        let command = command.mut_args(|arg| match self.of(&arg) {
            Some(value) => {
                let words = value.words.iter();
                let words: Vec<_> = words.map(|word| written_out(&arg, word)).collect();
                arg.default_values(words)
            }
            None => arg,
        });
        command.mut_subcommands(|sub| self.changed(sub))
    }

    fn of(&self, arg: &Arg) -> Option<&Value> {
        self.values
            .iter()
            .find(|value| is_called(arg, value.key.name))
    }
}

/// A value as the flag would have it: of a file's name in the home directory, a shell would have made
/// the whole path.
fn written_out(flag: &Arg, word: &str) -> OsString {
    match word.strip_prefix("~/") {
        Some(rest) if flag.get_value_hint() == ValueHint::FilePath => {
            let home = std::env::home_dir().unwrap_or_default();
            home.join(rest).into_os_string()
        }
        _ => word.into(),
    }
}

/// The flag of this name.
pub(super) fn flag<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| is_called(arg, name))
}

fn is_called(arg: &Arg, name: &str) -> bool {
    let aliases = arg.get_visible_aliases().unwrap_or_default();
    arg.get_long() == Some(name) || aliases.contains(&name)
}

/// The flag without what ties it to others.
pub(super) fn alone(flag: &Arg, name: &'static str) -> Arg {
    let mut alone = Arg::new(name)
        .long(name)
        .action(flag.get_action().clone())
        .value_parser(flag.get_value_parser().clone())
        .value_hint(flag.get_value_hint())
        .default_values(flag.get_default_values().to_vec());
    if let Some(help) = flag.get_help() {
        alone = alone.help(help.clone());
    }
    if let Some(names) = flag.get_value_names() {
        alone = alone.value_names(names.to_vec());
    }
    if let Some(delimiter) = flag.get_value_delimiter() {
        alone = alone.value_delimiter(delimiter);
    }
    alone
}

/// Has clap read the value.
fn check(flag: &Arg, value: &Value) -> Result<(), Error> {
    let name = value.key.name;
    let words = value.words.iter().map(|word| format!("--{name}={word}"));
    let command = Command::new("").no_binary_name(true).arg(alone(flag, name));
    let read = command.try_get_matches_from(words);
    read.map(drop).map_err(|error| Error::Value {
        place: value.place(),
        value: value.words.join(", "),
        reason: reason(&error),
    })
}

/// What clap has against a value, without the flag's name.
fn reason(error: &clap::Error) -> String {
    if let Some(source) = error.source() {
        return source.to_string();
    }
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(all)) if !all.is_empty() => {
            format!("it is one of {}", all.join(", "))
        }
        _ => "it is one value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    use crate::cli;
    use crate::program::Program;
    use crate::settings::{KEYS, Key, Origin};

    fn settings(name: &str, words: &[&str]) -> Settings {
        let value = Value {
            key: Key::named(name).unwrap(),
            words: words.iter().map(|&word| word.to_owned()).collect(),
            origin: Origin::File("c.toml".into(), 7),
        };
        Settings {
            values: vec![value],
            ..Settings::default()
        }
    }

    #[test]
    fn every_setting_is_a_flag() {
        let command = cli::exec_command(Program::Kpexec);
        for key in &KEYS {
            let flag = flag(&command, key.name).unwrap_or_else(|| panic!("{}", key.name));
            // What is told of it is told once.
            let tells = !flag.get_default_values().is_empty();
            assert!(!tells || key.otherwise.is_empty(), "{}", key.name);
        }
    }

    #[test]
    fn a_flag_on_the_command_line_still_wins() {
        let read = |words: &[&str]| {
            let command = cli::exec_command(Program::Kpexec);
            let command = settings("agent-namespace", &["tools"])
                .apply(command)
                .unwrap();
            let matches = command.try_get_matches_from(words).unwrap();
            matches
                .get_one::<String>("agent_namespace")
                .unwrap()
                .clone()
        };
        assert_eq!(read(&["kpexec", "web", "--", "id"]), "tools");
        assert_eq!(
            read(&["kpexec", "--agent-namespace=b", "web", "--", "id"]),
            "b"
        );
    }

    #[test]
    fn a_file_in_the_home_directory_is_found() {
        let command = cli::exec_command(Program::Kpexec);
        let settings = settings("ssh-identity", &["~/key", "/etc/key", "~other/key"]);
        let command = settings.apply(command).unwrap();
        let matches = command.try_get_matches_from(["kpexec", "web", "--", "id"]);
        let matches = matches.unwrap();
        let files: Vec<_> = matches
            .get_many::<PathBuf>("ssh_identity")
            .unwrap()
            .collect();
        let home = std::env::home_dir().unwrap();
        assert_eq!(
            files,
            [
                &home.join("key"),
                Path::new("/etc/key"),
                Path::new("~other/key")
            ]
        );
    }

    #[test]
    fn one_that_only_serves_another_flag_may_be_set() {
        let command = cli::exec_command(Program::Kpexec);
        let command = settings("image", &["r/np"]).apply(command).unwrap();
        let read = command.try_get_matches_from(["kpexec", "web", "--", "id"]);
        assert!(read.is_ok());
    }

    #[test]
    fn a_value_is_checked_as_the_flags() {
        let told = |name, word| {
            let command = cli::command(Program::Kpexec);
            let error = settings(name, &[word]).apply(command).unwrap_err();
            error.to_string()
        };
        assert_eq!(
            told("agent-namespace", "a/b"),
            "c.toml:7: agent-namespace cannot be \"a/b\": only letters, digits and \"-\" occur in a \
             namespace's name"
        );
        assert_eq!(
            told("request-timeout", "soon"),
            "c.toml:7: request-timeout cannot be \"soon\": write a time such as 30s, 5m or 1h30m"
        );
    }
}
