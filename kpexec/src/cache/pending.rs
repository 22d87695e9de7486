//! Remembering while something else goes on.

use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::Error;

/// How long a run that has ended waits for its own notes to be written.
const PATIENCE: Duration = Duration::from_millis(100);

/// What is being written down, in a thread of its own: nobody waits for a disk.
pub struct Pending(JoinHandle<Result<(), Error>>);

impl Pending {
    /// Begins. To be called where tokio runs.
    #[must_use]
    pub fn begin(note: impl FnOnce() -> Result<(), Error> + Send + 'static) -> Self {
        Self(spawn_blocking(note))
    }

    /// Ends; what is not written soon is left.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn end(self) -> Result<(), Error> {
        match timeout(PATIENCE, self.0).await {
            Ok(Ok(written)) => written,
            _ => Ok(()),
        }
    }
}
