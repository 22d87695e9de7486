//! The command line: clap's types, and what they come to. No I/O.

pub mod access;
#[cfg(test)]
mod tests;
pub mod values;
mod words;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint};

use crate::admin;
use crate::cache::{AgeArgs, CacheArgs};
use crate::completion::asker::Shell;
use crate::error::Error as Failure;
use crate::manifest::Wish;
use crate::program::Program;
use crate::request::{BySsh, Caller, Error, Named, Object, Options, Request};
use crate::session::Io;
use crate::settings::{ConfigArgs, Settings};
use crate::transport::ssh::{SshArgs, When};

use access::AccessArgs;
use values::{parse_namespace, parse_own_namespace, parse_timeout};

/// In each line a program's name is put in for `{}`.
const USAGE: &str = "\
{} [OPTIONS] (POD | TYPE/NAME | -f FILE) [-c CONTAINER] -- COMMAND [ARG...]
       {} -C bash|zsh|fish|powershell
       {} (install | uninstall | check | version | config | cache) [OPTIONS]";

const EXAMPLES: &str = "\
Examples:
  {} web-0 -- ip addr               in the pod's first container, as root
  {} -it deploy/web -- sh           a shell in one of a deployment's pods
  {} -n shop web-0 -c app -- ss -tlnp
  {} -f web.yaml -- id              in what a manifest describes
  tar c . | {} -i web-0 -- tar x -C /srv
  {} --ssh=auto web-0 -- id         by SSH if there is no way through the API server
  {} --node node-3 web-0 -- id      by SSH to that node, without any API server

Exit status: the command's own; 128+N if it died of signal N; 124 after --timeout;
1 if the pod, its node or its agent was not reached, 125 if the container was not
entered: nothing was run; 126 if the command cannot be executed; 127 if it was not found;
255 if it ran, and the connection or the output was lost.";

/// Run a command in any pod's container, with full privileges.
#[derive(Debug, Parser)]
#[command(
    name = "kpexec",
    version,
    about,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    args_override_self = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Print the script that makes a shell complete command lines
    #[arg(short = 'C', long, value_name = "SHELL", value_enum, exclusive = true)]
    pub completion: Option<Shell>,
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
    /// What an administrator does.
    #[command(flatten)]
    Admin(admin::Task),
    /// Say what holds for every run
    #[command(subcommand)]
    Config(ConfigArgs),
    /// What is remembered of a cluster, for when its API server does not answer
    #[command(subcommand)]
    Cache(CacheArgs),
}

/// Running a command.
#[derive(Debug, Args)]
#[expect(clippy::duplicated_attributes, reason = "each is another argument's")]
#[command(
    mut_arg("stdin", access::off_switch),
    mut_arg("tty", access::off_switch),
    mut_arg("quiet", access::off_switch)
)]
pub struct ExecArgs {
    /// The pod, or what it belongs to: deploy/web, sts/db, svc/web, job/sync ...
    #[arg(value_name = "POD | TYPE/NAME")]
    pub target: Option<String>,
    /// The command, after "--"
    #[arg(value_name = "COMMAND", last = true)]
    pub command: Vec<OsString>,

    /// Enter what this manifest describes, a pod or what has pods, in YAML or JSON; - is stdin
    #[arg(
        short = 'f',
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        conflicts_with = "target"
    )]
    pub filename: Option<PathBuf>,
    /// The container [default: the pod's default container, else its first]
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,
    /// Pass stdin on; without it the command reads /dev/null
    #[arg(short = 'i', long)]
    pub stdin: bool,
    /// Give the command a terminal (with -i, on a terminal)
    #[arg(short = 't', long)]
    pub tty: bool,
    /// Say nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
    /// How long to wait for a pod that does not run yet
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_timeout)]
    pub pod_running_timeout: Duration,

    // Before those that have a heading: what has none comes under the last one.
    /// What cnsenter is told.
    #[command(flatten)]
    pub options: Options,
    /// The agent, if not the node's.
    #[command(flatten)]
    pub agent: AgentArgs,
    /// The way by SSH.
    #[command(flatten)]
    pub ssh: SshArgs,
    /// How to reach the cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// What is remembered of it.
    #[command(flatten)]
    pub cache: AgeArgs,
}

/// An agent for one command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Agent")]
pub struct AgentArgs {
    /// Do without a nodepause: a Job makes an agent on the node, for this command alone
    #[arg(long)]
    pub ephemeral: bool,
    /// The image of that agent [default: the one of this version, loaded on the node]
    #[arg(long, value_name = "IMAGE", requires = "ephemeral")]
    pub image: Option<String>,
    /// The secret, in the agent's namespace, that the image is pulled with
    #[arg(long, value_name = "NAME", requires = "ephemeral")]
    pub image_pull_secret: Option<String>,
}

