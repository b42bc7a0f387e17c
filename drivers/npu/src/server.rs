//! The driver to its clients: jobs by link, one reply each.
//!
//! 1. Every job that is taken has a place for its reply in the client's ring before it is taken.
//! 2. Places are physical addresses in requests and offsets in the accelerator's window here; what lies outside the window
//!    is refused before the accelerator sees it.
//! 3. A client that begins anew has no jobs any more: they are cancelled, and nobody is told.

use heapless::Vec;
use protocols::npu::{JobResult, MAX_JOBS as PROTOCOL_JOBS, Reply, Request, Status, code, fault, kind, state};
use ring::{Link, LinkError, Notify};

use crate::device::NotFound;
use crate::driver::{Driver, Fate, MAX_JOBS, Outcome, Patience, SubmitError};
use crate::layout::{Answer, Command, command_fits, operation, provoke, status};
use crate::registers::Registers;

/// Clients that the driver can have.
pub const MAX_CLIENTS: usize = 2;
/// What a job may take whose client sets no limit.
pub const DEFAULT_LIMIT_NS: u64 = 10_000_000_000;
/// An accelerator that does not obey a reset for so long is lost.
const RESET_NS: u64 = 1_000_000_000;
/// One whose heart does not beat for so long in a job has hung. No operator takes that long.
const BEAT_NS: u64 = 500_000_000;
const NS_PER_S: u128 = 1_000_000_000;

const _: () = assert!(MAX_JOBS == PROTOCOL_JOBS);

/// A client.
struct Client<N> {
    link: Link<Reply, Request, N>,
    /// Jobs whose replies are to come.
    jobs: usize,
}

/// A job under way.
#[derive(Clone, Copy, Debug)]
struct Job {
    /// The driver's number.
    number: u64,
    /// Whose it is, and its number there. Nobody's if the client began anew.
    client: Option<usize>,
    name: u32,
}

/// The driver, or what it needs to look for the accelerator again.
pub struct Server<R, N> {
    registers: R,
    driver: Option<Driver<R>>,
    clients: [Option<Client<N>>; MAX_CLIENTS],
    jobs: Vec<Job, MAX_JOBS>,
    timebase_hz: u64,
    start_ticks: u64,
    /// The fault that the next job becomes.
    armed: Option<u32>,
    counts: Status,
}

impl<R: Registers + Clone, N: Notify> Server<R, N> {
    /// A server of the accelerator behind `registers`, whose clock has `timebase_hz` ticks a second.
    pub fn new(
        registers: R,
        clients: [Option<Link<Reply, Request, N>>; MAX_CLIENTS],
        timebase_hz: u64,
        now: u64,
    ) -> Self {
        let clients = clients.map(|link| link.map(|link| Client { link, jobs: 0 }));
        let mut server = Server {
            registers,
            driver: None,
            clients,
            jobs: Vec::new(),
            timebase_hz: timebase_hz.max(1),
            start_ticks: now,
            armed: None,
            counts: Status::default(),
        };
        // An accelerator that is not there yet is looked for again with each request.
        let _ = server.find(now);
        server
    }

    fn ticks(&self, ns: u64) -> u64 {
        u64::try_from(u128::from(ns) * u128::from(self.timebase_hz) / NS_PER_S).unwrap_or(u64::MAX)
    }

    fn ns(&self, ticks: u64) -> u64 {
        u64::try_from(u128::from(ticks) * NS_PER_S / u128::from(self.timebase_hz)).unwrap_or(u64::MAX)
    }

    fn find(&mut self, now: u64) -> Result<(), NotFound> {
        if self.driver.is_none() {
            let patience = Patience { reset_ticks: self.ticks(RESET_NS), beat_ticks: self.ticks(BEAT_NS) };
            self.driver = Some(Driver::new(self.registers.clone(), now, patience)?);
        }
        Ok(())
    }

    /// The accelerator's interrupt. [`Server::turn`] follows.
    pub fn interrupt(&self) {
        self.registers.acknowledge();
    }

    /// Does what there is to do, and gives when to be called again though nothing else happened, in ticks.
    pub fn turn(&mut self, now: u64) -> Option<u64> {
        // Each client is heard for at most a ring of requests, and it does not run meanwhile.
        for slot in 0..MAX_CLIENTS {
            // A client that misbehaves or restarts right now has nothing to say; the next poll joins it again.
            let _ = self.serve(slot, now);
        }
        // At most all jobs end.
        while let Some(outcome) = self.driver.as_mut().and_then(|driver| driver.turn(now)) {
            self.end(outcome);
        }
        self.driver.as_ref()?.wake_ticks()
    }

