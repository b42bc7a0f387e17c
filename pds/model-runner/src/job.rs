//! A job's life: waiting for its time, queued, active, ended; a periodic one goes round.

use protocols::model::{JobInfo, JobResult, MAX_DEADLINE_NS, Request, state};
use ring::Span;

use crate::engine::Spent;

/// Why an active job ends whose client does not know it any more: no reply says so.
pub(crate) const ABANDONED: u32 = u32::MAX;

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is released at [`Job::next_ns`].
    Waiting,
    /// It is released and has not begun.
    Queued,
    /// It is with the engine of this number.
    Active(usize),
}

/// An accepted job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    /// The client's own words, checked.
    pub request: Request,
    pub serial: u32,
    pub accepted_ns: u64,
    pub state: State,
    /// When the next run is released.
    pub next_ns: u64,
    /// When this run was released.
    pub queued_ns: u64,
    /// When this run is given up.
    pub give_up_ns: u64,
    pub started_ns: u64,
    /// What this run has cost.
    pub spent: Spent,
    /// Runs that have ended.
    pub runs: u32,
    /// Releases that were left out.
    pub missed: u32,
    /// The code with which an active job is to end.
    pub stop: Option<u32>,
    /// The engine knows that it is to end.
    pub told: bool,
}

impl Job {
    /// A job that was accepted now.
    pub fn new(request: &Request, serial: u32, now_ns: u64) -> Self {
        let next_ns = now_ns.saturating_add(request.start_ns);
        Job {
            request: *request,
            serial,
            accepted_ns: now_ns,
            state: State::Waiting,
            next_ns,
            queued_ns: next_ns,
            give_up_ns: u64::MAX,
            started_ns: 0,
            spent: Spent::default(),
            runs: 0,
            missed: 0,
            stop: None,
            told: false,
        }
    }

    pub fn is_periodic(&self) -> bool {
        self.request.period_ns != 0
    }

    pub fn spans(&self) -> [Span; 2] {
        [self.request.input, self.request.output]
    }

    /// Whether it is with this engine.
    pub fn is_active_on(&self, engine: usize) -> bool {
        self.state == State::Active(engine)
    }

    /// When something happens to it by itself.
    pub fn event_ns(&self) -> u64 {
        match self.state {
            State::Waiting => self.next_ns,
            State::Active(_) if self.stop.is_some() => u64::MAX,
            State::Queued | State::Active(_) => self.give_up_ns,
        }
    }

    /// Begins a run whose time has come: of several such, the last; the others were missed.
    pub fn release(&mut self, now_ns: u64) {
        self.skip_to(now_ns);
        let deadline_ns = match self.request.deadline_ns {
            0 => MAX_DEADLINE_NS,
            deadline_ns => deadline_ns,
        };
        self.state = State::Queued;
        self.queued_ns = self.next_ns;
        self.give_up_ns = self.next_ns.saturating_add(deadline_ns);
        self.next_ns = self.next_ns.saturating_add(self.request.period_ns);
        (self.started_ns, self.spent, self.stop, self.told) = (0, Spent::default(), None, false);
    }

    /// Leaves out the releases before the last one that is due.
    fn skip_to(&mut self, now_ns: u64) {
        let late = now_ns.saturating_sub(self.next_ns);
        let skipped = late.checked_div(self.request.period_ns).unwrap_or(0);
        self.next_ns = self.next_ns.saturating_add(skipped.saturating_mul(self.request.period_ns));
        self.missed = self.missed.saturating_add(u32::try_from(skipped).unwrap_or(u32::MAX));
    }

    /// A run is over: the next one waits for its time. Releases that fell into this run are left out. Returns how many.
    pub fn rest(&mut self, now_ns: u64) -> u64 {
        let before = self.missed;
        if now_ns >= self.next_ns {
            self.skip_to(now_ns);
            self.leave_out();
        }
        self.state = State::Waiting;
        u64::from(self.missed - before)
    }

    /// Leaves out one release.
    pub fn leave_out(&mut self) {
        self.next_ns = self.next_ns.saturating_add(self.request.period_ns);
        self.missed = self.missed.saturating_add(1);
    }

    /// What is told of a run that ended.
    pub fn result(&self, engine: u32, now_ns: u64, macs: u64) -> JobResult {
        JobResult {
            output: Span::default(),
            serial: self.serial,
            run: self.runs,
            missed: self.missed,
            engine,
            queued_ns: self.queued_ns,
            started_ns: self.started_ns,
            finished_ns: now_ns,
            compute_ns: self.spent.ns,
            instructions: self.spent.instructions,
            macs,
        }
    }

    /// What is told of it while it lives.
    pub fn info(&self, client: usize, pd: u32, now_ns: u64) -> JobInfo {
        let (state, engine) = match self.state {
            State::Waiting => (state::WAITING, 0),
            State::Queued => (state::QUEUED, 0),
            State::Active(engine) => (state::RUNNING, engine as u32),
        };
        JobInfo {
            serial: self.serial,
            client: client as u32,
            job: self.request.job,
            model: self.request.model,
            state,
            priority: self.request.priority,
            engine,
            runs: self.runs,
            missed: self.missed,
            pd,
            period_ns: self.request.period_ns,
            age_ns: now_ns.saturating_sub(self.accepted_ns),
        }
    }
}
