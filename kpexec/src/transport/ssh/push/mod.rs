//! `--push`: our own cnsenter for a node that has none, or one of another protocol.
//!
//! It is sent through the same connection, as whoever has logged in, to a folder that nobody else can
//! write to. The shell that has taken it removes it when it runs, or when we are gone: from the moment
//! that there is a session, nothing of it is on the node's disk.

mod error;
mod program;
mod upload;

use std::path::PathBuf;

pub use error::Error;

use super::process::Process;
use super::{Connection, greeting};
use crate::report::Report;
use crate::session;
use crate::trace::Trace;
use program::Program;
pub(super) use program::look_at;
use upload::Upload;

/// `--push`: whether a cnsenter is sent, and which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Push {
    /// None.
    #[default]
    Never,
    /// The one that came with kpexec.
    Ours,
    /// This file, or the one for the node's machine in this folder.
    Path(PathBuf),
}

impl Push {
    /// Reads what `--push` takes.
    ///
    /// # Errors
    /// When it is empty.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("it is auto, never, or a cnsenter's file".to_owned()),
            "auto" | "true" => Ok(Self::Ours),
            "never" | "false" => Ok(Self::Never),
            path => Ok(Self::Path(path.into())),
        }
    }
}

/// The session of the cnsenter that a node has; none if it has none, or it is of another protocol.
///
/// # Errors
/// When nothing that is sent there would run either.
pub(super) async fn of_use(
    installed: Result<Process, super::Error>,
) -> Result<Option<Process>, super::Error> {
    match installed {
        Ok(mut process) => {
            let hello = greeting::hello(&mut process).await;
            // What cannot be told, the session will tell.
            let is_of_use = hello.is_none_or(|hello| session::is_spoken_by(&hello));
            Ok(is_of_use.then_some(process))
        }
        Err(super::Error::NoCnsenter { .. } | super::Error::NoGreeting { .. }) => Ok(None),
        Err(error) => Err(refused(error)),
    }
}

impl Connection {
    /// Sends a cnsenter, starts it as a session, and removes it; waits for its greeting.
    ///
    /// # Errors
    /// When that does not come: nothing is left there then either.
    pub(super) async fn greet_pushed(
        &mut self,
        push: &Push,
        words: &[String],
        report: &Report,
        trace: &Trace,
    ) -> Result<Process, super::Error> {
        let host = self.host.clone();
        report.step(format_args!("sending cnsenter to {host}…"));
        let shell = ["sh", "-s"].map(str::to_owned);
        let process = self.launch(&shell).await?;
        let mut upload = Upload::begin(process, &host).await?;
        let program = Program::find(push, upload.machine(), &host)?;
        let path = upload.send(&program).await?;
        trace.step(|| format!("sent {} to {path}", program.path.display()));
        let mut greeted = self.greet(&path, words).await;
        // It runs or it will not: its file is of no use any more.
        let removed = match &mut greeted {
            Ok(process) => process.heard_during(upload.remove()).await,
            Err(_) => upload.remove().await,
        };
        match removed {
            Ok(()) => trace.step(|| format!("removed {path}")),
            Err(path) => report.note(&format!("{path} may be left on {host}: remove it there")),
        }
        let mut process = greeted.map_err(refused)?;
        match greeting::hello(&mut process).await {
            Some(hello) if !session::is_spoken_by(&hello) => {
                let path = program.path;
                Err(Error::Version { path, hello }.into())
            }
            _ => Ok(process),
        }
    }
}

/// Of sudo's refusal, what it means for a program that it has never heard of.
fn refused(error: super::Error) -> super::Error {
    match error {
        super::Error::Sudo {
            host,
            program,
            said,
        } => Error::Root {
            host,
            program,
            said,
        }
        .into(),
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_says_it_as_the_flag_does() {
        for (text, push) in [
            ("auto", Push::Ours),
            ("true", Push::Ours),
            ("never", Push::Never),
            ("false", Push::Never),
            ("/opt/cnsenter", Push::Path("/opt/cnsenter".into())),
            ("./auto", Push::Path("./auto".into())),
        ] {
            assert_eq!(Push::parse(text).unwrap(), push);
        }
        assert!(Push::parse("").is_err());
    }
}
