//! Flow control: nobody sends more than the other end has said it has room for.
//!
//! Each stream of a session has a window of its own, so that nothing that is not read holds up
//! anything else. A window starts at [`FIRST_WINDOW`], becomes what a path of [`RATE`] needs once
//! the round trip's time is known, and grows by [`GROWTH`], up to [`LARGEST_WINDOW`], while the
//! sender uses it up faster than its receiver's word can travel.

use std::time::Duration;

/// What may be sent before the first Credit, in bytes.
pub const FIRST_WINDOW: u32 = 1 << 20;
/// The largest window, in bytes: 200 MB/s over a round trip of 80 ms.
pub const LARGEST_WINDOW: u32 = 16 << 20;
/// What a path is taken to carry, in bytes per second: the window is as large as what can be under
/// way.
pub const RATE: u32 = 200_000_000;
/// A window that is too small becomes so many times larger: each step costs a round trip.
pub const GROWTH: u32 = 4;

/// The other end broke the rules.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// More came than there was credit for.
    #[error("more data came than there was credit for")]
    Overrun,
    /// More credit came than any window has.
    #[error("more credit came than a window can have")]
    Excess,
}

/// The sender's side: how much it may still send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance(u32);

impl Default for Allowance {
    fn default() -> Self {
        Self(FIRST_WINDOW)
    }
}

impl Allowance {
    /// How many bytes may be sent now.
    #[must_use]
    pub fn left(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Bytes were sent, no more than were left.
    pub fn spend(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.left());
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.0 = self.0.saturating_sub(bytes);
    }

    /// A Credit came.
    ///
    /// # Errors
    /// [`Error::Excess`]
    pub fn grant(&mut self, bytes: u32) -> Result<(), Error> {
        let sum = self.0.checked_add(bytes).ok_or(Error::Excess)?;
        if sum > LARGEST_WINDOW {
            return Err(Error::Excess);
        }
        self.0 = sum;
        Ok(())
    }
}

/// The receiver's side: how much more may come, and when to say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    size: u32,
    /// What the sender may still send.
    open: u32,
    /// What was used up here and not granted again yet.
    used: u32,
    granted_at: Duration,
}

impl Window {
    /// A window at the time `now`, from any origin.
    #[must_use]
    pub fn new(now: Duration) -> Self {
        Self {
            size: FIRST_WINDOW,
            open: FIRST_WINDOW,
            used: 0,
            granted_at: now,
        }
    }

    /// How large it is now: what the receiver may have to keep.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Bytes came.
    ///
    /// # Errors
    /// [`Error::Overrun`]
    pub fn receive(&mut self, bytes: usize) -> Result<(), Error> {
        let bytes = u32::try_from(bytes).map_err(|_| Error::Overrun)?;
        self.open = self.open.checked_sub(bytes).ok_or(Error::Overrun)?;
        Ok(())
    }

    /// Bytes that came were passed on, and need no room any more.
    pub fn release(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let kept = self.size.saturating_sub(self.open);
        self.used = self.used.saturating_add(bytes).min(kept);
    }

    /// The credit that is due, if any is: once a quarter of the window is used up, for the sender is
    /// to have the rest while the word travels. If that took less than a round trip the sender may
    /// have waited for it, and the window grows. `delay` is the round trip's; before it is known the
    /// window grows once, and once it is known a path that needs a larger one gets that at once.
    #[must_use]
    pub fn due(&mut self, now: Duration, delay: Option<Duration>) -> Option<u32> {
        let needed = delay.map_or(0, under_way);
        if self.used < self.size / 4 && needed <= self.size {
            return None;
        }
        let took = now.saturating_sub(self.granted_at);
        let may_be_short = match delay {
            Some(delay) => took < delay,
            None => self.size == FIRST_WINDOW,
        };
        let wanted = if needed > self.size {
            needed
        } else if may_be_short {
            (self.size * GROWTH).min(LARGEST_WINDOW)
        } else {
            self.size
        };
        let growth = wanted - self.size;
        let grant = self.used + growth;
        self.size += growth;
        self.open += grant;
        self.used = 0;
        self.granted_at = now;
        Some(grant)
    }
}

/// How much is under way, in bytes, on a path with that round trip; no more than a window holds.
fn under_way(delay: Duration) -> u32 {
    let bytes = delay.as_micros() * u128::from(RATE) / 1_000_000;
    u32::try_from(bytes).map_or(LARGEST_WINDOW, |bytes| bytes.min(LARGEST_WINDOW))
}
