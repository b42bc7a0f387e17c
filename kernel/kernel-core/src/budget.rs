//! Budgets: what a scheduling context may use, and when.
//!
//! A context with a period is a sporadic server with two refills, as seL4's MCS kernel has it: what is used at time t
//! comes back at t + period, so that no window of one period sees more than the budget. A context whose period equals
//! its budget is a time slice of round robin: it never waits.

use crate::objects::{Refill, SchedContext};

impl SchedContext {
    /// A context with its whole budget from `now` on.
    pub(crate) fn start(&mut self, budget: u64, period: u64, now: u64) {
        self.budget = budget;
        self.period = if period == budget { 0 } else { period };
        self.refills = [Refill { time: now, amount: budget }, Refill::default()];
        self.refill_count = 1;
    }

    /// Whether its threads take turns instead of waiting for budget.
    pub(crate) fn is_round_robin(&self) -> bool {
        self.period == 0
    }

    /// Whether a thread may run on it at `now`.
    pub(crate) fn is_ready(&self, now: u64) -> bool {
        self.is_round_robin() || self.refills[0].time <= now
    }

    /// When [`Self::is_ready`] becomes true.
    pub(crate) fn ready_time(&self) -> u64 {
        self.refills[0].time
    }

    /// Ticks that may be used without a pause.
    pub(crate) fn available(&self) -> u64 {
        self.refills[0].amount
    }

    /// Takes `used` ticks off the budget. True if the turn is over: the context must wait, or let
    /// others of its priority go first.
    pub(crate) fn charge(&mut self, used: u64, min_budget: u64) -> bool {
        if self.is_round_robin() {
            return self.charge_round_robin(used, min_budget);
        }
        self.consumed = self.consumed.wrapping_add(used);
        let over = self.refills[0].amount.saturating_sub(used) < min_budget;
        self.take(used, min_budget);
        over
    }

    /// [`Self::charge`] for a context that is known to be round robin.
    #[inline(always)]
    pub(crate) fn charge_round_robin(&mut self, used: u64, min_budget: u64) -> bool {
        self.consumed = self.consumed.wrapping_add(used);
        let amount = self.refills[0].amount;
        let over = amount < used.saturating_add(min_budget);
        self.refills[0].amount = if over { self.budget } else { amount - used };
        over
    }

    /// Gives up the rest of the turn.
    pub(crate) fn forfeit(&mut self, min_budget: u64) {
        if self.is_round_robin() {
            self.refills[0].amount = self.budget;
        } else {
            self.take(self.refills[0].amount, min_budget);
        }
    }

    fn take(&mut self, used: u64, min_budget: u64) {
        let mut used = used;
        if used >= self.refills[0].amount {
            used = self.take_whole_refills(used);
            // A timer is always a little late. Splitting a refill for that would fragment the budget, and a third
            // fragment delays the second by most of a period; so the next refills come later by what was overrun.
            if used < min_budget {
                for refill in &mut self.refills {
                    refill.time = refill.time.saturating_add(used);
                }
                used = 0;
            }
        }
        if used > 0 {
            let head = self.refills[0];
            self.refills[0] = Refill { time: head.time.saturating_add(used), amount: head.amount - used };
            self.give_back(Refill { time: head.time.saturating_add(self.period), amount: used });
        }
        // What is too little to enter and leave the kernel with is added to the next refill, which ends no later for it.
        if self.refills[0].amount < min_budget && self.refill_count == 2 {
            let head = self.refills[0];
            self.drop_head();
            self.refills[0].amount += head.amount;
            self.refills[0].time = self.refills[0].time.saturating_sub(head.amount);
        }
    }

    /// Takes refills that are used up, and schedules them to come back. Returns what was used beyond them.
    fn take_whole_refills(&mut self, used: u64) -> u64 {
        // Every whole budget that was used moves all refills one period on.
        let periods = used / self.budget;
        for refill in &mut self.refills {
            refill.time = refill.time.saturating_add(periods.saturating_mul(self.period));
        }
        let mut used = used % self.budget;
        while used >= self.refills[0].amount {
            let mut head = self.refills[0];
            used -= head.amount;
            head.time = head.time.saturating_add(self.period);
            if self.refill_count == 1 {
                self.refills[0] = head;
            } else {
                self.drop_head();
                self.give_back(head);
            }
        }
        used
    }

    fn drop_head(&mut self) {
        self.refills[0] = self.refills[1];
        self.refill_count = 1;
    }

    /// Schedules used budget to come back. A third refill is merged with the second, which is delayed for it.
    fn give_back(&mut self, new: Refill) {
        let tail = &mut self.refills[usize::from(self.refill_count == 2)];
        if tail.time.saturating_add(tail.amount) >= new.time {
            tail.amount += new.amount;
        } else if self.refill_count == 1 {
            self.refills[1] = new;
            self.refill_count = 2;
        } else {
            tail.time = new.time.saturating_sub(tail.amount);
            tail.amount += new.amount;
        }
    }

    /// Begins to be used at `now`: what was ready earlier counts from now on, together with what becomes ready meanwhile.
    pub(crate) fn begin(&mut self, now: u64) {
        if self.is_round_robin() || self.refills[0].time > now {
            return;
        }
        self.refills[0].time = now;
        if self.refill_count == 2 && self.refills[1].time <= now.saturating_add(self.refills[0].amount) {
            self.refills[0].amount += self.refills[1].amount;
            self.refill_count = 1;
        }
    }
}
