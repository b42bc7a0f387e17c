//! Jobs that always end: done, refused, cancelled, timed out, crashed, or lost with the accelerator.
//!
//! The accelerator takes jobs in order, so the oldest is the one that runs. If that one crashes it, answers nonsense, takes
//! longer than its limit or is cancelled, the accelerator is reset, and the jobs behind it are given anew.

use heapless::Deque;

use crate::device::{Accelerator, NotFound};
use crate::layout::{Answer, Command, RING_ENTRIES, status};
use crate::registers::{Counters, Registers};

/// Jobs that the driver holds at most.
pub const MAX_JOBS: usize = RING_ENTRIES as usize;

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The accelerator answered; the status says whether it ran.
    Answered(Answer),
    /// It was cancelled.
    Cancelled,
    /// It took longer than its limit.
    TimedOut,
    /// The accelerator's heartbeat stopped.
    Hung,
    /// Somebody asked for a reset.
    Reset,
    /// The accelerator crashed in it; its error registers.
    Crashed {
        /// Cause, as the accelerator's hart numbers them.
        cause: u32,
        /// Where.
        pc: u64,
        /// About which address.
        value: u64,
    },
    /// The accelerator answered what cannot be.
    Nonsense,
    /// The accelerator no longer obeys a reset.
    Lost,
}

/// A job that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its number.
    pub job: u64,
    /// How it ended.
    pub fate: Fate,
}

/// Why a job was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// There are [`MAX_JOBS`] already.
    Full,
    /// The accelerator does not obey.
    Lost,
}

/// What the driver counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Jobs that the accelerator answered.
    pub answered: u64,
    /// Resets for a job's sake, by reason: cancelled.
    pub cancelled: u64,
    /// Timed out.
    pub timed_out: u64,
    /// Hung.
    pub hung: u64,
    /// Crashed.
    pub crashed: u64,
    /// Nonsense.
    pub nonsense: u64,
    /// Asked for.
    pub asked: u64,
}

impl Totals {
    /// All resets but the first one.
    pub fn resets(&self) -> u64 {
        self.cancelled + self.timed_out + self.hung + self.crashed + self.nonsense + self.asked
    }
}

/// How long the driver waits for the accelerator.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a reset. One that takes longer will not come.
    pub reset_ticks: u64,
    /// For the next beat of its heart while it runs a job.
    pub beat_ticks: u64,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    command: Command,
    limit_ticks: u64,
    cancelled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Ready,
    /// A reset was asked for at this time.
    Resetting(u64),
    Lost,
}

/// The driver.
pub struct Driver<R> {
    accelerator: Accelerator<R>,
    jobs: Deque<Pending, MAX_JOBS>,
    phase: Phase,
    /// When the oldest job became the oldest, or was given anew.
    begun_ticks: u64,
    /// The heartbeat when it was last seen to have gone on since then, and when that was.
    heart: (u32, u64),
    next_job: u64,
    patience: Patience,
    totals: Totals,
}

impl<R: Registers> Driver<R> {
    /// A driver of the accelerator behind `registers`, which is reset first.
    ///
    /// # Errors
    /// If there is no such accelerator.
    pub fn new(registers: R, now_ticks: u64, patience: Patience) -> Result<Self, NotFound> {
        let mut accelerator = Accelerator::find(registers)?;
        accelerator.reset();
        Ok(Driver {
            accelerator,
            jobs: Deque::new(),
            phase: Phase::Resetting(now_ticks),
            begun_ticks: now_ticks,
            heart: (0, now_ticks),
            next_job: 1,
            patience,
            totals: Totals::default(),
        })
    }

    /// Takes a job, which then always ends in an [`Outcome`] with the number that this returns. `limit_ticks` counts from
    /// when the accelerator can begin it.
    ///
    /// # Errors
    /// If the queue is full or the accelerator lost.
    pub fn submit(&mut self, command: &Command, limit_ticks: u64, now_ticks: u64) -> Result<u64, SubmitError> {
        if self.phase == Phase::Lost {
            return Err(SubmitError::Lost);
        }
        let job = self.next_job;
        let command = Command { job, ..*command };
        let first = self.jobs.is_empty();
        self.jobs.push_back(Pending { command, limit_ticks, cancelled: false }).map_err(|_| SubmitError::Full)?;
        self.next_job += 1;
        if first {
            self.begin_oldest(now_ticks);
        }
        // While it resets, jobs wait here; the ring has a place for each that the queue has.
        if self.phase == Phase::Ready && self.accelerator.give(&command).is_err() {
            self.begin_reset(now_ticks);
        }
        Ok(job)
    }

    /// Cancels a job; its outcome follows. False if there is no such job.
    pub fn cancel(&mut self, job: u64) -> bool {
        match self.jobs.iter_mut().find(|pending| pending.command.job == job) {
            Some(pending) => {
                pending.cancelled = true;
                true
            }
            None => false,
        }
    }

    /// The accelerator's interrupt. [`Driver::turn`] follows.
    pub fn interrupt(&self) {
        self.accelerator.acknowledge();
    }

