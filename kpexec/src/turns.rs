//! Few at once, though those that are slow hold nobody up.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

/// After how long one that is not done lets others begin beside it: those that are dead would otherwise
/// hold up all that come after them.
pub const TURN: Duration = Duration::from_millis(500);

/// Turns to do something.
#[derive(Debug)]
pub struct Turns(Semaphore);

impl Turns {
    /// Of so many at once.
    #[must_use]
    pub fn new(at_once: usize) -> Self {
        Self(Semaphore::new(at_once))
    }

    /// Nobody begins any more.
    pub fn close(&self) {
        self.0.close();
    }

    /// Does it when its turn comes; None if that never does.
    pub async fn take<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let turn = self.0.acquire().await.ok()?;
        tokio::pin!(work);
        let early = tokio::select! {
            done = &mut work => Some(done),
            () = sleep(TURN) => None,
        };
        drop(turn);
        match early {
            Some(done) => Some(done),
            None => Some(work.await),
        }
    }
}
