//! The command line: clap's types, and what they come to. No I/O.

mod chosen;
#[cfg(test)]
mod tests;

pub use chosen::Caller;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use cnsenter_options::RunArgs;

use crate::request::RuntimeChoice;
use crate::{inspect, list};

const EXAMPLES: &str = "\
Examples:
  cnsenter 3f4e8a -- ip addr            a container by the start of its ID
  cnsenter shop/web-0/app -- sh         by pod, with a terminal if this is one
  cnsenter --no-mount shop/web-0 -- tcpdump -ni any
                                        the node's tcpdump in the pod's network
  cnsenter ls                           what runs here

Exit status: the command's own; 128+N if it died of signal N; 124 after --timeout;
125 if the container could not be entered; 126 if the command cannot be executed;
127 if it was not found; 255 if its output was lost.";

/// Run a command in any running container on this node, with full privileges.
#[derive(Debug, Parser)]
#[command(
    name = "cnsenter",
    version,
    about,
    after_help = EXAMPLES,
    override_usage = "cnsenter [OPTIONS] TARGET -- COMMAND [ARG...]\n       cnsenter ls | inspect | pause | completion ...",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Everything that runs a command.
    #[command(flatten)]
    pub exec: ExecArgs,
    /// Everything else.
    #[command(subcommand)]
    pub command: Option<Sub>,
}

/// What is there besides running a command.
#[derive(Debug, Subcommand)]
pub enum Sub {
    /// List the containers on this node
    #[command(visible_alias = "list")]
    Ls(LsArgs),
    /// Show what a container is made of and confined by
    Inspect(InspectArgs),
    /// Be a pod's init: reap children, end on TERM
    Pause,
    /// Print the completion script for a shell
    Completion {
        /// The shell
        #[arg(value_enum)]
        shell: CompletionShell,
    },
}

/// Shells that are completed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompletionShell {
    /// GNU Bash
    Bash,
    /// Z shell
    Zsh,
    /// fish
    Fish,
}

/// `cnsenter ls`.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Output format
    #[arg(short, long, value_enum, default_value_t = list::Format::Table)]
    pub output: list::Format,
    /// Only this pod's containers
    #[arg(long, value_name = "NS/POD")]
    pub pod: Option<String>,
    /// Also pod sandboxes and containers that do not run
    #[arg(short, long)]
    pub all: bool,
    /// Where to look.
    #[command(flatten)]
    pub lookup: LookupArgs,
}

/// `cnsenter inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The container: ID, unique prefix, name, NS/POD[/CONTAINER] or pid:N
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = inspect::Format::Table)]
    pub output: inspect::Format,
    /// Where to look.
    #[command(flatten)]
    pub lookup: LookupArgs,
}

/// Where containers are looked up.
#[derive(Debug, Args)]
#[command(next_help_heading = "Finding the container")]
pub struct LookupArgs {
    /// Which runtime to ask
    #[arg(long, value_enum, default_value_t = RuntimeChoice::Auto)]
    pub runtime: RuntimeChoice,
    /// The runtime's socket, if it is not at a usual place
    #[arg(long, value_name = "SOCKET")]
    pub runtime_endpoint: Option<PathBuf>,
    /// containerd's namespace [default: all]
    #[arg(long, value_name = "NAME")]
    pub runtime_namespace: Option<String>,
    /// Where the node's root file system is, when run in a pod
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub host_root: PathBuf,
}

/// Running a command.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// The container: ID or unique prefix (3+ characters), containerd://ID, cri-o://ID,
    /// docker://ID, NS/POD[/CONTAINER], a runtime's name for it, or pid:N
    #[arg(value_name = "TARGET", required = true)]
    pub target: Option<String>,
    /// The command, after "--"
    #[arg(value_name = "COMMAND", last = true, required = true)]
    pub command: Vec<OsString>,

    /// Pass stdin on; without it the command reads /dev/null
    #[arg(short = 'i', long)]
    pub stdin: bool,
    /// Give the command a terminal (and stdin, if that is one); the default if stdin and stdout
    /// are terminals and -i is not given
    #[arg(short = 't', long)]
    pub tty: bool,
    /// Never give it a terminal
    #[arg(short = 'T', long, conflicts_with = "tty")]
    pub no_tty: bool,

    /// The command.
    #[command(flatten)]
    pub run: RunArgs,

    /// Where to look.
    #[command(flatten)]
    pub lookup: LookupArgs,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Run a command.
    Exec(Box<ExecArgs>),
    /// Do something else.
    Sub(Sub),
}

/// Reads the command line. A line with "--" runs a command, whatever TARGET is called.
///
/// # Errors
/// clap's, which also carry `--help` and `--version`.
pub fn parse(args: Vec<OsString>) -> Result<Invocation, clap::Error> {
    if args.iter().any(|a| a == "--") {
        let command = ExecArgs::augment_args(base_command());
        let matches = command.try_get_matches_from(args)?;
        return Ok(Invocation::Exec(Box::new(ExecArgs::from_arg_matches(
            &matches,
        )?)));
    }
    let cli = Cli::try_parse_from(&args).map_err(|error| say_separator(error, &args))?;
    Ok(match cli.command {
        Some(sub) => Invocation::Sub(sub),
        None => Invocation::Exec(Box::new(cli.exec)),
    })
}

/// What somebody who is used to `docker exec` needs to hear, instead of what clap makes of it.
fn say_separator(error: clap::Error, args: &[OsString]) -> clap::Error {
    let names_flag = |value: &ContextValue| value.to_string().starts_with('-');
    let about_command = match error.kind() {
        ErrorKind::MissingRequiredArgument => true,
        ErrorKind::UnknownArgument => !error.get(ContextKind::InvalidArg).is_some_and(names_flag),
        _ => false,
    };
    let subcommands = Cli::command();
    let is_sub = |arg: &&OsString| subcommands.find_subcommand(arg).is_some();
    if !about_command || args.get(1).as_ref().is_some_and(is_sub) {
        return error;
    }
    let text = match args.iter().skip(1).find(is_sub) {
        Some(sub) => format!(
            "no \"--\" before a command; if {sub:?} is none, it comes first: \
             cnsenter {} [OPTIONS]",
            sub.display()
        ),
        None => "no \"--\" before a command; write cnsenter [OPTIONS] TARGET -- COMMAND [ARG...], \
                 or cnsenter ls, inspect, pause or completion"
            .to_owned(),
    };
    clap::Error::raw(ErrorKind::MissingRequiredArgument, text)
}

/// The command without its subcommands, under the same name and help.
fn base_command() -> clap::Command {
    clap::Command::new("cnsenter")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Run a command in any running container on this node, with full privileges")
        .override_usage("cnsenter [OPTIONS] TARGET -- COMMAND [ARG...]")
        .after_help(EXAMPLES)
}

/// The whole command, for completion and the man page.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}
