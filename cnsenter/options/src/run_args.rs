//! The options of a run.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::{CgroupChoice, Error, Namespace, parse_duration, parse_size};

/// A variable's name and value.
pub type Variable = (Vec<u8>, Vec<u8>);

/// Who the command is, what is entered, and when it ends.
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
    /// Which cgroup the command runs in: its own, or the container's with its limits [default: own]
    #[arg(long, value_enum, help_heading = "What is entered")]
    pub cgroup: Option<CgroupChoice>,

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
}

impl RunArgs {
    /// Whether the options go together.
    ///
    /// # Errors
    /// [`Error::MemoryOfTarget`].
    pub fn check(&self) -> Result<(), Error> {
        match self.memory.is_some() && self.cgroup == Some(CgroupChoice::Target) {
            true => Err(Error::MemoryOfTarget),
            false => Ok(()),
        }
    }

    /// What is entered where it differs, in the order of [`Namespace::ALL`].
    ///
    /// # Errors
    /// [`Error::NoNamespace`].
    pub fn chosen_namespaces(&self) -> Result<Vec<Namespace>, Error> {
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
        let wanted = self.namespaces.as_deref().unwrap_or(&Namespace::ALL);
        let chosen: Vec<_> = Namespace::ALL
            .into_iter()
            .filter(|ns| wanted.contains(ns) && !unwanted(*ns))
            .collect();
        match chosen.is_empty() {
            true => Err(Error::NoNamespace),
            false => Ok(chosen),
        }
    }

    /// The variables of `-e`; `var` is the caller's environment.
    ///
    /// # Errors
    /// [`Error::Env`].
    pub fn variables<'a>(
        &self,
        var: impl Fn(&OsStr) -> Option<&'a OsString>,
    ) -> Result<Vec<Variable>, Error> {
        let mut variables = Vec::with_capacity(self.env.len());
        for item in &self.env {
            let bytes = item.as_encoded_bytes();
            let (name, value) = match bytes.iter().position(|b| *b == b'=') {
                Some(0) => return Err(Error::Env(item.to_string_lossy().into_owned())),
                Some(at) => (&bytes[..at], &bytes[at + 1..]),
                // As docker and nerdctl: a name that the caller has not set is left out.
                None => match var(item) {
                    Some(value) => (bytes, value.as_encoded_bytes()),
                    None if item.is_empty() => return Err(Error::Env(String::new())),
                    None => continue,
                },
            };
            variables.push((name.to_vec(), value.to_vec()));
        }
        Ok(variables)
    }
}
