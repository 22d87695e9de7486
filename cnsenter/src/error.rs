//! What ends cnsenter before, or instead of, its command, and how that is told.

use std::io;

use crate::escape::escaped;
use crate::stderr::say;
use crate::{enter, exit, hostproc, list, plan, request, resolve, seal, supervise};

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
            _ => exit::CANNOT_ENTER,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Resolve(e) | Self::List(list::Error::Resolve(e)) => e.hint(),
            _ if self.is_denial() => confinement_hint(),
            _ => None,
        }
    }

    /// Whether the kernel said no at the bottom of it.
    fn is_denial(&self) -> bool {
        let mut causes = std::iter::successors(std::error::Error::source(self), |e| e.source());
        causes.any(|cause| {
            cause
                .downcast_ref::<io::Error>()
                .is_some_and(|e| e.kind() == io::ErrorKind::PermissionDenied)
        })
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
        let mut line = format!("cnsenter: {self}");
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            line.push_str(": ");
            line.push_str(&describe(cause));
            source = cause.source();
        }
        if let Some(hint) = self.hint() {
            line.push_str("\n  ");
            line.push_str(&hint);
        }
        say(line);
    }
}

/// Help as clap has it, to stdout if it was asked for; of an error what is wrong, on one line.
fn print_usage(error: &clap::Error) {
    use clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand as NothingGiven;
    if !error.use_stderr() || error.kind() == NothingGiven {
        let _ = error.print();
        return;
    }
    let text = error.to_string();
    let text = text.split("\n\nUsage:").next().unwrap_or(&text);
    let text = text.split("\n\nFor more").next().unwrap_or(text);
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let words: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    say(format!(
        "cnsenter: {}\n  cnsenter --help says more",
        escaped(&words.join(" "))
    ));
}

/// A cause in words; the standard library would add "(os error N)".
fn describe(cause: &(dyn std::error::Error + 'static)) -> String {
    let errno = cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::raw_os_error);
    match errno {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_owned(),
        None => cause.to_string(),
    }
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
