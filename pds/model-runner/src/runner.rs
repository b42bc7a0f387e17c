//! Turns: requests in, jobs to engines and on, replies out.

use core::ops::ControlFlow;

use protocols::model::{OPERATOR, Reply, Request, Status, engine};
use ring::{Link, Notify};

use crate::engine::{Engine, Progress, Ticket, Watch};
use crate::models::Infos;
use crate::region::DataRegion;
use crate::scheduler::{Next, Scheduler};

/// Number of the processor among the engines.
const PROCESSOR: usize = engine::PROCESSOR as usize;
/// Number of the accelerator.
const ACCELERATOR: usize = engine::ACCELERATOR as usize;

/// The processor's counters.
pub trait Clock: Clone {
    /// Monotonic nanoseconds.
    fn now_ns(&self) -> u64;
    /// Instructions retired.
    fn instructions(&self) -> u64;
}

/// The model runner.
pub struct Runner<'e, N, C> {
    scheduler: Scheduler<N, C>,
    processor: &'e mut dyn Engine,
    accelerator: Option<&'e mut dyn Engine>,
}

impl<'e, N: Notify, C: Clock> Runner<'e, N, C> {
    /// A runner without clients. `processor` computes in its steps; `accelerator`, if there is one, works by itself. With a
    /// timer, somebody calls [`Runner::turn`] at the times that it returns, and jobs may be released at times.
    pub fn new(
        models: &Infos,
        clock: C,
        processor: &'e mut dyn Engine,
        accelerator: Option<&'e mut dyn Engine>,
        has_timer: bool,
    ) -> Self {
        Runner { scheduler: Scheduler::new(models, clock, has_timer), processor, accelerator }
    }

    /// Adds the client in slot `slot`.
    pub fn add_client(&mut self, slot: usize, link: Link<Reply, Request, N>, region: DataRegion) {
        self.scheduler.add_client(slot, link, region);
    }

    /// The client in slot `slot` is the protection domain with this index in the system table: for those who ask who it is.
    pub fn name_client(&mut self, slot: usize, pd: usize) {
        self.scheduler.name_client(slot, pd);
    }

    /// What was counted so far.
    pub fn status(&self) -> Status {
        self.scheduler.status()
    }

    /// Does all there is to do. Ends when nothing can be computed, every client that can be heard has been, and clients and
    /// accelerator will notify when there is more; returns when the next turn is due though nobody does.
    pub fn turn(&mut self) -> Option<u64> {
        loop {
            self.scheduler.hear(false);
            self.scheduler.events();
            self.drive_accelerator();
            if self.drive_processor() || self.scheduler.hear(true) {
                continue;
            }
            let engines = [Some(&*self.processor), self.accelerator.as_deref()];
            let wake = engines.into_iter().flatten().filter_map(|engine| engine.wake_ns()).min().unwrap_or(u64::MAX);
            let wake = wake.min(self.scheduler.look_ahead());
            return (wake != u64::MAX).then_some(wake);
        }
    }

    fn drive_accelerator(&mut self) {
        if let Some(accelerator) = &mut self.accelerator {
            drive_accelerator(&mut self.scheduler, &mut **accelerator);
            self.scheduler.note_engine(|model| accelerator.runs(OPERATOR, model));
        }
    }

    /// Computes a step of the best job. False if there is none.
    fn drive_processor(&mut self) -> bool {
        // Those that stand back are not stepped, so they are told.
        while let Some(ticket) = self.scheduler.next_to_stop(PROCESSOR) {
            self.processor.stop(ticket);
            self.step_processor(ticket);
        }
        let elsewhere =
            |client, model| self.accelerator.as_deref().is_some_and(|accelerator| accelerator.runs(client, model));
        let ticket = match self.scheduler.next(PROCESSOR, self.processor, |client, model| !elsewhere(client, model)) {
            None => return false,
            Some(Next::GoOn(ticket)) => ticket,
            Some(Next::Begin(ticket)) => {
                if let Some(task) = self.scheduler.begin(ticket, PROCESSOR) {
                    self.processor.begin(&task);
                }
                ticket
            }
        };
        self.step_processor(ticket);
        true
    }

    fn step_processor(&mut self, ticket: Ticket) {
        let Runner { scheduler, processor, accelerator } = self;
        let accelerator = accelerator.as_deref_mut();
        let progress = processor.step(ticket, &mut Look { scheduler, accelerator, ticket });
        take(scheduler, ticket, PROCESSOR, progress);
    }
}

/// Books what came of a step.
fn take<N: Notify, C: Clock>(scheduler: &mut Scheduler<N, C>, ticket: Ticket, engine: usize, progress: Progress) {
    match progress {
        Progress::Waiting => {}
        Progress::Working(spent) => scheduler.charge(ticket, engine, spent),
        Progress::Ended(outcome, spent) => {
            scheduler.charge(ticket, engine, spent);
            scheduler.ended(ticket, engine, outcome);
        }
    }
}

/// Tells the accelerator what is to stop, hears what has ended, and gives it jobs for which it has room.
fn drive_accelerator<N: Notify, C: Clock>(scheduler: &mut Scheduler<N, C>, accelerator: &mut dyn Engine) {
    accelerator.hear();
    while let Some(ticket) = scheduler.next_to_stop(ACCELERATOR) {
        accelerator.stop(ticket);
    }
    for ticket in scheduler.active(ACCELERATOR) {
        let progress = accelerator.step(ticket, &mut Unwatched);
        take(scheduler, ticket, ACCELERATOR, progress);
    }
    while let Some(Next::Begin(ticket)) =
        scheduler.next(ACCELERATOR, accelerator, |client, model| accelerator.runs(client, model))
    {
        let Some(task) = scheduler.begin(ticket, ACCELERATOR) else { return };
        accelerator.begin(&task);
    }
}

/// Looks up while the processor computes.
struct Look<'a, 'e, N, C> {
    scheduler: &'a mut Scheduler<N, C>,
    accelerator: Option<&'a mut (dyn Engine + 'e)>,
    ticket: Ticket,
}

impl<N: Notify, C: Clock> Watch for Look<'_, '_, N, C> {
    fn look(&mut self) -> ControlFlow<()> {
        self.scheduler.hear(false);
        self.scheduler.events();
        if let Some(accelerator) = &mut self.accelerator {
            drive_accelerator(self.scheduler, &mut **accelerator);
        }
        if self.scheduler.is_to_stop(self.ticket) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// For engines that do not compute here.
struct Unwatched;

impl Watch for Unwatched {
    fn look(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