    fn serve(&mut self, slot: usize, now: u64) -> Result<(), LinkError> {
        let Some(client) = &mut self.clients[slot] else { return Ok(()) };
        if client.link.poll()? {
            client.jobs = 0;
            for job in self.jobs.iter_mut().filter(|job| job.client == Some(slot)) {
                job.client = None;
                if let Some(driver) = &mut self.driver {
                    driver.cancel(job.number);
                }
            }
        }
        for _ in 0..self.clients[slot].as_ref().map_or(0, |client| client.link.capacity()) {
            let Some(client) = &mut self.clients[slot] else { break };
            // Room for this reply and for those of all jobs under way.
            if !client.link.reserve(client.jobs + 2)? {
                break;
            }
            let Some(request) = client.link.pop()? else { break };
            let answer = self.answer(slot, &request, now);
            if let Some(reply) = answer {
                self.reply(slot, &reply);
            }
        }
        Ok(())
    }

    /// The reply to a request; none to a job that was taken.
    fn answer(&mut self, slot: usize, request: &Request, now: u64) -> Option<Reply> {
        let result = match request.kind {
            kind::SUBMIT => match self.submit(slot, request, now) {
                Ok(()) => return None,
                Err(code) => {
                    self.counts.refused += 1;
                    Err(code)
                }
            },
            kind::CANCEL => self.cancel(slot, request.job),
            kind::RESET => self.reset(now),
            kind::PROVOKE => match request.fault {
                fault::HANG => Ok(provoke::HANG),
                fault::CRASH => Ok(provoke::CRASH),
                fault::NONSENSE => Ok(provoke::NONSENSE),
                _ => Err(code::BAD_REQUEST),
            }
            .map(|fault| self.armed = Some(fault)),
            kind::STATUS => {
                // What is said of an accelerator that was not there yet is no longer true.
                let _ = self.find(now);
                let reply = Reply::new(request.kind, request.job, code::DONE);
                return Some(reply.with_body(&self.status(now)));
            }
            _ => Err(code::BAD_REQUEST),
        };
        Some(Reply::new(request.kind, request.job, result.err().unwrap_or(code::DONE)))
    }

    fn submit(&mut self, slot: usize, request: &Request, now: u64) -> Result<(), u32> {
        self.find(now).map_err(|_| code::ABSENT)?;
        if self.jobs.iter().any(|job| job.client == Some(slot) && job.name == request.job) {
            return Err(code::JOB_EXISTS);
        }
        if self.jobs.is_full() {
            return Err(code::QUEUE_FULL);
        }
        let driver = self.driver.as_ref().ok_or(code::ABSENT)?;
        let command = command(request, driver.window()).ok_or(code::BAD_REQUEST)?;
        let limit_ns = if request.limit_ns == 0 { DEFAULT_LIMIT_NS } else { request.limit_ns };
        let limit_ticks = self.ticks(limit_ns);
        let command = match self.armed {
            Some(fault) => Command { operation: operation::PROVOKE, model_at: fault, ..Command::default() },
            None => command,
        };
        let driver = self.driver.as_mut().ok_or(code::ABSENT)?;
        let number = driver.submit(&command, limit_ticks, now).map_err(|error| match error {
            SubmitError::Full => code::QUEUE_FULL,
            SubmitError::Lost => code::ABSENT,
        })?;
        self.armed = None;
        let pushed = self.jobs.push(Job { number, client: Some(slot), name: request.job });
        debug_assert!(pushed.is_ok(), "there was a place");
        if let Some(client) = &mut self.clients[slot] {
            client.jobs += 1;
        }
        Ok(())
    }

    fn cancel(&mut self, slot: usize, name: u32) -> Result<(), u32> {
        let job = self.jobs.iter().find(|job| job.client == Some(slot) && job.name == name).ok_or(code::NO_JOB)?;
        match self.driver.as_mut().is_some_and(|driver| driver.cancel(job.number)) {
            true => Ok(()),
            false => Err(code::NO_JOB),
        }
    }

    fn reset(&mut self, now: u64) -> Result<(), u32> {
        self.find(now).map_err(|_| code::ABSENT)?;
        if let Some(outcome) = self.driver.as_mut().and_then(|driver| driver.reset(now)) {
            self.end(outcome);
        }
        Ok(())
    }

