//! Turns: requests in, one job of each client in turn, replies out.

use core::ops::ControlFlow;

use heapless::Vec;
use ml_runtime::{Interpreter, InvokeError, Observer, Step};
use protocols::model::{JobResult, ModelInfo, Reply, Request, Status, code};
use protocols::model_pack::MAX_MODELS;
use ring::{Link, Notify};

use crate::client::{Client, Context, Fate, Job, lookup};
use crate::models::ModelSet;
use crate::region::DataRegion;

/// Clients that a runner can have.
pub const MAX_CLIENTS: usize = 4;

/// How a job ended whose client does not know it any more: no reply says so.
const ABANDONED: u32 = u32::MAX;

/// The processor's counters.
pub trait Clock {
    /// Monotonic nanoseconds.
    fn now_ns(&self) -> u64;
    /// Instructions retired.
    fn instructions(&self) -> u64;
}

/// The model runner.
pub struct Runner<N, C> {
    clients: [Option<Client<N>>; MAX_CLIENTS],
    models: ModelSet,
    /// What clients see of the models, kept apart from the models so that requests can be answered while one runs.
    infos: Vec<Option<ModelInfo>, MAX_MODELS>,
    clock: C,
    status: Status,
    /// The client whose turn is next.
    next: usize,
}

impl<N: Notify, C: Clock> Runner<N, C> {
    /// A runner without clients.
    pub fn new(models: ModelSet, clock: C) -> Self {
        let status = Status { models: models.len() as u32, ..Status::default() };
        let infos = (0..models.len().min(MAX_MODELS)).map(lookup(&models)).collect();
        Runner { clients: [const { None }; MAX_CLIENTS], models, infos, clock, status, next: 0 }
    }

    /// Adds the client in slot `slot`.
    pub fn add_client(&mut self, slot: usize, link: Link<Reply, Request, N>, region: DataRegion) {
        if let Some(client) = self.clients.get_mut(slot) {
            *client = Some(Client::new(link, region));
        }
    }

    /// What was counted so far.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Does all there is to do. Ends when every queue is empty, every client that can be heard has been, and the
    /// clients will notify when there is more.
    pub fn turn(&mut self) {
        loop {
            let more = serve_all(&mut self.clients, &self.infos, &mut self.status, self.clock.now_ns());
            if !self.run_next() && !more {
                return;
            }
        }
    }

    /// Runs one job of the next client that has one. False if there is none.
    fn run_next(&mut self) -> bool {
        for _ in 0..MAX_CLIENTS {
            let slot = self.next;
            self.next = (self.next + 1) % MAX_CLIENTS;
            if let Some(job) = self.clients[slot].as_mut().and_then(Client::start_next) {
                self.run(slot, &job);
                return true;
            }
        }
        false
    }

    fn run(&mut self, slot: usize, job: &Job) {
        let started_ns = self.clock.now_ns();
        let started = self.clock.instructions();
        let code = if job.is_late(started_ns) { code::TIMED_OUT } else { self.infer(slot, job) };
        let instructions = self.clock.instructions().wrapping_sub(started);
        let run_ns = self.clock.now_ns().saturating_sub(started_ns);
        let counter = match code {
            code::DONE => &mut self.status.done,
            code::CANCELLED => &mut self.status.cancelled,
            code::TIMED_OUT => &mut self.status.timed_out,
            ABANDONED => &mut self.status.abandoned,
            _ => &mut self.status.faulted,
        };
        *counter += 1;
        self.status.busy_ns += run_ns;
        let mut macs = 0;
        if let Some(Some(info)) = self.infos.get_mut(job.request.model as usize) {
            macs = info.macs;
            info.runs += u64::from(code == code::DONE);
        }
        let queued_ns = started_ns.saturating_sub(job.accepted_ns);
        if let Some(client) = self.clients[slot].as_mut() {
            client.end_running(code, JobResult { queued_ns, run_ns, instructions, macs, ..JobResult::default() });
        }
    }

    /// Runs the model on the client's tensors, where they lie.
    fn infer(&mut self, slot: usize, job: &Job) -> u32 {
        let Some(mut region) = self.clients[slot].as_ref().map(|client| client.region) else { return code::FAULTED };
        let Some((input, output)) = region.tensors(job.request.input, job.request.output) else { return code::FAULTED };
        let Some((resident, arena)) = self.models.get(job.request.model as usize) else { return code::FAULTED };
        let mut watch = Watch {
            clients: &mut self.clients,
            infos: &self.infos,
            status: &mut self.status,
            clock: &self.clock,
            slot,
            job: *job,
            stopped: code::FAULTED,
        };
        let mut copied = 0;
        let result = Interpreter::new(&resident.model, arena).and_then(|mut interpreter| {
            let result = interpreter.run(&[input], &mut [output], &mut watch);
            copied = interpreter.bytes_copied();
            result
        });
        let stopped = watch.stopped;
        self.status.bytes_copied += copied;
        match result {
            Ok(()) => code::DONE,
            Err(InvokeError::Stopped) => stopped,
            Err(_) => code::FAULTED,
        }
    }
}

/// Hears all clients. True if one may have more to say.
fn serve_all<N: Notify>(
    clients: &mut [Option<Client<N>>; MAX_CLIENTS],
    infos: &[Option<ModelInfo>],
    status: &mut Status,
    now_ns: u64,
) -> bool {
    status.waiting = clients.iter().flatten().map(|client| client.waiting() as u32).sum();
    let models = |index: usize| infos.get(index).copied().flatten();
    let mut more = false;
    for client in clients.iter_mut().flatten() {
        let mut context = Context { models: &models, status, now_ns };
        // A client that misbehaves or restarts right now has nothing to say; `poll` joins it again.
        more |= client.serve(&mut context).unwrap_or(false);
    }
    more
}

/// Looks up between two operators of a running job.
struct Watch<'a, N, C> {
    clients: &'a mut [Option<Client<N>>; MAX_CLIENTS],
    infos: &'a [Option<ModelInfo>],
    status: &'a mut Status,
    clock: &'a C,
    slot: usize,
    job: Job,
    /// Why the job was stopped.
    stopped: u32,
}

impl<N: Notify, C: Clock> Observer for Watch<'_, N, C> {
    fn before(&mut self, _: &Step) -> ControlFlow<()> {
        let now_ns = self.clock.now_ns();
        serve_all(self.clients, self.infos, self.status, now_ns);
        self.stopped = match self.clients[self.slot].as_ref().map_or(Fate::Abandoned, Client::fate) {
            Fate::Cancelled => code::CANCELLED,
            Fate::Abandoned => ABANDONED,
            Fate::Run if self.job.is_late(now_ns) => code::TIMED_OUT,
            Fate::Run => return ControlFlow::Continue(()),
        };
        ControlFlow::Break(())
    }
}
