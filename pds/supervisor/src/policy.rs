//! How often a faulting child is restarted before it is left alone.
//!
//! A child is restarted at once, because the system waits for it; but at most [`MAX_RESTARTS`] times in
//! [`WINDOW_SECONDS`]. One that faults more often would fault again, and its restarts would take the processor from
//! everybody below the supervisor.

/// Restarts after faults within the window.
pub const MAX_RESTARTS: usize = 5;
/// Length of the window.
pub const WINDOW_SECONDS: u64 = 10;

/// When a child was restarted after its last faults.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecentRestarts {
    /// Times in ticks; the oldest is overwritten next.
    ticks: [u64; MAX_RESTARTS],
    next: usize,
    count: usize,
}

impl RecentRestarts {
    /// No restarts.
    pub const NONE: Self = Self { ticks: [0; MAX_RESTARTS], next: 0, count: 0 };

    /// Whether a child that has just faulted is to be restarted now; if so, this counts as one.
    pub fn allow(&mut self, now_ticks: u64, ticks_per_second: u64) -> bool {
        let window = ticks_per_second.saturating_mul(WINDOW_SECONDS);
        let full = self.count == MAX_RESTARTS;
        if full && now_ticks.saturating_sub(self.ticks[self.next]) < window {
            return false;
        }
        self.ticks[self.next] = now_ticks;
        self.next = (self.next + 1) % MAX_RESTARTS;
        self.count = (self.count + 1).min(MAX_RESTARTS);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_ends_and_a_quiet_child_is_forgiven() {
        let mut recent = RecentRestarts::NONE;
        for tick in 0..MAX_RESTARTS as u64 {
            assert!(recent.allow(tick, 10));
        }
        assert!(!recent.allow(5, 10));
        assert!(!recent.allow(99, 10));
        assert!(recent.allow(100, 10));
        assert!(!recent.allow(100, 10));
        assert!(recent.allow(101, 10));
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_in_any_window(steps in prop::collection::vec(0u64..60, 1..200)) {
            let (mut recent, mut now, mut restarts) = (RecentRestarts::NONE, 0, Vec::new());
            for step in steps {
                now += step;
                if recent.allow(now, 10) {
                    restarts.push(now);
                }
            }
            for (index, start) in restarts.iter().enumerate() {
                let within = restarts[index..].iter().take_while(|tick| **tick < start + 10 * WINDOW_SECONDS);
                prop_assert!(within.count() <= MAX_RESTARTS);
            }
        }
    }
}
