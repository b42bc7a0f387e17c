//! The accelerator as an engine: jobs to its driver by link, one at a time.
//!
//! Model, working memory and tensors lie in the memory that the accelerator shares with the system, so a job is a few
//! addresses and nothing is copied. One job at a time leaves the scheduler in charge of the order; the next one is there
//! some microseconds after the one before.
//!
//! What the accelerator refuses runs on the processor from then on, and the job that showed it runs there too. While the
//! driver is not there, or says that the accelerator does not obey, all models run on the processor; the driver is asked
//! again now and then. A job in which the accelerator failed ends with an error.

use heapless::Vec;
use protocols::model::MAX_CLIENTS;
use protocols::model_pack::{MAX_MODELS, ModelPack};
use protocols::npu::{JobResult, Reply, Request, Status, code, kind, state};
use ring::{Link, Notify};

use crate::Clock;
use crate::engine::{Engine, Outcome, Progress, Spent, Task, Ticket, Watch};

/// How long the driver may take to end a job that is to stop. It resets the accelerator in less.
const STOP_NS: u64 = 2_000_000_000;
/// How often the driver is asked for a sign of life while it has a job, which it gives at once.
const SIGN_NS: u64 = 500_000_000;
/// How much later than the scheduler the driver gives a job up, which it does on its own if nobody tells it.
const MARGIN_NS: u64 = 100_000_000;
/// How long after an answer that the accelerator is of no use the driver is asked again; and while it is being reset.
const ASK_AGAIN_NS: u64 = 1_000_000_000;
const RESETTING_NS: u64 = 1_000_000;

/// A place in the shared memory: its physical address and its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Physical address.
    pub address: u64,
    /// Bytes.
    pub bytes: u32,
}

/// Where things lie.
#[derive(Clone, Debug)]
pub struct Places {
    /// The files of the models, by number.
    models: Vec<Place, MAX_MODELS>,
    /// Working memory, which no other engine uses.
    arena: Place,
    /// The data regions of the clients; an address of 0 if one lies elsewhere.
    clients: [u64; MAX_CLIENTS],
}

impl Places {
    /// The models of `pack`, which lies at `pack_address`, and the rest. `None` if the pack is broken.
    pub fn new(pack: &[u8], pack_address: u64, arena: Place, clients: [u64; MAX_CLIENTS]) -> Option<Self> {
        let start = pack.as_ptr().addr();
        let parsed = ModelPack::parse(pack).ok()?;
        let place = |file: &[u8]| Place {
            address: pack_address + file.as_ptr().addr().wrapping_sub(start) as u64,
            bytes: file.len() as u32,
        };
        let models = parsed.models().map(|model| place(model.file())).take(MAX_MODELS).collect();
        Some(Places { models, arena, clients })
    }
}

/// The job that the accelerator has.
struct Active {
    ticket: Ticket,
    model: usize,
    /// Its number in the protocol.
    number: u32,
    /// It is taken for lost if it has not ended by then.
    lost_ns: u64,
    /// The driver that had it is gone. It has ended when the new one has reset the accelerator.
    orphan: bool,
    ended: Option<(Outcome, Spent)>,
}

/// The accelerator.
pub struct Accelerator<N, C> {
    link: Link<Request, Reply, N>,
    clock: C,
    places: Places,
    /// Models that it refused.
    refused: [bool; MAX_MODELS],
    active: Option<Active>,
    next_number: u32,
    /// The driver says that it can be used.
    usable: bool,
    /// When the driver is to be asked whether it can.
    ask_ns: u64,
    /// It was asked and has not answered.
    asked: bool,
}

impl<N: Notify, C: Clock> Accelerator<N, C> {
    /// The accelerator behind `link`.
    pub fn new(link: Link<Request, Reply, N>, clock: C, places: Places) -> Self {
        let refused = [false; MAX_MODELS];
        Accelerator {
            link,
            clock,
            places,
            refused,
            active: None,
            next_number: 1,
            usable: false,
            ask_ns: 0,
            asked: false,
        }
    }

    /// The driver is gone, or makes no sense.
    fn lose_driver(&mut self, now_ns: u64) {
        (self.usable, self.asked) = (false, false);
        self.ask_ns = now_ns;
        if let Some(active) = &mut self.active {
            active.orphan = true;
            active.lost_ns = active.lost_ns.min(now_ns.saturating_add(STOP_NS));
        }
    }

    fn take(&mut self, reply: &Reply, now_ns: u64) {
        match reply.kind {
            kind::STATUS => self.take_status(&reply.body(), now_ns),
            kind::SUBMIT => self.take_result(reply, now_ns),
            // Whether there was a job to cancel is told by the job's own reply.
            _ => {}
        }
    }

    fn take_status(&mut self, status: &Status, now_ns: u64) {
        self.asked = false;
        let resetting = status.state == state::RESETTING;
        self.usable = matches!(status.state, state::IDLE | state::BUSY);
        self.ask_ns = now_ns.saturating_add(match status.state {
            state::RESETTING => RESETTING_NS,
            state::IDLE | state::BUSY => SIGN_NS,
            _ => ASK_AGAIN_NS,
        });
        if !resetting && let Some(active) = self.active.as_mut().filter(|active| active.orphan) {
            active.ended = active.ended.or(Some((Outcome::Lost, Spent::default())));
        }
    }

