//! Which job is next: requests in, times kept, shares counted.
//!
//! A job is *in share* as long as its client has not used up its part of the engine's time in this window; the parts of all
//! clients that are there are equal. Jobs in share go before the others, then the higher priority counts, then the client
//! that has used less, then the older release. So who floods the runner has what the others leave, and no more.
//!
//! Between two steps of an engine, one of a better class (in share, priority) begins before an active one goes on, if the
//! engine has room for it beside.

use core::cmp::Reverse;

use heapless::Vec;
use protocols::model::{
    ClientInfo, MAX_CLIENTS, MAX_DEADLINE_NS, MAX_JOBS, MAX_PERIOD_NS, MAX_PRIORITY, MIN_PERIOD_NS, ModelInfo, NO_PD,
    ONESELF, OPERATOR, Reply, Request, Status, WINDOW_NS, code, engine, kind,
};
use ring::{Link, Notify};

use crate::client::{Client, ENGINES};
use crate::engine::{Engine, Outcome, Spent, Task, Ticket};
use crate::job::{Job, State};
use crate::models::Infos;
use crate::region::DataRegion;
use crate::runner::Clock;

/// Number of the processor among the engines.
const PROCESSOR: usize = engine::PROCESSOR as usize;

/// What an engine is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Begin(Ticket),
    GoOn(Ticket),
}

/// How good a claim is: in share, priority; then who used least and waits longest.
type Claim = ((bool, u32), Reverse<u64>, Reverse<u64>, Reverse<u32>);

/// All clients and their jobs.
pub(crate) struct Scheduler<N, C> {
    clients: [Option<Client<N>>; MAX_CLIENTS],
    /// What clients see of the models.
    infos: Infos,
    clock: C,
    has_timer: bool,
    next_serial: u32,
    window_end_ns: u64,
    /// Nothing happens by itself before this.
    next_event_ns: u64,
    bytes_copied: u64,
}

fn place_of(ticket: Ticket) -> (usize, usize) {
    (ticket / MAX_JOBS, ticket % MAX_JOBS)
}

impl<N: Notify, C: Clock> Scheduler<N, C> {
    pub fn new(infos: &Infos, clock: C, has_timer: bool) -> Self {
        Scheduler {
            clients: [const { None }; MAX_CLIENTS],
            infos: infos.clone(),
            clock,
            has_timer,
            next_serial: 1,
            window_end_ns: 0,
            next_event_ns: u64::MAX,
            bytes_copied: 0,
        }
    }

    pub fn add_client(&mut self, slot: usize, link: Link<Reply, Request, N>, region: DataRegion) {
        if let Some(client) = self.clients.get_mut(slot) {
            *client = Some(Client::new(link, region));
        }
    }

    /// The client in slot `slot` is the protection domain with this index in the system table.
    pub fn name_client(&mut self, slot: usize, pd: usize) {
        if let Some(Some(client)) = self.clients.get_mut(slot) {
            client.counts.pd = u32::try_from(pd).unwrap_or(NO_PD);
        }
    }

    // ---- Hearing clients -------------------------------------------------------------------------------------------

    /// Hears all clients that have news, or all. True if one of them said something, and may have more to say. What this
    /// costs counts to the client's share; one that has used it up is not heard while those that have not want something.
    pub fn hear(&mut self, all: bool) -> bool {
        let mut heard = false;
        for slot in 0..MAX_CLIENTS {
            let Some(client) = &self.clients[slot] else { continue };
            if !all && (!client.has_news() || !self.is_in_share(slot) && self.somebody_in_share_wants()) {
                continue;
            }
            let start_ns = self.clock.now_ns();
            for _ in 0..self.clients[slot].as_ref().map_or(0, Client::most_requests) {
                let Some(client) = &mut self.clients[slot] else { break };
                // A client that misbehaves or restarts right now has nothing to say; the next look joins it again.
                let Ok(Some(request)) = client.next_request() else { break };
                self.answer(slot, &request);
                heard = true;
            }
            let spent_ns = self.clock.now_ns().saturating_sub(start_ns);
            if let Some(client) = &mut self.clients[slot] {
                client.used_ns[PROCESSOR] = client.used_ns[PROCESSOR].saturating_add(spent_ns);
            }
        }
        heard
    }

    fn is_in_share(&self, slot: usize) -> bool {
        self.clients[slot].as_ref().is_some_and(|client| client.used_ns[PROCESSOR] < self.share_ns())
    }

