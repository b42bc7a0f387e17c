//! Who runs, and until when.

use crate::kernel::Action;
use crate::objects::{Id, Queued, State};
use crate::{Environment, Kernel};

impl Kernel<'_> {
    /// Whether the thread may be chosen or go on: it has something to do, and a scheduling context that has budget.
    #[inline(always)]
    pub(crate) fn is_schedulable(&self, id: Id) -> bool {
        let thread = &self.pds[id.slot()].thread;
        thread.state == State::Running && thread.sc.is_some() && thread.queued != Queued::Release
    }

    /// Whether the current thread goes on unless a more important one becomes ready.
    #[inline(always)]
    pub(crate) fn current_goes_on(&self) -> bool {
        let thread = &self.pds[self.current.slot()].thread;
        thread.state == State::Running && thread.sc.is_some() && thread.queued == Queued::No
    }

    /// Puts a schedulable thread first among the ready ones of its level.
    #[inline(always)]
    pub(crate) fn enqueue_first(&mut self, id: Id) {
        let thread = &mut self.pds[id.slot()].thread;
        if thread.queued != Queued::No {
            return;
        }
        thread.queued = Queued::Ready;
        let (level, bit) = ((thread.level & 63) as usize, thread.level_bit);
        self.levels[level] = self.push_front(self.levels[level], id);
        self.ready |= bit;
    }

    /// Puts a schedulable thread last among the ready ones of its level.
    pub(crate) fn enqueue_last(&mut self, id: Id) {
        let thread = &mut self.pds[id.slot()].thread;
        if thread.queued != Queued::No {
            return;
        }
        thread.queued = Queued::Ready;
        let (level, bit) = ((thread.level & 63) as usize, thread.level_bit);
        self.levels[level] = self.push_back(self.levels[level], id);
        self.ready |= bit;
    }

    /// Takes a thread out of whichever of the scheduler's queues it is in.
    pub(crate) fn dequeue(&mut self, id: Id) {
        let thread = &mut self.pds[id.slot()].thread;
        match core::mem::take(&mut thread.queued) {
            Queued::No => {}
            Queued::Ready => {
                let (level, bit) = ((thread.level & 63) as usize, thread.level_bit);
                let queue = self.unlink(self.levels[level], id);
                self.levels[level] = queue;
                if queue.head.is_none() {
                    self.ready &= !bit;
                }
            }
            Queued::Release => {
                self.release = self.unlink(self.release, id);
                self.update_next_event();
            }
        }
    }

    /// Lets a thread wait until its scheduling context has budget again.
    pub(crate) fn postpone(&mut self, id: Id) {
        self.dequeue(id);
        let time = self.release_time(id);
        self.pds[id.slot()].thread.queued = Queued::Release;
        self.release = self.insert_before(self.release, id, |kernel, other| kernel.release_time(other) > time);
        self.update_next_event();
    }

    fn update_next_event(&mut self) {
        self.next_event = self.domain_end;
        if self.release.head.is_some() {
            self.next_event = self.next_event.min(self.release_time(self.release.head));
        }
        self.deadline_stale = true;
    }

    fn release_time(&self, id: Id) -> u64 {
        let sc = self.pds[id.slot()].thread.sc;
        self.pds[sc.slot()].sched_context.ready_time()
    }

    /// Makes the scheduler look at all threads. A thread that was already picked goes back to the ready ones.
    pub(crate) fn choose_anew(&mut self) {
        if let Action::Switch(picked) = self.action
            && self.is_schedulable(picked)
        {
            self.enqueue_first(picked);
        }
        self.action = Action::Choose;
    }

    /// A thread became able to run: now, if it is more important than the current one.
    #[inline(always)]
    pub(crate) fn wake(&mut self, env: &mut impl Environment, id: Id) {
        let thread = &self.pds[id.slot()].thread;
        if thread.state != State::Running || thread.queued != Queued::No || thread.sc.is_none() || id == self.current {
            return;
        }
        let sc = &self.pds[thread.sc.slot()].sched_context;
        if !sc.is_round_robin() && sc.ready_time() > env.now() {
            self.postpone(id);
            return;
        }
        let bit = thread.level_bit;
        if bit & self.domain_levels == 0 {
            self.enqueue_first(id);
            return;
        }
        if self.action != Action::Resume {
            self.choose_anew();
            self.enqueue_first(id);
            return;
        }
        if self.current_goes_on() {
            let current_bit = self.pds[self.current.slot()].thread.level_bit;
            if current_bit < bit {
                self.enqueue_first(id);
                return;
            }
            if current_bit == bit {
                self.enqueue_last(id);
                return;
            }
        }
        self.action = Action::Switch(id);
    }

    /// Ends a kernel entry: makes the thread current that is to run, and pays for the one that ran.
    #[inline(always)]
    pub(crate) fn schedule(&mut self, env: &mut impl Environment) {
        if self.deadline_stale || !self.nothing_changed() {
            self.reschedule(env);
        }
    }

    /// The current thread goes on, and on the scheduling context that it ran on.
    #[inline(always)]
    fn nothing_changed(&self) -> bool {
        let thread = &self.pds[self.current.slot()].thread;
        self.action == Action::Resume
            && thread.state == State::Running
            && thread.queued == Queued::No
            && thread.sc == self.current_sc
    }

    fn reschedule(&mut self, env: &mut impl Environment) {
        let now = env.now();
        let mut next = self.current;
        if !self.nothing_changed() {
            self.requeue_current(now);
            next = self.pick(now);
        }
        self.action = Action::Resume;
        self.current = next;
        self.enter_sched_context(now);
        if self.deadline_stale {
            self.deadline_stale = false;
            let deadline = self.deadline();
            env.set_deadline(deadline);
        }
    }

    /// The current thread may lose the processor: pays, and queues it where it goes on later.
    fn requeue_current(&mut self, now: u64) {
        if self.current.is_none() || !self.current_goes_on() {
            return;
        }
        let same_sc = self.pds[self.current.slot()].thread.sc == self.current_sc;
        let over = self.charge(now) && same_sc;
        let sc = self.pds[self.current.slot()].thread.sc;
        if !self.pds[sc.slot()].sched_context.is_ready(now) {
            self.postpone(self.current);
        } else if over {
            self.enqueue_last(self.current);
        } else {
            self.enqueue_first(self.current);
        }
    }

    /// The thread to run next, taken out of its queue.
    fn pick(&mut self, now: u64) -> Id {
        if let Action::Switch(candidate) = self.action
            && self.is_schedulable(candidate)
            && self.pds[candidate.slot()].thread.queued == Queued::No
        {
            let bit = self.pds[candidate.slot()].thread.level_bit;
            let current_waits = self.pds[self.current.slot()].thread.queued == Queued::Ready;
            let more_important = self.ready & self.domain_levels & (bit - 1) != 0;
            let equal = current_waits && self.pds[self.current.slot()].thread.level_bit == bit;
            if !more_important && !equal && self.has_budget(candidate, now) {
                return candidate;
            }
            if equal {
                self.enqueue_last(candidate);
            } else {
                self.enqueue_first(candidate);
            }
        }
        loop {
            let ready = self.ready & self.domain_levels;
            if ready == 0 {
                return Id::NONE;
            }
            let id = self.levels[lowest_bit(ready)].head;
            self.dequeue(id);
            if self.has_budget(id, now) {
                return id;
            }
            // Its context was lent to it, or used up, while it waited for its turn.
            self.postpone(id);
        }
    }

    fn has_budget(&self, id: Id, now: u64) -> bool {
        let sc = self.pds[id.slot()].thread.sc;
        self.pds[sc.slot()].sched_context.is_ready(now)
    }

    /// Lets the current scheduling context pay until `now`. True if its turn is over.
    pub(crate) fn charge(&mut self, now: u64) -> bool {
        let used = now.saturating_sub(self.charged_until);
        self.charged_until = now;
        if self.current_sc.is_none() {
            return false;
        }
        let over = self.pds[self.current_sc.slot()].sched_context.charge(used, self.min_budget);
        self.deadline_stale |= over;
        over
    }

    /// From `now` on, the current thread's scheduling context pays.
    #[inline(always)]
    pub(crate) fn enter_sched_context(&mut self, now: u64) {
        let sc = self.pds[self.current.slot()].thread.sc;
        if sc != self.current_sc {
            self.charge(now);
            self.current_sc = sc;
            self.pds[sc.slot()].sched_context.begin(now);
            self.deadline_stale = true;
        }
    }

    /// When the machine must call the kernel at the latest.
    #[inline(always)]
    pub(crate) fn deadline(&self) -> u64 {
        if self.current.is_none() {
            return self.next_event;
        }
        let available = self.pds[self.current_sc.slot()].sched_context.available();
        self.next_event.min(self.charged_until.saturating_add(available))
    }

    /// The `time` register has reached the deadline (or an earlier one; being called for nothing does no harm).
    pub fn timer(&mut self, env: &mut impl Environment) {
        let now = env.now();
        self.deadline_stale = true;
        if now >= self.domain_end {
            self.next_domain(now);
            self.choose_anew();
        }
        if self.current_goes_on() {
            let sc = &self.pds[self.current_sc.slot()].sched_context;
            let used = now.saturating_sub(self.charged_until);
            if sc.available().saturating_sub(used) < self.min_budget {
                self.charge(now);
                self.end_turn(now);
            }
        }
        while self.release.head.is_some() && self.release_time(self.release.head) <= now {
            let id = self.release.head;
            self.dequeue(id);
            self.wake(env, id);
        }
        self.schedule(env);
    }

    /// The current thread's turn is over: others of its level go first, or it waits for budget.
    fn end_turn(&mut self, now: u64) {
        if self.has_budget(self.current, now) {
            self.enqueue_last(self.current);
        } else {
            self.postpone(self.current);
        }
        self.choose_anew();
    }

    /// The current thread gives up the rest of its turn.
    pub(crate) fn yield_turn(&mut self, env: &mut impl Environment) {
        let now = env.now();
        if !self.charge(now) {
            self.pds[self.current_sc.slot()].sched_context.forfeit(self.min_budget);
        }
        self.deadline_stale = true;
        self.end_turn(now);
    }

    fn next_domain(&mut self, now: u64) {
        let Some(schedule) = self.domain_schedule else {
            return;
        };
        let next = self.domain_index + 1;
        let is_entry = schedule.get(next).is_some_and(|slot| slot.duration_ticks != 0);
        self.enter_domain(if is_entry { next } else { self.domain_start }, now);
    }

    /// Begins the turn of an entry of the domain schedule.
    pub(crate) fn enter_domain(&mut self, index: usize, now: u64) {
        let Some(slot) = self.domain_schedule.and_then(|schedule| schedule.get(index)) else {
            return;
        };
        self.domain_index = index;
        self.domain_end = now.saturating_add(slot.duration_ticks);
        self.update_next_event();
        self.domain_levels = 0;
        for (level, domain) in self.level_domains.iter().enumerate() {
            if u64::from(*domain) == slot.domain {
                self.domain_levels |= 1 << level;
            }
        }
    }
}

/// The number of the lowest bit that is set; 0 when none is. The machine has no instruction for it, and this is shorter
/// than what the compiler makes of `trailing_zeros`.
#[inline(always)]
pub(crate) fn lowest_bit(bits: u64) -> usize {
    const SEQUENCE: u64 = 0x03f7_9d71_b4cb_0a89;
    const TABLE: [u8; 64] = {
        let mut table = [0; 64];
        let mut bit = 0;
        while bit < 64 {
            table[((1u64 << bit).wrapping_mul(SEQUENCE) >> 58) as usize] = bit as u8;
            bit += 1;
        }
        table
    };
    usize::from(TABLE[((bits & bits.wrapping_neg()).wrapping_mul(SEQUENCE) >> 58) as usize] & 63)
}
