//! What cnsenter is told of the command: who it is, what is entered, when it ends.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::{Args, ValueEnum};
use cnsenter_protocol::Profile;

use super::{Caller, Error};

/// The same words as cnsenter's own.
#[derive(Debug, Args)]
pub struct RunArgs {
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
    pub workdir: Option<OsString>,
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
    /// Stay out of its mount namespace: the agent's programs and environment
    #[arg(long, help_heading = "What is entered")]
    pub no_mount: bool,
    /// Which cgroup the command runs in: its own, or the container's with its limits [default: own]
    #[arg(long, value_enum, help_heading = "What is entered")]
    pub cgroup: Option<Cgroup>,
    /// The most memory that the command may have (64M, 1G), in a cgroup of its own
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "What is entered")]
    pub memory: Option<u64>,
    /// The command's privileges; a node refuses those that its cnsenter does not give
    #[arg(long, value_name = "PROFILE", value_parser = parse_profile, default_value = "full")]
    pub privileges: Profile,

    /// End the command after this time (30s, 5m): TERM, 5 s later KILL
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// How long the command outlives a connection that is silent [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub lease: Option<Duration>,
    /// End what the command left in the background when it ends
    #[arg(long)]
    pub kill_on_exit: bool,
    /// Say each step on stderr, with its time
    #[arg(short, long)]
    pub verbose: bool,
}

/// The kinds of namespaces (namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
#[expect(missing_docs, reason = "namespaces(7) has them")]
pub enum Namespace {
    User,
    Cgroup,
    Ipc,
    Uts,
    Net,
    Pid,
    Time,
    Mount,
}

/// `--cgroup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Cgroup {
    /// A group of the command's own: the container's limits do not hold.
    Own,
    /// The container's: its limits hold, for better or worse.
    Target,
}

/// A variable's name and value.
pub type Variable = (Vec<u8>, Vec<u8>);

/// What cnsenter is told, validated as far as that can be done without the container.
#[derive(Debug)]
#[expect(missing_docs, reason = "they are those of RunArgs")]
pub struct Run {
    pub user: Option<String>,
    pub groups: Vec<String>,
    pub workdir: Option<OsString>,
    pub env: Vec<Variable>,
    pub clear_env: bool,
    pub namespaces: Option<Vec<Namespace>>,
    pub cgroup: Option<Cgroup>,
    pub memory: Option<u64>,
    pub privileges: Profile,
    pub timeout: Option<Duration>,
    pub lease: Option<Duration>,
    pub kill_on_exit: bool,
    pub verbose: bool,
    /// TERM of the caller.
    pub term: Option<String>,
}

impl RunArgs {
    /// # Errors
    /// When a value has no meaning.
    pub fn validated(self, caller: &Caller) -> Result<Run, Error> {
        if self.memory.is_some() && self.cgroup == Some(Cgroup::Target) {
            return Err(Error::MemoryOfTarget);
        }
        Ok(Run {
            env: self.chosen_env(caller)?,
            namespaces: self.chosen_namespaces(),
            term: caller
                .var(OsStr::new("TERM"))
                .and_then(|term| term.to_str())
                .map(str::to_owned),
            user: self.user,
            groups: self.group_add,
            workdir: self.workdir,
            clear_env: self.clear_env,
            cgroup: self.cgroup,
            memory: self.memory,
            privileges: self.privileges,
            timeout: self.timeout,
            lease: self.lease,
            kill_on_exit: self.kill_on_exit,
            verbose: self.verbose,
        })
    }

    /// None if nothing is said about them.
    fn chosen_namespaces(&self) -> Option<Vec<Namespace>> {
        let unwanted = |ns| match ns {
            Namespace::User => self.no_user,
            Namespace::Cgroup => self.no_cgroup,
            Namespace::Ipc => self.no_ipc,
            Namespace::Uts => self.no_uts,
            Namespace::Net => self.no_net,
            Namespace::Pid => self.no_pid,
            Namespace::Time => self.no_time,
            Namespace::Mount => self.no_mount,
        };
        let all = Namespace::value_variants();
        let wanted = self.namespaces.as_deref().unwrap_or(all);
        let chosen = all
            .iter()
            .copied()
            .filter(|ns| wanted.contains(ns) && !unwanted(*ns));
        let chosen: Vec<_> = chosen.collect();
        (chosen.len() < all.len()).then_some(chosen)
    }

    fn chosen_env(&self, caller: &Caller) -> Result<Vec<Variable>, Error> {
        let mut env = Vec::with_capacity(self.env.len());
        for item in &self.env {
            let bytes = item.as_encoded_bytes();
            let (name, value) = match bytes.iter().position(|b| *b == b'=') {
                Some(0) => return Err(Error::Env(item.to_string_lossy().into_owned())),
                Some(at) => (&bytes[..at], &bytes[at + 1..]),
                // As docker and nerdctl: a name that the caller has not set is left out.
                None => match caller.var(item) {
                    Some(value) => (bytes, value.as_encoded_bytes()),
                    None if item.is_empty() => return Err(Error::Env(String::new())),
                    None => continue,
                },
            };
            env.push((name.to_vec(), value.to_vec()));
        }
        Ok(env)
    }
}

impl Namespace {
    pub(super) fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

/// A time such as `30s`, `5m` or `1h30m`, or a number of seconds; more than zero.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map(Duration::from_secs);
    seconds
        .or_else(|_| humantime::parse_duration(text))
        .ok()
        .filter(|d| !d.is_zero())
        .ok_or_else(|| "write a time such as 30s, 5m or 1h30m".to_owned())
}

/// A size in bytes, or in powers of 1024, as cnsenter takes it.
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

fn parse_profile(text: &str) -> Result<Profile, String> {
    Profile::of_name(text).ok_or_else(|| format!("it is {}", Profile::names().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(change: impl FnOnce(&mut RunArgs)) -> Run {
        #[derive(clap::Parser)]
        struct Only {
            #[command(flatten)]
            run: RunArgs,
        }
        let mut run = <Only as clap::Parser>::parse_from(["kpexec"]).run;
        change(&mut run);
        let env = vec![("TERM".into(), "xterm".into()), ("LANG".into(), "C".into())];
        run.validated(&Caller {
            env,
            ..Caller::default()
        })
        .unwrap()
    }

    #[test]
    fn namespaces_are_told_only_if_some_are_left_out() {
        assert_eq!(args(|_| {}).namespaces, None);
        let chosen = args(|run| {
            run.namespaces = Some(vec![Namespace::Net, Namespace::Uts]);
            run.no_uts = true;
        });
        assert_eq!(chosen.namespaces, Some(vec![Namespace::Net]));
    }

    #[test]
    fn environment_is_taken_by_value_or_from_the_caller() {
        let run = args(|run| run.env = vec!["A=1=2".into(), "LANG".into(), "UNSET".into()]);
        let pair = |k: &str, v: &str| (k.as_bytes().to_vec(), v.as_bytes().to_vec());
        assert_eq!(run.env, [pair("A", "1=2"), pair("LANG", "C")]);
        assert_eq!(run.term.as_deref(), Some("xterm"));
    }

    #[test]
    fn sizes_are_in_powers_of_1024() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("64M"), Ok(64 << 20));
        assert_eq!(parse_size("1Gi"), Ok(1 << 30));
        for bad in ["", "0", "M", "1T", "-1", "99999999999G"] {
            assert!(parse_size(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn profiles_are_those_of_the_protocol() {
        assert_eq!(parse_profile("netadmin"), Ok(Profile::Netadmin));
        let told = "it is full, container, netadmin, general";
        assert_eq!(parse_profile("root"), Err(told.into()));
    }
}
