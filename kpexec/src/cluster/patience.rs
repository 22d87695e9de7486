//! How long the server has for all its answers, where somebody waits to go another way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Nothing is bounded until [`Patience::begin`].
#[derive(Debug, Clone, Default)]
pub(super) struct Patience(Arc<Mutex<Option<Limit>>>);

#[derive(Debug, Clone, Copy)]
struct Limit {
    all: Duration,
    until: Instant,
}

impl Patience {
    /// From then on all answers together may take so long.
    pub(super) fn begin(&self, all: Duration, begun: Instant) {
        let until = begun + all;
        self.set(Some(Limit { all, until }));
    }

    /// What was waited for was something else: the server has all its time again.
    pub(super) fn renew(&self) {
        if let Some(limit) = self.get() {
            self.begin(limit.all, Instant::now());
        }
    }

    /// Nobody goes another way any more.
    pub(super) fn end(&self) {
        self.set(None);
    }

    /// How long all answers may take, and what is left of that.
    pub(super) fn left(&self) -> Option<(Duration, Duration)> {
        let limit = self.get()?;
        Some((
            limit.all,
            limit.until.saturating_duration_since(Instant::now()),
        ))
    }

    fn get(&self) -> Option<Limit> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, limit: Option<Limit>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = limit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_is_for_all_answers_until_it_ends() {
        let patience = Patience::default();
        patience.renew();
        assert_eq!(patience.left(), None);
        let begun = Instant::now();
        tokio::time::advance(SECOND).await;
        patience.begin(5 * SECOND, begun);
        tokio::time::advance(2 * SECOND).await;
        let same = patience.clone();
        assert_eq!(same.left(), Some((5 * SECOND, 2 * SECOND)));
        tokio::time::advance(3 * SECOND).await;
        assert_eq!(same.left(), Some((5 * SECOND, Duration::ZERO)));
        patience.renew();
        assert_eq!(same.left(), Some((5 * SECOND, 5 * SECOND)));
        patience.end();
        assert_eq!(same.left(), None);
    }
}
