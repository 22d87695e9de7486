//! What cnsenter is told of the command: who it is, what is entered, when it ends.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use cnsenter_options::{CgroupChoice, Namespace, RunArgs, Variable, parse_duration};
use cnsenter_protocol::Profile;

use super::{Caller, Error};

/// What cnsenter is told of a run.
#[derive(Debug, Args)]
pub struct Options {
    /// cnsenter's own words.
    #[command(flatten)]
    pub run: RunArgs,
    /// The command's privileges: full, so far
    #[arg(long, value_name = "PROFILE", value_parser = parse_profile, default_value = "full", help_heading = "What is entered")]
    pub privileges: Profile,
    /// How long the command outlives a connection that is silent [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = parse_lease)]
    pub lease: Option<Duration>,
}

/// What is shorter ends commands for no more than a slow moment of the network.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

fn parse_lease(text: &str) -> Result<Duration, String> {
    parse_duration(text).and_then(|lease| match lease < SHORTEST_LEASE {
        true => Err("1s is the least: what is shorter is a slow moment of the network".to_owned()),
        false => Ok(lease),
    })
}

/// What cnsenter is told, validated as far as that can be done without the container.
#[derive(Debug)]
#[expect(missing_docs, reason = "they are those of Options")]
pub struct Run {
    pub user: Option<String>,
    pub groups: Vec<String>,
    pub workdir: Option<OsString>,
    pub env: Vec<Variable>,
    pub clear_env: bool,
    pub namespaces: Option<Vec<Namespace>>,
    pub cgroup: Option<CgroupChoice>,
    pub memory: Option<u64>,
    pub privileges: Profile,
    pub timeout: Option<Duration>,
    pub lease: Option<Duration>,
    pub kill_on_exit: bool,
    pub verbose: bool,
    /// TERM of the caller.
    pub term: Option<String>,
}

impl Options {
    /// # Errors
    /// When a value has no meaning.
    pub fn validated(self, caller: &Caller) -> Result<Run, Error> {
        let run = self.run;
        run.check()?;
        let namespaces = run.chosen_namespaces()?;
        let all = namespaces.len() == Namespace::ALL.len();
        Ok(Run {
            env: run.variables(|name| caller.var(name))?,
            namespaces: (!all).then_some(namespaces),
            term: caller
                .var(OsStr::new("TERM"))
                .and_then(|term| term.to_str())
                .map(str::to_owned),
            user: run.user,
            groups: run.group_add,
            workdir: run.workdir.map(PathBuf::into_os_string),
            clear_env: run.clear_env,
            cgroup: run.cgroup,
            memory: run.memory,
            privileges: self.privileges,
            timeout: run.timeout,
            lease: self.lease,
            kill_on_exit: run.kill_on_exit,
            verbose: run.verbose,
        })
    }
}

/// The protocol names others as well, which no cnsenter gives yet.
fn parse_profile(text: &str) -> Result<Profile, String> {
    match Profile::of_name(text) {
        Some(Profile::Full) => Ok(Profile::Full),
        Some(_) => Err("no cnsenter gives it yet: it is full".to_owned()),
        None => Err("it is full".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(change: impl FnOnce(&mut RunArgs)) -> Run {
        #[derive(clap::Parser)]
        struct Only {
            #[command(flatten)]
            options: Options,
        }
        let mut options = <Only as clap::Parser>::parse_from(["kpexec"]).options;
        change(&mut options.run);
        let env = vec![("TERM".into(), "xterm".into()), ("LANG".into(), "C".into())];
        options
            .validated(&Caller {
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
    fn only_what_is_given_can_be_asked_for() {
        assert_eq!(parse_profile("full"), Ok(Profile::Full));
        let told = "no cnsenter gives it yet: it is full";
        assert_eq!(parse_profile("netadmin"), Err(told.into()));
        assert_eq!(parse_profile("root"), Err("it is full".into()));
    }
}