    fn take_result(&mut self, reply: &Reply, now_ns: u64) {
        let Some(active) = self.active.as_mut().filter(|active| active.number == reply.job) else { return };
        let result: JobResult = reply.body();
        let outcome = match reply.code {
            code::DONE => Outcome::Done,
            code::CANCELLED => Outcome::Stopped,
            code::TIMED_OUT | code::HUNG => Outcome::Hung,
            code::CRASHED | code::NONSENSE => Outcome::Crashed,
            code::RESET => Outcome::Lost,
            code::MODEL_CHANGED => Outcome::Failed,
            code::BAD_MODEL | code::SMALL_ARENA | code::BAD_BUFFER | code::BAD_REQUEST => {
                if let Some(refused) = self.refused.get_mut(active.model) {
                    *refused = true;
                }
                Outcome::NotRun
            }
            _ => {
                self.usable = false;
                self.ask_ns = now_ns.saturating_add(ASK_AGAIN_NS);
                Outcome::NotRun
            }
        };
        let Some(active) = &mut self.active else { return };
        let spent = Spent { ns: result.run_ns, instructions: result.instructions, bytes_copied: result.bytes_copied };
        active.ended = Some((outcome, spent));
    }

    fn request(&self, task: &Task, number: u32) -> Option<Request> {
        let data = *self.places.clients.get(task.client)?;
        let model = self.places.models.get(task.model)?;
        let remaining_ns = task.give_up_ns.saturating_sub(self.clock.now_ns());
        Some(Request {
            limit_ns: remaining_ns.saturating_add(MARGIN_NS),
            model: model.address,
            model_bytes: model.bytes,
            arena: self.places.arena.address,
            arena_bytes: self.places.arena.bytes,
            input: data + u64::from(task.input.offset),
            input_bytes: task.input.bytes,
            output: data + u64::from(task.output.offset),
            output_bytes: task.output.bytes,
            ..Request::ask(kind::SUBMIT, number)
        })
    }
}

impl<N: Notify, C: Clock> Engine for Accelerator<N, C> {
    fn hear(&mut self) {
        // This is called between any two operators of the processor, and mostly there is nothing.
        let due = !self.usable || self.active.is_some();
        if !due && !self.link.has_news() {
            return;
        }
        let now_ns = self.clock.now_ns();
        if due && now_ns < self.ask_ns && !self.link.has_news() {
            return;
        }
        match self.link.poll() {
            Ok(false) => {}
            Ok(true) | Err(_) => self.lose_driver(now_ns),
        }
        loop {
            match self.link.pop() {
                Ok(Some(reply)) => self.take(&reply, now_ns),
                Ok(None) => break,
                Err(_) => return self.lose_driver(now_ns),
            }
        }
        if due && now_ns >= self.ask_ns && self.link.is_connected() {
            if core::mem::replace(&mut self.asked, true)
                && let Some(active) = &mut self.active
            {
                // A driver that gives no sign of life is one that somebody stopped. The accelerator may still write this
                // job's output, if it has not done so by now.
                self.usable = false;
                active.ended = active.ended.or(Some((Outcome::Lost, Spent::default())));
            }
            // If the ring is full, the driver has enough to answer.
            let _ = self.link.push(&Request::ask(kind::STATUS, 0));
            self.ask_ns = now_ns.saturating_add(SIGN_NS);
        }
    }

    fn runs(&self, client: usize, model: usize) -> bool {
        self.usable
            && self.places.clients.get(client).is_some_and(|address| *address != 0)
            && model < self.places.models.len()
            && !self.refused[model]
    }

    fn has_room(&self, _: usize) -> bool {
        self.usable && self.active.is_none()
    }

    fn begin(&mut self, task: &Task) {
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        let sent = self.request(task, number).is_some_and(|request| self.link.push(&request).is_ok());
        let ended = (!sent).then_some((Outcome::NotRun, Spent::default()));
        if !sent {
            // The driver does not take its requests.
            self.usable = false;
            self.ask_ns = self.clock.now_ns().saturating_add(ASK_AGAIN_NS);
        }
        let lost_ns = task.give_up_ns.saturating_add(MARGIN_NS + STOP_NS);
        if self.usable {
            (self.asked, self.ask_ns) = (false, self.clock.now_ns().saturating_add(SIGN_NS));
        }
        self.active = Some(Active { ticket: task.ticket, model: task.model, number, lost_ns, orphan: false, ended });
    }

    fn step(&mut self, ticket: Ticket, _: &mut dyn Watch) -> Progress {
        let Some(active) = self.active.as_ref().filter(|active| active.ticket == ticket) else {
            return Progress::Ended(Outcome::Failed, Spent::default());
        };
        let mut ended = active.ended;
        if ended.is_none() && self.clock.now_ns() >= active.lost_ns {
            // The driver lives and does not end the job.
            self.usable = false;
            ended = Some((Outcome::Lost, Spent::default()));
        }
        match ended {
            None => Progress::Waiting,
            Some((outcome, spent)) => {
                self.active = None;
                Progress::Ended(outcome, spent)
            }
        }
    }

    fn stop(&mut self, ticket: Ticket) {
        let now_ns = self.clock.now_ns();
        if let Some(active) = self.active.as_mut().filter(|active| active.ticket == ticket) {
            active.lost_ns = active.lost_ns.min(now_ns.saturating_add(STOP_NS));
            // If there is no room for it, the driver's own limit ends the job.
            let _ = self.link.push(&Request::ask(kind::CANCEL, active.number));
        }
    }

    fn wake_ns(&self) -> Option<u64> {
        Some(self.active.as_ref()?.lost_ns.min(self.ask_ns))
    }
}
