//! `--timeout`: first a request, then force, then no more waiting.

use std::time::{Duration, Instant};

/// What is due now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Ask the command to end.
    Ask,
    /// Kill everything.
    Kill,
    /// It does not even die (a frozen group, a hung disk): leave it.
    GiveUp,
}

pub(super) struct Deadline {
    at: Option<Instant>,
    next: Due,
    grace: Duration,
}

impl Deadline {
    pub(super) fn new(timeout: Option<Duration>, grace: Duration) -> Self {
        Self {
            // A timeout beyond the end of time is none.
            at: timeout.and_then(|t| Instant::now().checked_add(t)),
            next: Due::Ask,
            grace,
        }
    }

    /// When something will be due.
    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Whether the command was already asked to end.
    pub(super) fn has_passed(&self) -> bool {
        self.next != Due::Ask
    }

    /// What is due, if anything is; each step once.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Due> {
        if self.at? > now {
            return None;
        }
        let due = self.next;
        (self.at, self.next) = match due {
            Due::Ask => (Some(now + self.grace), Due::Kill),
            Due::Kill => (Some(now + self.grace), Due::GiveUp),
            Due::GiveUp => (None, Due::GiveUp),
        };
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escalates_once_each() {
        let second = Duration::from_secs(1);
        let mut deadline = Deadline::new(Some(second), second);
        let start = deadline.at().unwrap();
        assert_eq!(deadline.take_due(start - second / 2), None);
        assert!(!deadline.has_passed());
        assert_eq!(deadline.take_due(start), Some(Due::Ask));
        assert!(deadline.has_passed());
        assert_eq!(deadline.take_due(start), None);
        assert_eq!(deadline.take_due(start + second), Some(Due::Kill));
        assert_eq!(deadline.take_due(start + second * 2), Some(Due::GiveUp));
        assert_eq!(deadline.at(), None);
        assert_eq!(deadline.take_due(start + second * 9), None);
    }

    #[test]
    fn none_is_never_due() {
        let mut deadline = Deadline::new(Some(Duration::MAX), Duration::ZERO);
        assert_eq!(deadline.at(), None);
        assert_eq!(deadline.take_due(Instant::now()), None);
    }
}