    fn end(&mut self, outcome: Outcome) {
        let Some(index) = self.jobs.iter().position(|job| job.number == outcome.job) else { return };
        let job = self.jobs.remove(index);
        let (code, result) = self.result(outcome.fate);
        match code {
            code::DONE => self.counts.done += 1,
            code::CANCELLED => self.counts.cancelled += 1,
            code if code::is_failure(code) => {
                self.counts.failed += 1;
                self.counts.last_error = code;
            }
            _ => self.counts.refused += 1,
        }
        if code == code::CRASHED {
            (self.counts.cause, self.counts.pc, self.counts.value) = (result.cause, result.pc, result.value);
        }
        if let Some(slot) = job.client {
            if let Some(client) = &mut self.clients[slot] {
                client.jobs = client.jobs.saturating_sub(1);
            }
            self.reply(slot, &Reply::new(kind::SUBMIT, job.name, code).with_body(&result));
        }
    }

    fn result(&self, fate: Fate) -> (u32, JobResult) {
        let none = JobResult::default();
        match fate {
            Fate::Answered(answer) => (answer_code(&answer), self.job_result(&answer)),
            Fate::Cancelled => (code::CANCELLED, none),
            Fate::TimedOut => (code::TIMED_OUT, none),
            Fate::Hung => (code::HUNG, none),
            Fate::Crashed { cause, pc, value } => (code::CRASHED, JobResult { cause, pc, value, ..none }),
            Fate::Nonsense => (code::NONSENSE, none),
            Fate::Reset => (code::RESET, none),
            Fate::Lost => (code::ABSENT, none),
        }
    }

    fn job_result(&self, answer: &Answer) -> JobResult {
        JobResult {
            run_ns: self.ns(answer.ticks),
            instructions: answer.instructions,
            vector_work: answer.vector_work,
            macs: answer.macs,
            bytes_copied: answer.bytes_copied,
            operators: answer.operators,
            vector_operators: answer.vector_operators,
            detail: answer.detail,
            ..JobResult::default()
        }
    }

    /// How the accelerator is.
    pub fn status(&self, now: u64) -> Status {
        let up_ns = self.ns(now.saturating_sub(self.start_ticks));
        let waiting = self.jobs.len() as u32;
        let Some(driver) = &self.driver else { return Status { state: state::ABSENT, up_ns, ..self.counts } };
        let counters = driver.counters();
        let (window, window_bytes) = driver.window();
        Status {
            state: match () {
                () if driver.is_lost() => state::LOST,
                () if driver.is_resetting() => state::RESETTING,
                () if waiting > 0 => state::BUSY,
                () => state::IDLE,
            },
            waiting,
            resets: driver.totals().resets(),
            busy_ns: self.ns(counters.busy_ticks),
            instructions: counters.instructions,
            up_ns,
            heartbeat: counters.heartbeat,
            crashes: counters.crashes,
            window,
            window_bytes,
            ..self.counts
        }
    }

    fn reply(&mut self, slot: usize, reply: &Reply) {
        if let Some(client) = &mut self.clients[slot] {
            // There was room when the request was taken; a client that restarted since has nobody to read it.
            let _ = client.link.push(reply);
        }
    }
}

fn answer_code(answer: &Answer) -> u32 {
    match answer.status {
        status::DONE => code::DONE,
        status::BAD_MODEL => code::BAD_MODEL,
        status::SMALL_ARENA => code::SMALL_ARENA,
        status::BAD_BUFFER => code::BAD_BUFFER,
        status::MODEL_CHANGED => code::MODEL_CHANGED,
        _ => code::BAD_REQUEST,
    }
}

/// The accelerator's command for a request; `None` if a part lies outside `window` or the parts do not fit together.
fn command(request: &Request, (window, window_bytes): (u64, u64)) -> Option<Command> {
    let place = |address: u64| u32::try_from(address.checked_sub(window)?).ok();
    let command = Command {
        operation: operation::RUN,
        model_at: place(request.model)?,
        model_bytes: request.model_bytes,
        arena_at: place(request.arena)?,
        arena_bytes: request.arena_bytes,
        input_at: place(request.input)?,
        input_bytes: request.input_bytes,
        output_at: place(request.output)?,
        output_bytes: request.output_bytes,
        ..Command::default()
    };
    (request.fault == 0 && command_fits(&command, usize::try_from(window_bytes).ok()?)).then_some(command)
}
