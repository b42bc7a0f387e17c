//! When an app that has ended is started again.

use bundle::Restart;

/// The first delay, in nanoseconds. It doubles each time.
pub const FIRST_DELAY_NS: u64 = 500_000_000;
/// The longest delay.
pub const MAX_DELAY_NS: u64 = 60_000_000_000;
/// An app that ran so long is forgiven what happened before.
pub const FORGIVEN_NS: u64 = 60_000_000_000;

/// How an app ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It faulted.
    Fault,
    /// It exited.
    Exit,
}

/// What an app has done to the patience with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patience {
    /// How often it was started again without running long in between.
    again: u32,
}

impl Patience {
    /// After how long to start an app again that ran for `ran_ns`; `None`: not at all.
    pub fn delay_ns(&mut self, policy: Restart, end: End, ran_ns: u64) -> Option<u64> {
        let wanted = match policy {
            Restart::Never => false,
            Restart::OnFault => end == End::Fault,
            Restart::Always => true,
        };
        if ran_ns >= FORGIVEN_NS {
            self.again = 0;
        }
        let delay_ns = FIRST_DELAY_NS << self.again.min(20);
        self.again = if wanted { self.again.saturating_add(1) } else { 0 };
        wanted.then_some(delay_ns.min(MAX_DELAY_NS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        for (policy, after_fault, after_exit) in
            [(Restart::Never, false, false), (Restart::OnFault, true, false), (Restart::Always, true, true)]
        {
            let again = |end| Patience::default().delay_ns(policy, end, 0).is_some();
            assert_eq!((again(End::Fault), again(End::Exit)), (after_fault, after_exit));
        }
    }

    #[test]
    fn delays_double_to_a_limit_and_begin_anew_after_a_long_run() {
        let mut patience = Patience::default();
        let mut delays = (0..100).map(|_| patience.delay_ns(Restart::OnFault, End::Fault, 0).unwrap());
        let delays: Vec<_> = delays.by_ref().collect();
        assert_eq!(delays[..3], [FIRST_DELAY_NS, 2 * FIRST_DELAY_NS, 4 * FIRST_DELAY_NS]);
        assert!(delays.is_sorted() && delays[99] == MAX_DELAY_NS);
        assert_eq!(patience.delay_ns(Restart::OnFault, End::Fault, FORGIVEN_NS), Some(FIRST_DELAY_NS));
    }
}
