//! The processor as an engine: models run in the runner's own time, an operator a step.
//!
//! Several jobs may be active: one of a higher priority begins beside those that stand back for it, each with a part of the
//! one arena of its own. What is left is told by [`Engine::has_room`]; a job for which there is no room waits until the others
//! have ended.

use core::ops::{ControlFlow, Range};

use heapless::Vec;
use ml_runtime::{ARENA_ALIGN, Interpreter, InvokeError, Observer, Step};

use crate::Clock;
use crate::engine::{Engine, Outcome, Progress, Spent, Task, Ticket, Watch};
use crate::models::ModelSet;

/// Jobs that may be active at once: one for each of some levels of priority.
pub const MAX_ACTIVE: usize = 4;

/// The processor.
pub struct Processor<C> {
    models: ModelSet,
    clock: C,
    active: Vec<Active, MAX_ACTIVE>,
}

/// A job that has begun.
struct Active {
    task: Task,
    /// Its part of the arena.
    arena: Range<usize>,
    /// The operator that is next.
    next: usize,
    stopped: bool,
}

impl<C: Clock> Processor<C> {
    /// The processor, for these models.
    pub fn new(models: ModelSet, clock: C) -> Self {
        Processor { models, clock, active: Vec::new() }
    }

    /// The lowest part of the arena that no active job has and that has room for `bytes`.
    fn gap(&self, bytes: usize) -> Option<Range<usize>> {
        let bytes = bytes.next_multiple_of(ARENA_ALIGN);
        let ends = self.active.iter().map(|active| active.arena.end);
        let starts = core::iter::once(0).chain(ends);
        let fits = |start: &usize| {
            let end = start + bytes;
            end <= self.models.arena_bytes()
                && self.active.iter().all(|active| end <= active.arena.start || active.arena.end <= *start)
        };
        starts.filter(fits).min().map(|start| start..start + bytes)
    }

    fn arena_bytes(&self, model: usize) -> Option<usize> {
        Some(self.models.info(model)?.arena_bytes as usize)
    }

    /// Runs the next operator of an active job. `None` if there is one more.
    fn compute(&mut self, index: usize, watch: &mut dyn Watch, copied: &mut u64) -> Option<Outcome> {
        let Some(active) = self.active.get_mut(index) else { return Some(Outcome::Failed) };
        if active.stopped {
            return Some(Outcome::Stopped);
        }
        let Task { model, input, output, mut region, .. } = active.task;
        let Some((input, output)) = region.tensors(input, output) else { return Some(Outcome::Failed) };
        let Some((resident, arena)) = self.models.get(model) else { return Some(Outcome::Failed) };
        let Some(arena) = arena.get_mut(active.arena.clone()) else { return Some(Outcome::Failed) };
        let mut looker = Looker(watch);
        let result = Interpreter::new(&resident.model, arena).and_then(|mut interpreter| {
            let result = interpreter.run_operator(active.next, &[input], &mut [output], &mut looker);
            *copied = interpreter.bytes_copied();
            result
        });
        active.next += 1;
        match result {
            Ok(()) if active.next < resident.model.operator_count() => None,
            Ok(()) => Some(Outcome::Done),
            Err(InvokeError::Stopped) => Some(Outcome::Stopped),
            Err(_) => Some(Outcome::Failed),
        }
    }
}

impl<C: Clock> Engine for Processor<C> {
    fn runs(&self, _: usize, model: usize) -> bool {
        self.models.info(model).is_some()
    }

    fn has_room(&self, model: usize) -> bool {
        !self.active.is_full() && self.arena_bytes(model).is_some_and(|bytes| self.gap(bytes).is_some())
    }

    fn begin(&mut self, task: &Task) {
        // Were there no room after all, the job would end at its first step.
        let arena = self.arena_bytes(task.model).and_then(|bytes| self.gap(bytes)).unwrap_or(0..0);
        let _ = self.active.push(Active { task: *task, arena, next: 0, stopped: false });
    }

    fn step(&mut self, ticket: Ticket, watch: &mut dyn Watch) -> Progress {
        let index = self.active.iter().position(|active| active.task.ticket == ticket);
        let (ns, instructions) = (self.clock.now_ns(), self.clock.instructions());
        let mut bytes_copied = 0;
        let outcome = match index {
            Some(index) => self.compute(index, watch, &mut bytes_copied),
            None => Some(Outcome::Failed),
        };
        let spent = Spent {
            ns: self.clock.now_ns().saturating_sub(ns),
            instructions: self.clock.instructions().wrapping_sub(instructions),
            bytes_copied,
        };
        match (outcome, index) {
            (None, _) => Progress::Working(spent),
            (Some(outcome), index) => {
                if let Some(index) = index {
                    self.active.swap_remove(index);
                }
                Progress::Ended(outcome, spent)
            }
        }
    }

    fn stop(&mut self, ticket: Ticket) {
        if let Some(active) = self.active.iter_mut().find(|active| active.task.ticket == ticket) {
            active.stopped = true;
        }
    }
}

/// Looks up before each operator and within long ones.
struct Looker<'w>(&'w mut dyn Watch);

impl Observer for Looker<'_> {
    fn before(&mut self, _: &Step) -> ControlFlow<()> {
        self.0.look()
    }

    fn during(&mut self) -> ControlFlow<()> {
        self.0.look()
    }
}
