//! Whether the other end is there, and how far away it is.

use std::time::Duration;

use cnsenter_protocol::Control;
use cnsenter_protocol::times::{LEASE, PING_INTERVAL};
use tokio::time::Instant;

/// However short the lease is, pings are not closer to each other.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// When something came last, and the Ping that measures the way.
pub(super) struct Pulse {
    /// How long a silent end is believed to be there.
    pub(super) lease: Duration,
    /// The round trip's time, once it is known.
    pub(super) delay: Option<Duration>,
    heard: Instant,
    ping: (u64, Instant),
}

impl Pulse {
    pub(super) fn new(lease: Option<Duration>) -> Self {
        let now = Instant::now();
        Self {
            lease: lease.unwrap_or(LEASE),
            delay: None,
            heard: now,
            ping: (0, now),
        }
    }

    /// How often to ping.
    pub(super) fn interval(&self) -> Duration {
        PING_INTERVAL.min(self.lease / 4).max(SHORTEST_INTERVAL)
    }

    /// Something came.
    pub(super) fn hear(&mut self) {
        self.heard = Instant::now();
    }

    pub(super) fn is_gone(&self) -> bool {
        self.heard.elapsed() > self.lease
    }

    /// The next Ping, which is sent now.
    pub(super) fn ping(&mut self) -> Control {
        self.ping = (self.ping.0 + 1, Instant::now());
        Control::Ping(self.ping.0)
    }

    /// The number of the Ping that was sent last.
    pub(super) fn number(&self) -> u64 {
        self.ping.0
    }

    /// The answer to a Ping.
    pub(super) fn pong(&mut self, number: u64) {
        if number == self.ping.0 {
            // The shortest: a longer one has waited behind data.
            let delay = self.ping.1.elapsed();
            self.delay = Some(self.delay.map_or(delay, |known| known.min(delay)));
        }
    }
}
