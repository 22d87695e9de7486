//! What ends cnsenter before, or instead of, its command, and how that is told.

use std::io;

use crate::causes::chain;
use crate::escape::escaped;
use crate::stderr::say;
use crate::{enter, exit, hostproc, list, plan, request, resolve, seal, session, supervise};

/// What ended cnsenter before, or instead of, its command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line's words are off.
    #[error("{0}")]
    Usage(clap::Error),
    /// One of its values is.
    #[error(transparent)]
    Request(#[from] request::Error),
    /// No sealed image to run from.
    #[error(transparent)]
    Seal(#[from] seal::Error),
    /// The node's /proc is not usable.
    #[error(transparent)]
    Proc(#[from] hostproc::Error),
    /// No such container.
    #[error(transparent)]
    Resolve(#[from] resolve::Error),
    /// It cannot be entered as asked.
    #[error(transparent)]
    Plan(#[from] plan::Error),
    /// It was not entered.
    #[error(transparent)]
    Enter(#[from] enter::Error),
    /// Its streams or its end were lost.
    #[error(transparent)]
    Supervise(#[from] supervise::Error),
    /// The session with kpexec failed.
    #[error(transparent)]
    Session(#[from] session::Error),
    /// Nothing was listed.
    #[error(transparent)]
    List(#[from] list::Error),
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
            Self::Enter(e) => e.exit_code(),
            _ if self.is_closed_pipe() => exit::of_signal(libc::SIGPIPE),
            // Asked for help: that is no failure.
            Self::Usage(e) if !e.use_stderr() => 0,
            Self::Supervise(_) => exit::LOST,
            _ => exit::CANNOT_ENTER,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            _ if self.is_short_of_files() => Some(
                "too few files may be open in this shell; allow more: ulimit -n 1024".to_owned(),
            ),
            Self::Resolve(e) | Self::List(list::Error::Resolve(e)) => e.hint(),
            _ if self.is_denial() => confinement_hint(),
            _ => None,
        }
    }

    /// Whether the kernel said no at the bottom of it.
    fn is_denial(&self) -> bool {
        self.is_caused_by(|e| e.kind() == io::ErrorKind::PermissionDenied)
    }

    /// Whether `ulimit -n` is at the bottom of it: what an error usually comes from is then not why.
    fn is_short_of_files(&self) -> bool {
        self.is_caused_by(|e| e.raw_os_error() == Some(libc::EMFILE))
    }

    fn is_caused_by(&self, is_it: impl Fn(&io::Error) -> bool) -> bool {
        let mut causes = std::iter::successors(std::error::Error::source(self), |e| e.source());
        causes.any(|cause| cause.downcast_ref::<io::Error>().is_some_and(&is_it))
    }

    /// Whether nobody reads the list or report that was asked for, as in `cnsenter ls | head -1`:
    /// that is not worth a word.
    fn is_closed_pipe(&self) -> bool {
        match self {
            Self::List(list::Error::Write(source)) | Self::System { source, .. } => {
                source.kind() == io::ErrorKind::BrokenPipe
            }
            _ => false,
        }
    }

    /// Prints the error and its causes, once, on one line, and what to do on a second one.
    pub fn print(&self) {
        if let Self::Usage(e) = self {
            return print_usage(e);
        }
        if self.is_closed_pipe() {
            return;
        }
        say(format_args!("cnsenter: {}", self.text()));
    }

    /// The error and its causes on one line, and what to do on a second one.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = chain(self);
        if let Some(hint) = self.hint() {
            text.push_str("\n  ");
            text.push_str(&hint);
        }
        text
    }
}

/// Help as clap has it, to stdout if it was asked for; of an error what is wrong, on one line.
fn print_usage(error: &clap::Error) {
    use clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand as NothingGiven;
    if !error.use_stderr() || error.kind() == NothingGiven {
        let _ = error.print();
        return;
    }
    let told = cnsenter_options::told(error, "cnsenter");
    let lines: Vec<_> = told.lines().map(|line| escaped(line).to_string()).collect();
    say(format_args!("cnsenter: {}", lines.join("\n")));
}

/// Where AppArmor confines cnsenter itself, that is most likely why a step was denied.
fn confinement_hint() -> Option<String> {
    let label = std::fs::read("/proc/self/attr/apparmor/current").ok()?;
    let label = label.trim_ascii().strip_suffix(b" (enforce)")?;
    Some(format!(
        "AppArmor confines cnsenter itself, by the profile \"{}\"; run it from an unconfined shell",
        escaped(label)
    ))
}
