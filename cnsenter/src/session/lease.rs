//! How long a client that says nothing is believed to be there.

use std::time::{Duration, Instant};

use cnsenter_protocol::times::LONGEST_HOLD;

/// A lease, renewed by whatever the client sends.
#[derive(Debug)]
pub(super) struct Lease {
    length: Duration,
    ends: Instant,
}

impl Lease {
    pub(super) fn new(length: Duration, now: Instant) -> Self {
        Self {
            length: length.min(LONGEST_HOLD),
            ends: now + length.min(LONGEST_HOLD),
        }
    }

    /// When it ends if nothing comes.
    pub(super) fn ends(&self) -> Instant {
        self.ends
    }

    /// Something has come.
    pub(super) fn renew(&mut self, now: Instant) {
        self.ends = now + self.length;
    }

    /// The client is going to be silent: until then, if that is longer than the lease.
    pub(super) fn hold(&mut self, length: Duration, now: Instant) {
        self.ends = now + length.min(LONGEST_HOLD).max(self.length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_longer_but_bounded_and_over_when_something_comes() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let mut lease = Lease::new(60 * second, start);
        assert_eq!(lease.ends(), start + 60 * second);
        lease.hold(300 * second, start + second);
        assert_eq!(lease.ends(), start + 301 * second);
        lease.hold(Duration::MAX, start + second);
        assert_eq!(lease.ends(), start + 601 * second);
        lease.hold(Duration::ZERO, start + second);
        assert_eq!(lease.ends(), start + 61 * second);
        lease.hold(300 * second, start);
        lease.renew(start + 2 * second);
        assert_eq!(lease.ends(), start + 62 * second);
        assert_eq!(
            Lease::new(Duration::MAX, start).ends(),
            start + 600 * second
        );
    }
}
