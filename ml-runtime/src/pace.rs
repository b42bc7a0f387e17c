//! Looking up within an operator, so that a run that is to stop does so in bounded time.

use core::ops::ControlFlow;

/// Multiply-accumulates, or as much work of another kind, between two looks: some ten thousand instructions.
const WORK: usize = 1 << 15;

/// Counts work, and calls whoever wants to look.
pub(crate) struct Pace<'p> {
    /// Work until the next look.
    left: usize,
    look: &'p mut dyn FnMut() -> ControlFlow<()>,
    stopped: bool,
}

impl<'p> Pace<'p> {
    /// Calls `look` now and then; [`ControlFlow::Break`] stops the operator.
    pub fn new(look: &'p mut dyn FnMut() -> ControlFlow<()>) -> Self {
        Pace { left: WORK, look, stopped: false }
    }

    /// Says that this much was done. `None` if the operator is to stop; its outputs are then not complete.
    #[inline(always)]
    pub fn worked(&mut self, amount: usize) -> Option<()> {
        self.left = self.left.saturating_sub(amount);
        if self.left == 0 { self.look() } else { Some(()) }
    }

    #[cold]
    #[inline(never)]
    fn look(&mut self) -> Option<()> {
        self.left = WORK;
        self.stopped |= (self.look)().is_break();
        (!self.stopped).then_some(())
    }

    /// Whether the operator was stopped.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_after_so_much_work_and_stops_for_good() {
        let mut looks = 0;
        let mut look = || {
            looks += 1;
            if looks == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let mut pace = Pace::new(&mut look);
        for _ in 0..5 {
            assert!(pace.worked(WORK / 2).is_some());
        }
        assert_eq!((pace.worked(1 << 40), pace.is_stopped()), (None, true));
        assert_eq!(pace.worked(1 << 40), None);
        assert_eq!(looks, 4);
    }
}