    fn somebody_in_share_wants(&self) -> bool {
        let wants = |client: &Client<N>| client.jobs().any(|(_, job)| job.state != State::Waiting);
        (0..MAX_CLIENTS).any(|slot| self.is_in_share(slot) && self.clients[slot].as_ref().is_some_and(wants))
    }

    fn answer(&mut self, slot: usize, request: &Request) {
        let now_ns = self.clock.now_ns();
        let reply = match self.serve(slot, request, now_ns) {
            // The reply comes when the job has ended.
            Ok(None) => return,
            Ok(Some(reply)) => reply,
            Err(code) => Reply::new(request, code),
        };
        let Some(client) = &mut self.clients[slot] else { return };
        client.counts.refused += u64::from(reply.code != code::DONE);
        client.reply(&reply);
    }

    fn serve(&mut self, slot: usize, request: &Request, now_ns: u64) -> Result<Option<Reply>, u32> {
        let done = Reply::new(request, code::DONE);
        let Request { kind, job, model, .. } = *request;
        if kind == kind::SUBMIT {
            return self.submit(slot, request, now_ns).map(|()| None);
        }
        if *request != Request::ask(kind, job, model) {
            return Err(code::BAD_REQUEST);
        }
        if matches!(kind, kind::JOB_INFO | kind::END) && slot != OPERATOR {
            return Err(code::NOT_ALLOWED);
        }
        Ok(Some(match kind {
            kind::CANCEL => {
                let client = self.clients[slot].as_mut().ok_or(code::NO_JOB)?;
                let place = client.find(job).ok_or(code::NO_JOB)?;
                client.cancel(place, now_ns);
                done
            }
            kind::STATUS => done.with_body(&self.status()),
            kind::MODEL_INFO => done.with_body(&self.info(model)?),
            kind::CLIENT_INFO => {
                let of = if model == ONESELF { slot } else { model as usize };
                if of != slot && slot != OPERATOR {
                    return Err(code::NOT_ALLOWED);
                }
                done.with_body(&self.client_info(of).ok_or(code::BAD_REQUEST)?)
            }
            kind::JOB_INFO => {
                let (client, job) = self.job_from(job).ok_or(code::NO_JOB)?;
                let pd = self.clients[client].as_ref().map_or(NO_PD, |client| client.counts.pd);
                done.with_body(&job.info(client, pd, now_ns))
            }
            kind::END => {
                let found = self.job_from(job).filter(|(_, found)| found.serial == job);
                let (of, number) = found.map(|(of, found)| (of, found.request.job)).ok_or(code::NO_JOB)?;
                let client = self.clients[of].as_mut().ok_or(code::NO_JOB)?;
                let place = client.find(number).ok_or(code::NO_JOB)?;
                client.cancel(place, now_ns);
                done
            }
            _ => return Err(code::BAD_REQUEST),
        }))
    }

    fn info(&self, model: u32) -> Result<ModelInfo, u32> {
        self.infos.get(model as usize).copied().flatten().ok_or(code::NO_MODEL)
    }

    fn submit(&mut self, slot: usize, request: &Request, now_ns: u64) -> Result<(), u32> {
        let Request { priority, deadline_ns, period_ns, start_ns, .. } = *request;
        let info = self.info(request.model)?;
        if priority > MAX_PRIORITY {
            return Err(code::BAD_REQUEST);
        }
        let periods = MIN_PERIOD_NS..=MAX_PERIOD_NS;
        if deadline_ns > MAX_DEADLINE_NS || start_ns > MAX_PERIOD_NS || period_ns != 0 && !periods.contains(&period_ns)
        {
            return Err(code::BAD_TIME);
        }
        if (period_ns != 0 || start_ns != 0) && !self.has_timer {
            return Err(code::NO_TIMER);
        }
        if (request.input.bytes, request.output.bytes) != (info.input_bytes, info.output_bytes) {
            return Err(code::BAD_BUFFER);
        }
        let mut job = Job::new(request, self.next_serial, now_ns);
        if period_ns == 0 && start_ns == 0 {
            job.release(now_ns);
        }
        self.next_event_ns = self.next_event_ns.min(job.event_ns());
        self.clients[slot].as_mut().ok_or(code::BAD_REQUEST)?.accept(job)?;
        self.next_serial = self.next_serial.wrapping_add(1).max(1);
        Ok(())
    }

