//! The command line: clap's types, and what they come to. No I/O.

mod chosen;
#[cfg(test)]
mod tests;

pub use chosen::Caller;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::request::{CgroupChoice, Namespace, RuntimeChoice};
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

    /// Run as this user: UID[:GID] or NAME[:GROUP] of the container [default: 0:0]
    #[arg(
        short,
        long,
        value_name = "USER[:GROUP]",
        help_heading = "Identity and environment"
    )]
    pub user: Option<String>,
    /// Also be in these groups
    #[arg(
        long,
        value_name = "GROUP",
        value_delimiter = ',',
        help_heading = "Identity and environment"
    )]
    pub group_add: Vec<String>,
    /// Working directory [default: the container's own]
    #[arg(
        short,
        long,
        value_name = "DIR",
        help_heading = "Identity and environment"
    )]
    pub workdir: Option<PathBuf>,
    /// Set a variable, or with its name alone pass the caller's on
    #[arg(
        short,
        long,
        value_name = "NAME[=VALUE]",
        help_heading = "Identity and environment"
    )]
    pub env: Vec<OsString>,
    /// Start from an empty environment instead of the container's
    #[arg(long, help_heading = "Identity and environment")]
    pub clear_env: bool,

    /// Enter these namespaces only [default: all that differ]
    #[arg(
        long,
        value_name = "LIST",
        value_enum,
        value_delimiter = ',',
        help_heading = "What is entered"
    )]
    pub namespaces: Option<Vec<Namespace>>,
    /// Stay out of the container's user namespace
    #[arg(long, help_heading = "What is entered")]
    pub no_user: bool,
    /// Stay out of its cgroup namespace
    #[arg(long, help_heading = "What is entered")]
    pub no_cgroup: bool,
    /// Stay out of its IPC namespace
    #[arg(long, help_heading = "What is entered")]
    pub no_ipc: bool,
    /// Stay out of its UTS namespace
    #[arg(long, help_heading = "What is entered")]
    pub no_uts: bool,
    /// Stay out of its network namespace
    #[arg(long, help_heading = "What is entered")]
    pub no_net: bool,
    /// Stay out of its PID namespace
    #[arg(long, help_heading = "What is entered")]
    pub no_pid: bool,
    /// Stay out of its time namespace
    #[arg(long, help_heading = "What is entered")]
    pub no_time: bool,
    /// Stay out of its mount namespace: the node's programs and environment
    #[arg(long, help_heading = "What is entered")]
    pub no_mount: bool,
    /// Which cgroup the command runs in: its own, or the container's with its limits
    #[arg(long, value_enum, default_value_t = CgroupChoice::Own, help_heading = "What is entered")]
    pub cgroup: CgroupChoice,

    /// The most memory that the command may have (64M, 1G), in a cgroup of its own
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "What is entered")]
    pub memory: Option<u64>,

    /// End the command after this time (30s, 5m): TERM, 5 s later KILL
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// End what the command left in the background when it ends
    #[arg(long)]
    pub kill_on_exit: bool,
    /// Say each step on stderr, with its time
    #[arg(short, long)]
    pub verbose: bool,

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

/// A time such as `30s`, `5m` or `1h30m`, or as timeout(1) takes it in seconds; more than zero.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map(Duration::from_secs);
    seconds
        .or_else(|_| humantime::parse_duration(text))
        .ok()
        .filter(|d| !d.is_zero())
        .ok_or_else(|| "write a time such as 30s, 5m or 1h30m".to_owned())
}

/// A size such as `64M` or `1G`, in powers of 1024, as Docker and systemd take it; or in bytes.
fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => Some(0),
        "k" | "kb" | "ki" => Some(10),
        "m" | "mb" | "mi" => Some(20),
        "g" | "gb" | "gi" => Some(30),
        _ => None,
    };
    unit.and_then(|shift| digits.parse::<u64>().ok()?.checked_mul(1 << shift))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "write a size such as 64M or 1G".to_owned())
}
