//! What earlier runs saw of a cluster: pods, the nodes they were on, and how those are reached. It is
//! for the day when the API server does not answer.
//!
//! Each cluster and user has a file of JSON lines, one for each sighting. A run only adds lines, so it
//! reads nothing and calls nobody; of several about one thing the last counts.

mod agents;
mod cli;
mod commands;
mod error;
mod file;
mod line;
mod memory;
mod pending;

use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};

pub use agents::Agents;
pub use cli::{AgeArgs, CacheArgs};
pub use commands::{Failure, ago, run};
pub use error::Error;
pub use line::{Address, Container, Line, Node, Pod, Seen};
pub use memory::Memory;
pub use pending::Pending;

use crate::config::Identity;
use crate::settings::Folders;

/// The folder of the files, among kpexec's own.
const FOLDER: &str = "clusters";

/// What is remembered of one cluster, by one user.
#[derive(Debug, Clone)]
pub struct Cache {
    file: PathBuf,
    identity: Identity,
    /// What was seen longer ago is forgotten.
    age: Duration,
}

impl Cache {
    /// None if nothing is to be remembered, or there is no home directory to do it in.
    #[must_use]
    pub fn of(identity: &Identity, age: Duration) -> Option<Self> {
        let folder = folder().filter(|_| !age.is_zero())?;
        Some(Self {
            file: folder.join(format!("{}.jsonl", name(identity))),
            identity: identity.clone(),
            age,
        })
    }

    /// Adds what a run has seen.
    ///
    /// # Errors
    /// When there is no place of our own to write it to.
    pub fn add(&self, seen: Seen) -> Result<(), Error> {
        let lines = seen.into_lines();
        if lines.is_empty() {
            return Ok(());
        }
        if file::append(&self.file, &self.identity, &lines)? {
            let all = self.load()?;
            self.replace(all)?;
        }
        Ok(())
    }

    /// All that is remembered.
    ///
    /// # Errors
    /// When somebody else could have written it, or it cannot be read.
    pub fn load(&self) -> Result<Memory, Error> {
        Ok(Memory::of(file::read(&self.file)?, self.age))
    }

    /// Remembers this and nothing else.
    ///
    /// # Errors
    /// When there is no place of our own to write it to.
    pub fn replace(&self, memory: Memory) -> Result<(), Error> {
        file::replace(&self.file, &self.identity, &memory.into_lines())
    }

    /// Forgets all.
    ///
    /// # Errors
    /// When that fails.
    pub fn clear(&self) -> Result<(), Error> {
        file::remove(&self.agents_file())?;
        file::remove(&self.file)
    }

    /// One in a file that a test has made.
    #[cfg(test)]
    fn in_file(file: PathBuf) -> Self {
        Self {
            file,
            identity: Identity {
                server: String::new(),
                authority: Vec::new(),
                user: String::new(),
            },
            age: Duration::from_secs(60),
        }
    }
}

/// Where the files are.
fn folder() -> Option<PathBuf> {
    Some(Folders::of_user()?.cache.join(FOLDER))
}

/// The name of a cluster's file: clusters may have the same name, and addresses have signs in them.
fn name(identity: &Identity) -> String {
    let Identity {
        server,
        authority,
        user,
    } = identity;
    let mut sum = Sha256::new();
    for part in [server.as_bytes(), authority, user.as_bytes()] {
        sum.update((part.len() as u64).to_le_bytes());
        sum.update(part);
    }
    let sum = sum.finalize();
    sum.iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cluster_and_user_has_a_file() {
        let identity = |server: &str, authority: &[u8], user: &str| Identity {
            server: server.into(),
            authority: authority.into(),
            user: user.into(),
        };
        let mut names = [
            identity("https://a", b"x", "me"),
            identity("https://b", b"x", "me"),
            identity("https://a", b"y", "me"),
            identity("https://a", b"x", "you"),
            identity("https://a", b"xm", "e"),
        ]
        .map(|identity| name(&identity));
        assert_eq!(names[0].len(), 32);
        names.sort();
        assert!(names.windows(2).all(|two| two[0] != two[1]), "{names:?}");
    }
}
