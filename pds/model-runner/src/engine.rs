//! What runs jobs: the seam between scheduling and computing.
//!
//! The scheduler decides which job is begun where, which one goes on, and which one is to stop. An engine computes, or
//! watches something that does, and says how a job ended. Whatever happens to it, each job that it began ends in bounded
//! time after [`Engine::stop`], or by itself.

use core::ops::ControlFlow;

use protocols::model::code;
use ring::Span;

use crate::region::DataRegion;

/// Names a job between scheduler and engine, for as long as it is active.
pub type Ticket = usize;

/// A job that an engine is to run.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// Its name.
    pub ticket: Ticket,
    /// The slot of its client.
    pub client: usize,
    /// The number of its model in the pack.
    pub model: usize,
    /// The client's region, in which the tensors lie: checked against its size, aligned, apart from each other, and of the
    /// model's sizes.
    pub region: DataRegion,
    /// Where the input lies.
    pub input: Span,
    /// Where the output goes.
    pub output: Span,
    /// When the scheduler will stop it at the latest, in nanoseconds of the [`crate::Clock`].
    pub give_up_ns: u64,
}

/// What a job cost since this was last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Nanoseconds of computing.
    pub ns: u64,
    /// Instructions that the engine retired.
    pub instructions: u64,
    /// Bytes of tensors that were moved without computing anything.
    pub bytes_copied: u64,
}

impl core::ops::AddAssign for Spent {
    fn add_assign(&mut self, other: Spent) {
        self.ns = self.ns.saturating_add(other.ns);
        self.instructions = self.instructions.saturating_add(other.instructions);
        self.bytes_copied = self.bytes_copied.saturating_add(other.bytes_copied);
    }
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The output is complete.
    Done,
    /// It was stopped, because the scheduler wanted that.
    Stopped,
    /// The model cannot be run.
    Failed,
    /// The engine crashed in it or answered nonsense, and was reset.
    Crashed,
    /// The engine did not get ahead with it, and was reset.
    Hung,
    /// The engine does not obey any more.
    Lost,
    /// The engine could not run it, and has not touched the output: it is queued again, for whatever runs it now.
    NotRun,
}

impl Outcome {
    /// What the client is told.
    pub(crate) fn code(self) -> u32 {
        match self {
            Outcome::Done => code::DONE,
            Outcome::Stopped | Outcome::Failed | Outcome::NotRun => code::FAULTED,
            Outcome::Crashed => code::CRASHED,
            Outcome::Hung => code::HUNG,
            Outcome::Lost => code::LOST,
        }
    }
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to compute.
    Working(Spent),
    /// It is computed elsewhere. The runner is notified, or looks again at [`Engine::wake_ns`].
    Waiting,
    /// The job is no longer active, and nothing touches its tensors any more.
    Ended(Outcome, Spent),
}

/// Looks up while an engine computes.
pub trait Watch {
    /// To be called now and then; [`ControlFlow::Break`] says that the job is to stop.
    fn look(&mut self) -> ControlFlow<()>;
}

/// Something that runs jobs.
pub trait Engine {
    /// Takes news of what works by itself. Called before the others, often.
    fn hear(&mut self) {}

    /// Whether jobs of this client with this model are to run here, now or when there is room. It may change: jobs that wait
    /// for an engine that went away run on the other one.
    fn runs(&self, client: usize, model: usize) -> bool;

    /// Whether a job of this model could begin now, beside those that are active.
    fn has_room(&self, model: usize) -> bool;

    /// Begins a job of which it was just said that there is room for it.
    fn begin(&mut self, task: &Task);

    /// Goes on with an active job: computes for a bounded time, calling `watch` within, or looks whether it has ended.
    fn step(&mut self, ticket: Ticket, watch: &mut dyn Watch) -> Progress;

    /// An active job is to end; [`Engine::step`] says when it has.
    fn stop(&mut self, ticket: Ticket);

    /// When [`Engine::step`] is to be called though nothing was notified, in nanoseconds of the [`crate::Clock`].
    fn wake_ns(&self) -> Option<u64> {
        None
    }
}
