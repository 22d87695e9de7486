//! What an administrator does with nodepause: `install`, `uninstall`, `check` and `version`.

mod check;
mod cli;
mod error;
mod install;
mod nodes;
mod probe;
mod progress;
mod report;
mod rollout;
mod uninstall;
mod version;

use std::io::{self, Write};

pub use cli::{Format, InstallArgs, PlaceArgs, Task, TellArgs, UninstallArgs};
pub use error::Error;

use crate::cluster::Cluster;
use crate::config::{self, Selection};

/// Does what is asked for; our exit code.
///
/// # Errors
/// When it did not come to pass.
pub async fn run(task: Task) -> Result<u8, Error> {
    match task {
        Task::Install(args) => install::run(args).await,
        Task::Uninstall(args) => uninstall::run(args).await,
        Task::Check(args) => check::run(args).await,
        Task::Version(args) => version::run(args).await,
    }
}

/// A cluster, and the namespace of nodepause in it.
struct Place {
    cluster: Cluster,
    namespace: String,
}

impl PlaceArgs {
    /// `silent`: nobody is asked for credentials.
    async fn open(self, silent: bool) -> Result<Place, Error> {
        let timeout = self.access.request_timeout;
        let selection = Selection {
            silent,
            ..self.access.selection()
        };
        let access = config::load(&selection, None).await?;
        Ok(Place {
            cluster: Cluster::new(access, timeout)?,
            namespace: self.namespace,
        })
    }
}

/// Writes an answer to stdout.
fn print(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        // As `head` leaves us.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Error::Output),
    }
}