    /// Does what there is to do, and returns a job that ended. To be called again until it returns `None`.
    pub fn turn(&mut self, now_ticks: u64) -> Option<Outcome> {
        match self.phase {
            Phase::Lost => self.end_oldest(Fate::Lost, now_ticks),
            Phase::Resetting(_) if self.accelerator.is_reset() => {
                self.phase = Phase::Ready;
                self.begin_oldest(now_ticks);
                for pending in &self.jobs {
                    // The ring was emptied, and has a place for each.
                    let _ = self.accelerator.give(&pending.command);
                }
                self.look(now_ticks)
            }
            Phase::Resetting(since) if now_ticks.saturating_sub(since) > self.patience.reset_ticks => {
                self.phase = Phase::Lost;
                self.end_oldest(Fate::Lost, now_ticks)
            }
            Phase::Resetting(_) => None,
            Phase::Ready => self.look(now_ticks),
        }
    }

    /// When [`Driver::turn`] is to be called though nothing else happened.
    pub fn wake_ticks(&self) -> Option<u64> {
        match self.phase {
            Phase::Lost => None,
            Phase::Resetting(since) => Some(since.saturating_add(self.patience.reset_ticks).saturating_add(1)),
            Phase::Ready => {
                let oldest = self.jobs.front()?;
                let limit_ticks = self.begun_ticks.saturating_add(oldest.limit_ticks);
                let beat_ticks = self.heart.1.saturating_add(self.patience.beat_ticks);
                Some(limit_ticks.min(beat_ticks).saturating_add(1))
            }
        }
    }

    /// Resets the accelerator, and tries again with one that was lost. The oldest job ends; the others begin anew.
    pub fn reset(&mut self, now_ticks: u64) -> Option<Outcome> {
        self.totals.asked += 1;
        self.begin_reset(now_ticks);
        self.end_oldest(Fate::Reset, now_ticks)
    }

    /// Jobs under way.
    pub fn waiting(&self) -> usize {
        self.jobs.len()
    }

    /// Whether it waits for a reset to be done.
    pub fn is_resetting(&self) -> bool {
        matches!(self.phase, Phase::Resetting(_))
    }

    /// Whether the accelerator obeys no more.
    pub fn is_lost(&self) -> bool {
        self.phase == Phase::Lost
    }

    /// The memory that the accelerator shares with the system: where that begins, and its bytes.
    pub fn window(&self) -> (u64, u64) {
        self.accelerator.window()
    }

    /// Whether the accelerator obeys and nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Ready && self.jobs.is_empty()
    }

    /// What the driver counted.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// What the accelerator counted; it says so itself.
    pub fn counters(&self) -> Counters {
        self.accelerator.counters()
    }

    fn look(&mut self, now_ticks: u64) -> Option<Outcome> {
        let heard = self.accelerator.hear();
        let Some(oldest) = self.jobs.front().copied() else {
            // Nothing was asked, so there is nothing to say.
            if heard != Ok(None) || self.accelerator.has_crashed() {
                self.begin_reset(now_ticks);
            }
            return None;
        };
        let fate = match heard {
            Ok(Some(answer)) if answer.job == oldest.command.job && answer.status <= status::MODEL_CHANGED => {
                self.totals.answered += 1;
                return self.end_oldest(Fate::Answered(answer), now_ticks);
            }
            Ok(Some(_)) | Err(_) => Fate::Nonsense,
            Ok(None) if self.accelerator.has_crashed() => {
                let Counters { error_cause: cause, error_pc: pc, error_value: value, .. } = self.accelerator.counters();
                Fate::Crashed { cause, pc, value }
            }
            Ok(None) if oldest.cancelled => Fate::Cancelled,
            Ok(None) if now_ticks.saturating_sub(self.begun_ticks) > oldest.limit_ticks => Fate::TimedOut,
            Ok(None) if self.heart_has_stopped(now_ticks) => Fate::Hung,
            Ok(None) => return None,
        };
        let counter = match fate {
            Fate::Cancelled => &mut self.totals.cancelled,
            Fate::TimedOut => &mut self.totals.timed_out,
            Fate::Hung => &mut self.totals.hung,
            Fate::Crashed { .. } => &mut self.totals.crashed,
            _ => &mut self.totals.nonsense,
        };
        *counter += 1;
        self.begin_reset(now_ticks);
        self.end_oldest(fate, now_ticks)
    }

    /// The oldest job is the one that runs from now on.
    fn begin_oldest(&mut self, now_ticks: u64) {
        self.begun_ticks = now_ticks;
        self.heart = (self.accelerator.heartbeat(), now_ticks);
    }

    fn heart_has_stopped(&mut self, now_ticks: u64) -> bool {
        let beats = self.accelerator.heartbeat();
        if beats != self.heart.0 {
            self.heart = (beats, now_ticks);
        }
        now_ticks.saturating_sub(self.heart.1) > self.patience.beat_ticks
    }

    fn begin_reset(&mut self, now_ticks: u64) {
        self.accelerator.reset();
        self.phase = Phase::Resetting(now_ticks);
    }

    fn end_oldest(&mut self, fate: Fate, now_ticks: u64) -> Option<Outcome> {
        let ended = self.jobs.pop_front()?;
        self.begin_oldest(now_ticks);
        Some(Outcome { job: ended.command.job, fate })
    }
}