    /// The job with the lowest serial number from `serial` on, and its client.
    fn job_from(&self, serial: u32) -> Option<(usize, &Job)> {
        let slots = self.clients.iter().enumerate();
        let jobs = slots.filter_map(|(slot, client)| Some((slot, client.as_ref()?)));
        let jobs = jobs.flat_map(|(slot, client)| client.jobs().map(move |(_, job)| (slot, job)));
        jobs.filter(|(_, job)| job.serial >= serial).min_by_key(|(_, job)| job.serial)
    }

    /// What all clients have used together.
    pub fn status(&self) -> Status {
        let mut status = Status { models: self.infos.len() as u32, ..Status::default() };
        status.bytes_copied = self.bytes_copied;
        for client in self.clients.iter().flatten() {
            let counts = &client.counts;
            status.done += counts.done;
            status.cancelled += counts.cancelled;
            status.timed_out += counts.timed_out;
            status.faulted += counts.faulted;
            status.refused += counts.refused;
            status.abandoned += counts.abandoned;
            status.missed += counts.missed;
            status.busy_ns += counts.compute_ns;
            status.jobs += client.jobs().count() as u32;
        }
        status
    }

    fn client_info(&self, slot: usize) -> Option<ClientInfo> {
        let client = self.clients.get(slot)?.as_ref()?;
        Some(ClientInfo {
            jobs: client.jobs().count() as u32,
            connected: u16::from(client.is_connected()),
            share: (1000 * self.share_ns() / WINDOW_NS) as u16,
            misbehaved: client.misbehaved().min(u64::from(u32::MAX)) as u32,
            ..client.counts
        })
    }

    // ---- Times -----------------------------------------------------------------------------------------------------

    /// Does what is due by now.
    pub fn events(&mut self) {
        let now_ns = self.clock.now_ns();
        if now_ns >= self.window_end_ns {
            self.window_end_ns = now_ns.saturating_add(WINDOW_NS);
            self.clients.iter_mut().flatten().for_each(|client| client.used_ns = [0; ENGINES]);
        }
        if now_ns < self.next_event_ns {
            return;
        }
        for client in self.clients.iter_mut().flatten() {
            for place in 0..MAX_JOBS {
                let Some(job) = client.job(place).filter(|job| job.event_ns() <= now_ns) else { continue };
                match job.state {
                    State::Waiting => client.release(place, now_ns),
                    State::Queued => {
                        let result = job.result(0, now_ns, 0);
                        client.end(place, code::TIMED_OUT, result, now_ns);
                    }
                    State::Active(_) => job.stop = Some(code::TIMED_OUT),
                }
            }
        }
        self.look_ahead();
    }

    /// When something happens by itself.
    pub fn look_ahead(&mut self) -> u64 {
        let jobs = self.clients.iter().flatten().flat_map(|client| client.jobs());
        self.next_event_ns = jobs.map(|(_, job)| job.event_ns()).min().unwrap_or(u64::MAX);
        self.next_event_ns
    }

    // ---- Engines ---------------------------------------------------------------------------------------------------

    /// Which engine runs a model now.
    pub fn note_engine(&mut self, runs_on_accelerator: impl Fn(usize) -> bool) {
        for (index, info) in self.infos.iter_mut().enumerate() {
            if let Some(info) = info {
                info.engine = if runs_on_accelerator(index) { engine::ACCELERATOR } else { engine::PROCESSOR };
            }
        }
    }

    /// Nanoseconds of a window that each client has when all want some.
    fn share_ns(&self) -> u64 {
        let clients = self.clients.iter().flatten().filter(|client| client.is_connected()).count();
        WINDOW_NS / clients.max(1) as u64
    }

    /// What engine `index` is to do next, of which `here` says whether jobs of a client with a model run there.
    pub fn next(&self, index: usize, engine: &dyn Engine, here: impl Fn(usize, usize) -> bool) -> Option<Next> {
        let share_ns = self.share_ns();
        let mut active: Option<(Claim, Ticket)> = None;
        let mut queued: Option<(Claim, Ticket)> = None;
        let mut model = 0;
        for (slot, client) in self.clients.iter().enumerate() {
            let Some(client) = client else { continue };
            let used_ns = client.used_ns[index];
            for (place, job) in client.jobs() {
                let class = (used_ns < share_ns, job.request.priority);
                let claim = (class, Reverse(used_ns), Reverse(job.queued_ns), Reverse(job.serial));
                let ticket = slot * MAX_JOBS + place;
                if job.is_active_on(index) {
                    // A turn of the shares alone does not make one active job stand back for another.
                    let claim = (class, Reverse(0), Reverse(job.started_ns), Reverse(job.serial));
                    if active.is_none_or(|(best, _)| claim > best) {
                        active = Some((claim, ticket));
                    }
                } else if job.state == State::Queued
                    && here(slot, job.request.model as usize)
                    && queued.is_none_or(|(best, _)| claim > best)
                {
                    model = job.request.model as usize;
                    queued = Some((claim, ticket));
                }
            }
        }
        match (active, queued) {
            (active, Some((claim, ticket)))
                if active.is_none_or(|(active, _)| claim.0 > active.0) && engine.has_room(model) =>
            {
                Some(Next::Begin(ticket))
            }
            (Some((_, ticket)), _) => Some(Next::GoOn(ticket)),
            (None, _) => None,
        }
    }

