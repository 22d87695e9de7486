//! The command line of `kpexec config`. No I/O.

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};

use super::apply::{alone, flag};
use super::{KEYS, Key, Origin, Value};
use crate::listing::Format;
use crate::{cli, program::Program};

/// `kpexec config`.
#[derive(Debug, Subcommand)]
pub enum ConfigArgs {
    /// Print every setting, and who has said it: a flag, the environment, the file
    Show(ShowArgs),
}

/// `kpexec config show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// The settings as flags.
    #[command(flatten)]
    pub flags: Flags,
}

/// All settings, as the flags of a command.
#[derive(Debug)]
pub struct Flags(pub Vec<Value>);

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(KEYS.iter().map(|key| read(key, matches)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let all = cli::exec_command(Program::Kpexec);
        let flags = KEYS
            .iter()
            .filter_map(|key| Some(alone(flag(&all, key.name)?, key.name)));
        command.args(flags.collect::<Vec<_>>())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn read(key: &'static Key, matches: &ArgMatches) -> Value {
    let words = matches.get_raw(key.name).into_iter().flatten();
    let words: Vec<_> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let origin = match matches.value_source(key.name) {
        Some(ValueSource::CommandLine) => Origin::Flag,
        _ => Origin::Default,
    };
    Value { key, words, origin }
}