/// How to reach the cluster: kubectl's words.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// The namespace [default: the context's]
    #[arg(short, long, value_name = "NAME", value_parser = parse_namespace)]
    pub namespace: Option<String>,
    /// The namespace of the nodepause pods, and of the Job of --ephemeral
    #[arg(
        long,
        value_name = "NAME",
        default_value = crate::agent::NAMESPACE,
        value_parser = parse_own_namespace
    )]
    pub agent_namespace: String,
    /// Which cluster, as whom.
    #[command(flatten)]
    pub access: AccessArgs,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Run a command.
    Exec(Box<ExecArgs>),
    /// Print a shell's script.
    Completion(Shell),
    /// Do something else.
    Sub(Box<Sub>),
}

/// Reads the command line. A line with "--" runs a command, whatever the pod is called.
///
/// # Errors
/// clap's, which also carry `--help` and `--version`; those of settings.
pub fn parse(
    program: Program,
    args: &[OsString],
    settings: &Settings,
) -> Result<Invocation, Failure> {
    let runs = args.iter().any(|a| a == "--");
    let command = match runs {
        true => exec_command(program),
        false => command(program),
    };
    let command = settings.apply(command)?;
    let read = match runs {
        true => read_exec(command, args),
        false => read_sub(program, command, args),
    };
    read.map_err(|error| Failure::Usage(words::explained(error)))
}

fn read_exec(command: clap::Command, args: &[OsString]) -> Result<Invocation, clap::Error> {
    let matches = command.try_get_matches_from(args)?;
    let exec = ExecArgs::from_arg_matches(&matches)?;
    if exec.command.is_empty() {
        return Err(missing(
            "you must specify at least one command for the container",
        ));
    }
    if exec.target.is_none() && exec.filename.is_none() {
        return Err(missing("pod, type/name or --filename must be specified"));
    }
    Ok(Invocation::Exec(Box::new(exec)))
}

fn read_sub(
    program: Program,
    command: clap::Command,
    args: &[OsString],
) -> Result<Invocation, clap::Error> {
    let is_sub = args.get(1).is_some_and(|word| is_subcommand(word));
    let matches = command.try_get_matches_from(args);
    let matches = matches.map_err(|error| match is_sub {
        true => error,
        false => say_separator(program, error, args),
    })?;
    let cli = Cli::from_arg_matches(&matches)?;
    match (cli.completion, cli.command) {
        (Some(shell), _) => Ok(Invocation::Completion(shell)),
        (None, Some(sub)) => Ok(Invocation::Sub(Box::new(sub))),
        (None, None) => Err(no_separator(program, args)),
    }
}

/// Whether the first word asks for something else than running a command.
#[must_use]
pub fn is_subcommand(word: &OsStr) -> bool {
    Cli::command().find_subcommand(word).is_some()
}

/// Of a command line that is being written, what can be read.
#[must_use]
pub fn parse_unfinished(args: &[OsString]) -> Option<ExecArgs> {
    let command = exec_command(Program::Kpexec)
        .ignore_errors(true)
        .disable_help_flag(true)
        .disable_version_flag(true);
    let matches = command.try_get_matches_from(args).ok()?;
    ExecArgs::from_arg_matches(&matches).ok()
}

/// What somebody who is used to `docker exec` needs to hear, instead of what clap makes of it.
fn say_separator(program: Program, error: clap::Error, args: &[OsString]) -> clap::Error {
    let names_flag = |value: &ContextValue| value.to_string().starts_with('-');
    match error.kind() {
        ErrorKind::UnknownArgument
            if !error.get(ContextKind::InvalidArg).is_some_and(names_flag) =>
        {
            no_separator(program, args)
        }
        _ => error,
    }
}

fn no_separator(program: Program, args: &[OsString]) -> clap::Error {
    let later = args.iter().skip(2).find(|word| is_subcommand(word));
    let first = args.get(1).and_then(|word| word.to_str());
    let told = if let Some(sub) = later {
        format!(
            "if {sub:?} is none, it comes first: {program} {} [OPTIONS]",
            sub.display()
        )
    } else if let Some(sub) = first.and_then(similar_subcommand) {
        format!("did you mean {program} {sub}?")
    } else {
        format!("write {program} [OPTIONS] (POD | TYPE/NAME) -- COMMAND [ARG...]")
    };
    missing(&format!("no \"--\" before a command; {told}"))
}