    /// Hands a queued job to engine `index`.
    pub fn begin(&mut self, ticket: Ticket, index: usize) -> Option<Task> {
        let now_ns = self.clock.now_ns();
        let (slot, place) = place_of(ticket);
        let client = self.clients.get_mut(slot)?.as_mut()?;
        let region = client.region;
        let job = client.job(place)?;
        job.state = State::Active(index);
        job.started_ns = now_ns.max(1);
        Some(Task {
            ticket,
            client: slot,
            model: job.request.model as usize,
            region,
            input: job.request.input,
            output: job.request.output,
            give_up_ns: job.give_up_ns,
        })
    }

    fn job(&mut self, ticket: Ticket) -> Option<&mut Job> {
        let (slot, place) = place_of(ticket);
        self.clients.get_mut(slot)?.as_mut()?.job(place)
    }

    /// Whether an active job is to stop.
    pub fn is_to_stop(&mut self, ticket: Ticket) -> bool {
        self.job(ticket).is_none_or(|job| job.stop.is_some())
    }

    /// The next active job of engine `index` that is to stop though the engine does not know that.
    pub fn next_to_stop(&mut self, index: usize) -> Option<Ticket> {
        for (slot, client) in self.clients.iter_mut().enumerate() {
            let Some(client) = client else { continue };
            let untold = |job: &Job| job.is_active_on(index) && job.stop.is_some() && !job.told;
            let found = client.jobs().find(|(_, job)| untold(job)).map(|(place, _)| place);
            if let Some(place) = found {
                client.job(place)?.told = true;
                return Some(slot * MAX_JOBS + place);
            }
        }
        None
    }

    /// The active jobs of engine `index`.
    pub fn active(&self, index: usize) -> Vec<Ticket, { MAX_CLIENTS * MAX_JOBS }> {
        let mut tickets = Vec::new();
        for (slot, client) in self.clients.iter().enumerate() {
            let Some(client) = client else { continue };
            for (place, _) in client.jobs().filter(|(_, job)| job.is_active_on(index)) {
                // There is a place for every job.
                let _ = tickets.push(slot * MAX_JOBS + place);
            }
        }
        tickets
    }

    /// What a step cost.
    pub fn charge(&mut self, ticket: Ticket, index: usize, spent: Spent) {
        self.bytes_copied += spent.bytes_copied;
        let (slot, place) = place_of(ticket);
        let Some(client) = self.clients.get_mut(slot).and_then(Option::as_mut) else { return };
        client.used_ns[index] = client.used_ns[index].saturating_add(spent.ns);
        client.counts.compute_ns += spent.ns;
        if let Some(job) = client.job(place) {
            job.spent += spent;
        }
    }

    /// An active job is no longer with its engine.
    pub fn ended(&mut self, ticket: Ticket, index: usize, outcome: Outcome) {
        let now_ns = self.clock.now_ns();
        let (slot, place) = place_of(ticket);
        let Some(client) = self.clients.get_mut(slot).and_then(Option::as_mut) else { return };
        let Some(job) = client.job(place) else { return };
        if outcome == Outcome::NotRun && job.stop.is_none() {
            // It keeps its place in the queue and its deadline.
            job.state = State::Queued;
            (job.started_ns, job.told) = (0, false);
            self.next_event_ns = self.next_event_ns.min(job.event_ns());
            return;
        }
        let code = job.stop.unwrap_or(outcome.code());
        let mut macs = 0;
        if let Some(Some(info)) = self.infos.get_mut(job.request.model as usize) {
            macs = info.macs;
            info.runs += u64::from(code == code::DONE);
        }
        let result = job.result(index as u32, now_ns, macs);
        client.end(place, code, result, now_ns);
        // A periodic job has its next release.
        let next_ns = client.job(place).map_or(u64::MAX, |job| job.event_ns());
        self.next_event_ns = self.next_event_ns.min(next_ns);
    }
}
