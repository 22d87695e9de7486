//! What is asked for, validated.

mod error;
mod named;
mod options;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use cnsenter_options::CgroupChoice;
use cnsenter_protocol as protocol;

use crate::config::Selection;
use crate::manifest::Wish;
use crate::report::Report;
use crate::session::Io;
use crate::target::Target;
use crate::transport::ssh::{self, When};

pub use error::Error;
pub use named::Named;
pub use options::{Options, Run};

/// What a run is to do.
#[derive(Debug)]
pub struct Request {
    /// Whose container is entered.
    pub target: Object,
    /// `-c`.
    pub container: Option<String>,
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// The command's streams.
    pub io: Io,
    /// `-q`.
    pub quiet: bool,
    /// What is being waited for is shown.
    pub progress: bool,
    /// What cnsenter is told.
    pub run: Run,
    /// `--pod-running-timeout`.
    pub pod_running_timeout: Duration,
    /// `--request-timeout`.
    pub request_timeout: Option<Duration>,
    /// `-n`.
    pub namespace: Option<String>,
    /// `--agent-namespace`.
    pub agent_namespace: String,
    /// `--ephemeral`: the agent that is to be made.
    pub ephemeral: Option<Wish>,
    /// `--cache-age`: how long is remembered what runs see; zero: not at all.
    pub cache_age: Duration,
    /// `--ssh` or `--node`: not by the API server's exec.
    pub ssh: Option<BySsh>,
    /// Which cluster, as whom.
    pub selection: Selection,
}

/// The way by SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BySsh {
    /// `--ssh`: when it is the way.
    pub when: When,
    /// `--node`: where the pod is, without asking the API server.
    pub node: Option<String>,
    /// `--node-address-type`: the first of these that a node has is where it is reached.
    pub address_types: Vec<ssh::AddressType>,
    /// `--ssh-host`: where it is reached in place of those, with `{node}` in it.
    pub host: Option<String>,
    /// How it is reached.
    pub options: ssh::Options,
}

/// Where it is said whose container is entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// On the command line: POD or TYPE/NAME.
    Named(Named),
    /// `-f`: in this manifest; `-` is stdin.
    InFile(PathBuf),
}

/// What is known of the caller besides the command line.
#[derive(Debug, Default)]
pub struct Caller {
    /// Whether stdin is a terminal.
    pub stdin_is_tty: bool,
    /// Whether stderr is one, of those that can take a line back.
    pub stderr_is_tty: bool,
    /// Whether the user is at a terminal, and can be asked there.
    pub may_be_asked: bool,
    /// The environment.
    pub env: Vec<(OsString, OsString)>,
}

impl Caller {
    /// A variable.
    #[must_use]
    pub fn var(&self, name: &OsStr) -> Option<&OsString> {
        self.env.iter().find(|(k, _)| k == name).map(|(_, v)| v)
    }
}

impl Request {
    /// Says that there is no terminal for the command, if one was wanted.
    pub fn tell_refused_tty(&self, report: &Report) {
        if self.io.tty_refused {
            report.note("Unable to use a TTY - input is not a terminal or the right kind of file");
        }
    }

    /// The request for cnsenter, which is on the target's node: in an agent there, or not.
    #[must_use]
    pub fn for_cnsenter(
        &self,
        target: protocol::Target,
        in_agent: bool,
        size: Option<protocol::Size>,
    ) -> protocol::Request {
        let run = &self.run;
        let bytes = |word: &OsString| word.as_encoded_bytes().to_vec();
        let command = self.command.iter().map(bytes).collect();
        protocol::Request {
            stdin: self.io.stdin,
            tty: self.io.tty.then(|| protocol::Tty {
                term: run.term.clone(),
                size,
            }),
            user: run.user.clone(),
            groups: run.groups.clone(),
            workdir: run.workdir.as_ref().map(bytes),
            env: run.env.clone(),
            clear_env: run.clear_env,
            namespaces: run
                .namespaces
                .as_ref()
                .map(|all| all.iter().map(|ns| ns.name().to_owned()).collect()),
            cgroup: run.cgroup.map(|cgroup| match cgroup {
                CgroupChoice::Own => protocol::CgroupChoice::Own,
                CgroupChoice::Target => protocol::CgroupChoice::Target,
            }),
            memory: run.memory,
            timeout: run.timeout,
            lease: run.lease,
            kill_on_exit: run.kill_on_exit,
            in_agent,
            verbose: run.verbose,
            ..protocol::Request::new(target, run.privileges, command)
        }
    }
}

impl From<&Target> for protocol::Target {
    fn from(target: &Target) -> Self {
        Self {
            namespace: target.namespace.clone(),
            pod: target.pod.clone(),
            uid: Some(target.uid.clone()),
            container: Some(target.container.clone()),
            container_id: Some(target.container_id.clone()),
        }
    }
}