/// What somebody may have meant who wrote this.
fn similar_subcommand(word: &str) -> Option<String> {
    const TYPOS: usize = 2;
    let cli = Cli::command();
    let mut names = cli.get_subcommands().map(clap::Command::get_name);
    let is_similar =
        |name: &&str| word.len() > TYPOS && strsim::damerau_levenshtein(word, name) <= TYPOS;
    names.find(is_similar).map(str::to_owned)
}

fn missing(text: &str) -> clap::Error {
    clap::Error::raw(ErrorKind::MissingRequiredArgument, text)
}

/// The whole command, also for completion and the man page.
#[must_use]
pub fn command(program: Program) -> clap::Command {
    named(Cli::command(), program)
}

/// The command that runs a command, without subcommands, under the same name and help.
#[must_use]
pub fn exec_command(program: Program) -> clap::Command {
    let command = clap::Command::new("kpexec")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Run a command in any pod's container, with full privileges")
        .args_override_self(true);
    named(ExecArgs::augment_args(command), program)
}

fn named(command: clap::Command, program: Program) -> clap::Command {
    let with_name = |text: &str| text.replace("{}", program.name());
    command
        .bin_name(program.name())
        .override_usage(with_name(USAGE))
        .after_help(with_name(EXAMPLES))
}

/// `--node` is by SSH, and HOST is no HOST:PORT; an IPv6 address has more colons, if not in brackets.
fn check_node(ssh: &SshArgs) -> Result<(), Error> {
    let Some(host) = ssh.host() else {
        return Ok(());
    };
    if ssh.is_forbidden() {
        return Err(Error::NodeWithoutSsh);
    }
    let port = host.rsplit_once(':');
    let port = port.filter(|(name, _)| !name.contains(':') || name.ends_with(']'));
    match port.and_then(|(_, port)| port.parse().ok()) {
        Some(port) => Err(Error::NodePort { port }),
        None => Ok(()),
    }
}

impl ExecArgs {
    /// The request that these arguments make.
    ///
    /// # Errors
    /// When a value has no meaning; the message says what to write.
    pub fn into_request(self, caller: &Caller) -> Result<Request, Error> {
        let io = self.chosen_io(caller);
        // Whoever wants each step has them on lines that stay.
        let verbose = self.options.run.verbose;
        let ephemeral = self.agent.ephemeral.then(|| Wish {
            namespace: self.cluster.agent_namespace.clone(),
            image: self.agent.image,
            pull_secret: self.agent.image_pull_secret,
        });
        let target = match self.filename {
            Some(file) if file == Path::new("-") && self.stdin => return Err(Error::StdinTwice),
            Some(file) => Object::InFile(file),
            None => Object::Named(Named::parse(self.target.as_deref().unwrap_or_default())?),
        };
        if let (Some(_), Object::Named(named)) = (&self.ssh.node, &target)
            && !named.is_pod()
        {
            return Err(Error::NeedsApi(named.to_string()));
        }
        check_node(&self.ssh)?;
        let when = self.ssh.when();
        let by_ssh = when != When::Never && !self.agent.ephemeral;
        Ok(Request {
            ssh: by_ssh.then(|| BySsh {
                when,
                options: self.ssh.options(self.options.lease, caller.may_be_asked),
                node: self.ssh.host().map(str::to_owned),
                // An empty one is none, in the place of the configuration's.
                host: self.ssh.ssh_host.filter(|host| !host.is_empty()),
                address_types: self.ssh.node_address_type,
            }),
            ephemeral,
            target,
            container: self.container,
            run: self.options.validated(caller)?,
            command: self.command,
            io,
            quiet: self.quiet,
            progress: caller.stderr_is_tty && !verbose,
            pod_running_timeout: self.pod_running_timeout,
            request_timeout: self.cluster.access.request_timeout,
            selection: self.cluster.access.selection(),
            // As kubectl: none is meant by an empty one.
            namespace: self.cluster.namespace.filter(|name| !name.is_empty()),
            agent_namespace: self.cluster.agent_namespace,
            cache_age: self.cache.cache_age,
        })
    }

    /// As kubectl: `-t` counts only with `-i`, and only on a terminal.
    fn chosen_io(&self, caller: &Caller) -> Io {
        let wanted = self.tty && self.stdin;
        Io {
            stdin: self.stdin,
            tty: wanted && caller.stdin_is_tty,
            tty_refused: wanted && !caller.stdin_is_tty,
        }
    }
}
