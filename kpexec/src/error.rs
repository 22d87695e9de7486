//! What ends kpexec before, or instead of, its command, and how that is told.

use std::ffi::OsString;
use std::io;

use cnsenter_protocol::Signal;
use cnsenter_protocol::exit::{self, NOTHING_RAN};

use crate::program::Program;
use crate::stderr::{chain, printable, say};
use crate::typed::as_typed;
use crate::{
    admin, agent, cache, cluster, config, ephemeral, request, search, session, settings, target,
    transport,
};

/// What ended kpexec before, or instead of, its command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line's words are off.
    #[error("{0}")]
    Usage(clap::Error),
    /// One of its values is.
    #[error(transparent)]
    Request(#[from] request::Error),
    /// What holds for every run does not.
    #[error(transparent)]
    Settings(#[from] settings::Error),
    /// No cluster.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The API server.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// No such container.
    #[error(transparent)]
    Target(#[from] target::Error),
    /// Nobody to enter it.
    #[error(transparent)]
    Agent(#[from] agent::Error),
    /// The one that was to be there for this command alone.
    #[error(transparent)]
    Ephemeral(#[from] ephemeral::Error),
    /// What is remembered.
    #[error(transparent)]
    Cache(#[from] cache::Failure),
    /// What an administrator wanted.
    #[error(transparent)]
    Admin(#[from] admin::Error),
    /// The request cannot be written.
    #[error(transparent)]
    Encode(#[from] cnsenter_protocol::request::Error),
    /// No way to the node.
    #[error(transparent)]
    Transport(#[from] transport::Error),
    /// No node that has the pod.
    #[error(transparent)]
    Search(#[from] search::Error),
    /// No way to the node by SSH.
    #[error(transparent)]
    Ssh(#[from] transport::ssh::Error),
    /// The session failed.
    #[error(transparent)]
    Session(#[from] session::Error),
    /// stdout is full.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    /// Nothing can be opened.
    #[error("cannot start: too few files may be open (ulimit -n)")]
    FewDescriptors(#[source] io::Error),
    /// A step of our own failed.
    #[error("cannot {what}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// The exit code (session-protocol's table).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Session(error) => error.exit_code(),
            Self::Ssh(error) | Self::Search(search::Error::Unanswered(error))
                if error.is_interrupted() =>
            {
                exit::of_signal(Signal::Int.number())
            }
            // Asked for help: that is no failure.
            Self::Usage(error) if !error.use_stderr() => 0,
            _ => NOTHING_RAN,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Settings(error) => error.hint(),
            Self::Session(session::Error::NoHello { .. }) => {
                Some("kpexec check says more about the agents".to_owned())
            }
            Self::Session(session::Error::Version(_)) => Some(
                "over SSH (--ssh), --push sends this kpexec's own cnsenter for one command"
                    .to_owned(),
            ),
            Self::Ephemeral(error) => error.hint(),
            Self::Search(error) => error.hint(),
            Self::Ssh(error) => error.hint(),
            Self::Config(config::Error::None(_))
            | Self::Cache(cache::Failure::Config(config::Error::None(_)))
            | Self::Admin(admin::Error::Config(config::Error::None(_))) => {
                Some("write one, or name it with --kubeconfig FILE".to_owned())
            }
            Self::Cache(error) => error.hint(),
            Self::Admin(error) => error.hint(),
            Self::Cluster(error)
            | Self::Target(target::Error::Cluster(error))
            | Self::Agent(agent::Error::Cluster(error))
            | Self::Transport(transport::Error::Cluster(error))
                if error.is_outage() =>
            {
                Some("--ssh goes to the pod's node without the API server".to_owned())
            }
            Self::Config(config::Error::Credentials(_)) => {
                Some("--ssh goes to the pod's node without the API server".to_owned())
            }
            Self::Target(error) => error.hint(),
            Self::Agent(error) => error.hint(),
            _ => None,
        }
    }

    /// Whether the message is a sentence of its own, as kubectl has some.
    fn is_sentence(&self) -> bool {
        matches!(
            self,
            Self::Cluster(_)
                | Self::Target(target::Error::Cluster(_))
                | Self::Cache(cache::Failure::Cluster(_) | cache::Failure::Forbidden(_))
                | Self::Agent(agent::Error::Cluster(_))
                | Self::Ephemeral(ephemeral::Error::Cluster(_))
                | Self::Admin(admin::Error::Cluster(_))
                | Self::Transport(_)
        )
    }

    /// Prints the error and its causes, once, on one line, and what to do on a second one, for whoever
    /// typed `args`.
    pub fn print(&self, program: Program, args: &[OsString]) {
        if let Self::Usage(error) = self {
            return print_usage(error, program);
        }
        let mut line = if self.is_sentence() {
            String::new()
        } else {
            "error: ".to_owned()
        };
        line.push_str(&chain(self));
        if let Some(hint) = self.hint() {
            line.push_str("\n  ");
            line.push_str(&as_typed(&hint, program, args));
        }
        say(printable(&line));
    }
}

/// Help as clap has it, to stdout if it was asked for; of an error what is wrong, on one line.
fn print_usage(error: &clap::Error, program: Program) {
    use clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand as NothingGiven;
    if !error.use_stderr() || error.kind() == NothingGiven {
        let _ = error.print();
        return;
    }
    let told = cnsenter_options::told(error, program.name());
    say(format!("error: {}", printable(&told)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectls_sentences_are_left_alone() {
        let refused = || cluster::Error::Refused("h:1".into());
        assert!(Error::Target(target::Error::Cluster(refused())).is_sentence());
        assert!(!Error::Target(target::Error::Completed("Failed".into())).is_sentence());
        assert_eq!(Error::Cluster(refused()).exit_code(), 1);
    }
}
