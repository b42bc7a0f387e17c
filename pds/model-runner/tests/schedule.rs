//! The scheduler with engines that end jobs in every way, under any order of events.

mod common;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use common::*;
use model_runner::engine::{Engine, Outcome, Progress, Spent, Task, Ticket, Watch};
use model_runner::{Infos, Runner};
use proptest::prelude::*;
use protocols::model::{
    ClientInfo, JobInfo, JobResult, MAX_DEADLINE_NS, MAX_JOBS, ModelInfo, Reply, Request, Status, WINDOW_NS, code,
    kind, state,
};

const MS: u64 = 1_000_000;
/// What one step of the processor takes.
const STEP_NS: u64 = 2 * MS;
/// Steps of a job on the processor, and, in units of [`STEP_NS`], its time on the accelerator.
const STEPS: u32 = 5;
/// The model that runs on the accelerator while there is one.
const OFFLOADED: u32 = 1;

/// What a fake engine has, and what is to happen to it.
struct State {
    now_ns: Rc<Cell<u64>>,
    places: usize,
    active: Vec<(Ticket, u32, bool, u64)>,
    fault: Option<Outcome>,
    present: bool,
    /// Tickets in the order of their beginning.
    begun: Vec<(usize, u32)>,
}

impl State {
    fn new(now_ns: &Rc<Cell<u64>>, places: usize) -> Rc<RefCell<State>> {
        let state =
            State { now_ns: now_ns.clone(), places, active: Vec::new(), fault: None, present: true, begun: Vec::new() };
        Rc::new(RefCell::new(state))
    }

    fn begin(&mut self, task: &Task) {
        assert!(self.active.len() < self.places, "no more than there is room for");
        assert!(self.active.iter().all(|active| active.0 != task.ticket), "no job twice");
        // A few looks at the clock lie between.
        assert!(task.give_up_ns + 1000 > self.now_ns.get(), "no job that is late already");
        let done_ns = self.now_ns.get() + u64::from(STEPS) * STEP_NS;
        self.active.push((task.ticket, STEPS, false, done_ns));
        self.begun.push((task.client, task.input.offset));
    }

    fn index(&self, ticket: Ticket) -> usize {
        self.active.iter().position(|active| active.0 == ticket).expect("only active jobs are stepped or stopped")
    }

    fn end(&mut self, index: usize, outcome: Outcome, ns: u64) -> Progress {
        self.active.remove(index);
        Progress::Ended(outcome, Spent { ns, instructions: ns / 2, bytes_copied: 0 })
    }
}

/// Computes in its steps.
struct Computes(Rc<RefCell<State>>);

impl Engine for Computes {
    fn runs(&self, _: usize, _: usize) -> bool {
        true
    }
    fn has_room(&self, _: usize) -> bool {
        let state = self.0.borrow();
        state.active.len() < state.places
    }
    fn begin(&mut self, task: &Task) {
        self.0.borrow_mut().begin(task);
    }
    fn step(&mut self, ticket: Ticket, watch: &mut dyn Watch) -> Progress {
        let index = self.0.borrow().index(ticket);
        if self.0.borrow().active[index].2 {
            return self.0.borrow_mut().end(index, Outcome::Stopped, 0);
        }
        let now_ns = self.0.borrow().now_ns.clone();
        for _ in 0..2 {
            now_ns.set(now_ns.get() + STEP_NS / 2);
            if watch.look().is_break() {
                return self.0.borrow_mut().end(index, Outcome::Stopped, STEP_NS / 2);
            }
        }
        let mut state = self.0.borrow_mut();
        if let Some(fault) = state.fault.take() {
            return state.end(index, fault, STEP_NS);
        }
        state.active[index].1 -= 1;
        match state.active[index].1 {
            0 => state.end(index, Outcome::Done, STEP_NS),
            _ => Progress::Working(Spent { ns: STEP_NS, instructions: STEP_NS / 2, bytes_copied: 0 }),
        }
    }
    fn stop(&mut self, ticket: Ticket) {
        let mut state = self.0.borrow_mut();
        let index = state.index(ticket);
        state.active[index].2 = true;
    }
}

/// Works by itself.
struct Works(Rc<RefCell<State>>);

impl Engine for Works {
    fn runs(&self, _: usize, model: usize) -> bool {
        model == OFFLOADED as usize && self.0.borrow().present
    }
    fn has_room(&self, _: usize) -> bool {
        let state = self.0.borrow();
        state.present && state.active.len() < state.places
    }
    fn begin(&mut self, task: &Task) {
        self.0.borrow_mut().begin(task);
    }
    fn step(&mut self, ticket: Ticket, _: &mut dyn Watch) -> Progress {
        let mut state = self.0.borrow_mut();
        let index = state.index(ticket);
        let (_, _, stopped, done_ns) = state.active[index];
        if !state.present {
            state.end(index, Outcome::Lost, 0)
        } else if let Some(fault) = state.fault.take() {
            state.end(index, fault, STEP_NS)
        } else if stopped {
            state.end(index, Outcome::Stopped, STEP_NS)
        } else if state.now_ns.get() >= done_ns {
            state.end(index, Outcome::Done, u64::from(STEPS) * STEP_NS)
        } else {
            Progress::Waiting
        }
    }
    fn stop(&mut self, ticket: Ticket) {
        let mut state = self.0.borrow_mut();
        let index = state.index(ticket);
        state.active[index].2 = true;
    }
    fn wake_ns(&self) -> Option<u64> {
        self.0.borrow().active.iter().map(|active| active.3).min()
    }
}

struct Bench {
    runner: Runner<'static, Notifier, Fake>,
    clients: Vec<ClientEnd>,
    now_ns: Rc<Cell<u64>>,
    processor: Rc<RefCell<State>>,
    accelerator: Rc<RefCell<State>>,
    /// What [`Runner::turn`] asked for.
    wake_ns: Option<u64>,
}

fn infos() -> Infos {
    let info = ModelInfo { input_bytes: INPUT, output_bytes: OUTPUT, macs: 1000, ..ModelInfo::default() };
    [Some(info), Some(info), None].into_iter().collect()
}

impl Bench {
    fn new(clients: usize) -> Self {
        let now_ns = Rc::new(Cell::new(MS));
        let (processor, accelerator) = (State::new(&now_ns, 2), State::new(&now_ns, 1));
        let mut bench = Bench {
            runner: Self::runner(&now_ns, &processor, &accelerator),
            clients: Vec::new(),
            now_ns,
            processor,
            accelerator,
            wake_ns: None,
        };
        for slot in 0..clients {
            let (end, link, region) = client();
            bench.runner.add_client(slot, link, region);
            bench.clients.push(end);
        }
        bench.turn();
        bench.clients.iter_mut().for_each(|client| assert!(client.replies().is_empty()));
        bench.turn();
        bench
    }

    fn runner(
        now_ns: &Rc<Cell<u64>>,
        processor: &Rc<RefCell<State>>,
        accelerator: &Rc<RefCell<State>>,
    ) -> Runner<'static, Notifier, Fake> {
        let clock = Fake { now_ns: now_ns.clone(), tick_ns: Rc::new(Cell::new(1)) };
        let computes = Box::leak(Box::new(Computes(processor.clone())));
        let works = Box::leak(Box::new(Works(accelerator.clone())));
        Runner::new(&infos(), clock, computes, Some(works), true)
    }

    fn turn(&mut self) {
        self.wake_ns = self.runner.turn();
    }

    fn send(&mut self, client: usize, request: Request) -> bool {
        let client = &mut self.clients[client];
        let _ = client.link.poll();
        client.link.push(&request).is_ok()
    }

    /// Lets time pass until `until_ns`, with turns when the runner asked for them.
    fn pass(&mut self, until_ns: u64) {
        self.turn();
        while let Some(wake_ns) = self.wake_ns.filter(|wake_ns| *wake_ns <= until_ns) {
            self.now_ns.set(self.now_ns.get().max(wake_ns));
            self.turn();
        }
        self.now_ns.set(self.now_ns.get().max(until_ns));
        self.turn();
    }

    fn ask<T: zerocopy::FromBytes>(&mut self, request: Request) -> Result<T, u32> {
        assert!(self.send(0, request));
        self.turn();
        let reply = self.clients[0].replies().into_iter().find(|reply| reply.kind == request.kind).expect("a reply");
        if reply.code == code::DONE { Ok(reply.body()) } else { Err(reply.code) }
    }

    /// Starts the runner anew, as after a fault.
    fn restart(&mut self) {
        self.processor.borrow_mut().active.clear();
        self.accelerator.borrow_mut().active.clear();
        self.runner = Self::runner(&self.now_ns, &self.processor, &self.accelerator);
        for (slot, client) in self.clients.iter().enumerate() {
            let (link, region) = client.runner_end();
            self.runner.add_client(slot, link, region);
        }
    }
}

fn told(replies: &[Reply]) -> Vec<(u32, u32, u32)> {
    replies.iter().map(|reply| (reply.kind, reply.job, reply.code)).collect()
}

#[test]
fn a_periodic_job_runs_at_its_times_until_it_is_cancelled() {
    let mut bench = Bench::new(1);
    let start_ns = bench.now_ns.get();
    bench.send(0, Request { start_ns: 30 * MS, ..job(3).every(50 * MS) });
    bench.pass(start_ns + 300 * MS);
    let replies = bench.clients[0].replies();
    assert_eq!(told(&replies), [(kind::RUN, 3, code::DONE); 6]);
    for (index, reply) in replies.iter().enumerate() {
        let result: JobResult = reply.body();
        let due_ns = start_ns + 30 * MS + index as u64 * 50 * MS;
        assert!(result.queued_ns.abs_diff(due_ns) < MS, "released at its time: {result:?}");
        assert!(result.started_ns - result.queued_ns < MS && result.took_ns() < 11 * MS, "{result:?}");
        assert_eq!((result.run, result.missed, result.output), (index as u32 + 1, 0, job(3).output));
    }
    bench.send(0, Request::ask(kind::CANCEL, 3, 0));
    bench.pass(start_ns + 600 * MS);
    assert_eq!(told(&bench.clients[0].replies()), [(kind::SUBMIT, 3, code::CANCELLED), (kind::CANCEL, 3, code::DONE)]);
    assert_eq!(bench.wake_ns, None, "nothing is left to wait for");
}

#[test]
fn releases_that_fall_into_a_run_are_counted_and_never_piled_up() {
    let mut bench = Bench::new(1);
    let start_ns = bench.now_ns.get();
    // A run takes 10 ms.
    bench.send(0, job(0).every(4 * MS));
    bench.pass(start_ns + 118 * MS);
    let replies = bench.clients[0].replies();
    assert_eq!(replies.len(), 10, "one run in three periods");
    assert_eq!(replies.last().unwrap().body::<JobResult>().missed, 20);
    // Nobody looks for ten periods: they are gone, and the next one is on time.
    bench.now_ns.set(start_ns + 161 * MS);
    bench.turn();
    let result: JobResult = bench.clients[0].replies()[0].body();
    assert!(result.queued_ns.abs_diff(start_ns + 160 * MS) < MS && result.missed >= 30, "{result:?}");
}

#[test]
fn a_client_that_takes_no_replies_misses_its_own_runs() {
    let mut bench = Bench::new(2);
    let start_ns = bench.now_ns.get();
    bench.send(0, job(0).every(10 * MS));
    bench.send(1, Request { model: OFFLOADED, ..job(0) });
    bench.pass(start_ns + 1000 * MS);
    let info: ClientInfo = {
        let taken = bench.clients[0].replies().len();
        assert!(taken < 20, "as many as the ring holds");
        bench.ask(Request::ask(kind::CLIENT_INFO, 9, 0)).unwrap()
    };
    assert!(info.missed > 70, "{info:?}");
    assert_eq!(bench.clients[1].replies().len(), 1);
}

#[test]
fn a_higher_priority_goes_first_and_preempts_between_steps() {
    let mut bench = Bench::new(2);
    for number in 0..3 {
        bench.send(0, Request { priority: number, ..job(number) });
    }
    bench.turn();
    assert_eq!(bench.clients[0].codes(), [(2, code::DONE), (1, code::DONE), (0, code::DONE)]);

    let start_ns = bench.now_ns.get();
    bench.send(0, job(5));
    bench.send(1, Request { priority: 7, start_ns: 3 * MS, deadline_ns: 15 * MS, ..job(6) });
    bench.pass(start_ns + 100 * MS);
    let (low, high) = (bench.clients[0].replies(), bench.clients[1].replies());
    let [low, high]: [JobResult; 2] = [low[0].body(), high[0].body()];
    assert!(low.started_ns < high.started_ns && high.finished_ns < low.finished_ns, "{low:?} {high:?}");
    assert!(high.started_ns - high.queued_ns <= STEP_NS, "it waits for one step at most");
    assert_eq!(low.compute_ns, u64::from(STEPS) * STEP_NS, "what it stood back is not its own");
}

#[test]
fn cancel_deadline_and_faults_end_jobs_on_both_engines() {
    for model in [0, OFFLOADED] {
        let mut bench = Bench::new(1);
        let start_ns = bench.now_ns.get();
        let first = Request { model, deadline_ns: 3 * MS, ..job(0) };
        bench.send(0, first);
        bench.pass(start_ns + 5 * MS);
        let replies = bench.clients[0].replies();
        assert_eq!(told(&replies), [(kind::SUBMIT, 0, code::TIMED_OUT)], "model {model}");
        assert!(replies[0].body::<JobResult>().finished_ns - start_ns <= 4 * MS);
        for (fault, code) in [
            (Outcome::Crashed, code::CRASHED),
            (Outcome::Hung, code::HUNG),
            (Outcome::Failed, code::FAULTED),
            (Outcome::Stopped, code::FAULTED),
        ] {
            bench.send(0, Request { model, ..job(1) });
            bench.send(0, Request { model, ..job(2) });
            let engine = if model == OFFLOADED { &bench.accelerator } else { &bench.processor };
            engine.borrow_mut().fault = Some(fault);
            bench.pass(bench.now_ns.get() + 50 * MS);
            assert_eq!(bench.clients[0].codes(), [(1, code), (2, code::DONE)], "{fault:?}: the next job runs");
        }
    }
}

#[test]
fn an_accelerator_that_is_lost_leaves_its_jobs_to_the_processor() {
    let mut bench = Bench::new(1);
    for number in 0..3 {
        bench.send(0, Request { model: OFFLOADED, ..job(number) });
    }
    bench.turn();
    bench.accelerator.borrow_mut().present = false;
    bench.pass(bench.now_ns.get() + 100 * MS);
    let replies = bench.clients[0].replies();
    assert_eq!(
        told(&replies),
        [(kind::SUBMIT, 0, code::LOST), (kind::SUBMIT, 1, code::DONE), (kind::SUBMIT, 2, code::DONE)]
    );
    assert_eq!(replies[1].body::<JobResult>().engine, 0);
    bench.accelerator.borrow_mut().present = true;
    bench.send(0, Request { model: OFFLOADED, ..job(4) });
    bench.pass(bench.now_ns.get() + 100 * MS);
    assert_eq!(bench.clients[0].replies()[0].body::<JobResult>().engine, 1, "and back");
}

#[test]
fn both_engines_work_at_once() {
    let mut bench = Bench::new(1);
    let start_ns = bench.now_ns.get();
    for number in 0..8 {
        bench.send(0, Request { model: number % 2, ..job(number) });
    }
    bench.pass(start_ns + 45 * MS);
    assert_eq!(bench.clients[0].replies().len(), 8, "eight jobs of 10 ms in little more than 40 ms");
}

#[test]
fn a_flood_does_not_starve_the_polite() {
    let mut bench = Bench::new(3);
    let start_ns = bench.now_ns.get();
    let mut slowest_ns = 0;
    for round in 0..50 {
        // The flooder has all the jobs it may have, at the highest priority; the polite one asks for a job now and then.
        for number in 0..MAX_JOBS as u32 {
            bench.send(1, Request { priority: 7, ..job(number) });
        }
        bench.send(2, Request { start_ns: 13 * MS, ..job(round) });
        bench.pass(bench.now_ns.get() + 30 * MS);
        bench.clients[1].replies();
        for reply in bench.clients[2].replies() {
            assert_eq!(reply.code, code::DONE);
            slowest_ns = slowest_ns.max(reply.body::<JobResult>().finished_ns - reply.body::<JobResult>().queued_ns);
        }
    }
    let [flood, polite] =
        [1, 2].map(|client| bench.ask::<ClientInfo>(Request::ask(kind::CLIENT_INFO, 0, client)).unwrap());
    assert_eq!(polite.done, 50);
    // A third of a window for the one of higher priority, and a step, and the job itself.
    assert!(slowest_ns <= WINDOW_NS / 3 + 20 * MS, "{slowest_ns}");
    let passed_ns = bench.now_ns.get() - start_ns;
    assert!(flood.compute_ns + polite.compute_ns > passed_ns * 9 / 10, "what nobody else wants is the flooder's");
}

#[test]
fn who_all_want_everything_get_equal_shares() {
    let mut bench = Bench::new(4);
    for _ in 0..200 {
        for client in 0..4 {
            for number in 0..MAX_JOBS as u32 {
                bench.send(client, Request { priority: client as u32, ..job(number) });
            }
        }
        bench.turn();
        bench.clients.iter_mut().for_each(|client| drop(client.replies()));
    }
    let used: Vec<u64> = (0..4)
        .map(|client| bench.ask::<ClientInfo>(Request::ask(kind::CLIENT_INFO, 0, client)).unwrap().compute_ns)
        .collect();
    assert!(used.iter().max().unwrap() - used.iter().min().unwrap() <= WINDOW_NS, "{used:?}");
}

#[test]
fn the_operator_sees_and_ends_all_jobs_and_others_do_not() {
    let mut bench = Bench::new(3);
    for client in 1..3 {
        bench.send(client, job(7).every(1000 * MS));
    }
    bench.turn();
    let first: JobInfo = bench.ask(Request::ask(kind::JOB_INFO, 0, 0)).unwrap();
    let second: JobInfo = bench.ask(Request::ask(kind::JOB_INFO, first.serial + 1, 0)).unwrap();
    assert_eq!((first.client, second.client, second.job, second.state), (1, 2, 7, state::WAITING));
    assert_eq!(bench.ask::<JobInfo>(Request::ask(kind::JOB_INFO, second.serial + 1, 0)), Err(code::NO_JOB));

    for request in [
        Request::ask(kind::JOB_INFO, 0, 0),
        Request::ask(kind::END, first.serial, 0),
        Request::ask(kind::CLIENT_INFO, 0, 1),
    ] {
        bench.clients[2].replies();
        bench.send(2, request);
        bench.turn();
        assert_eq!(bench.clients[2].codes(), [(request.job, code::NOT_ALLOWED)]);
    }
    // The number of another's job is nothing to it.
    bench.send(2, Request::ask(kind::CANCEL, 7, 0));
    bench.turn();
    assert_eq!(bench.clients[2].codes(), [(7, code::CANCELLED), (7, code::DONE)]);
    bench.send(2, Request::ask(kind::CANCEL, 7, 0));
    bench.turn();
    assert_eq!(bench.clients[2].codes(), [(7, code::NO_JOB)]);

    assert_eq!(bench.ask::<Status>(Request::ask(kind::END, second.serial, 0)), Err(code::NO_JOB));
    assert!(bench.ask::<Status>(Request::ask(kind::END, first.serial, 0)).is_ok());
    let told = told(&bench.clients[1].replies());
    assert_eq!(told.last(), Some(&(kind::SUBMIT, 7, code::CANCELLED)));
}

#[test]
fn times_out_of_range_are_refused() {
    let mut bench = Bench::new(1);
    for request in [
        Request { deadline_ns: MAX_DEADLINE_NS + 1, ..job(0) },
        Request { period_ns: 1, ..job(0) },
        Request { period_ns: u64::MAX, ..job(0) },
        Request { start_ns: u64::MAX, ..job(0) },
    ] {
        assert_eq!(bench.ask::<JobResult>(request), Err(code::BAD_TIME), "{request:?}");
    }
    let odd = Request { priority: 1, ..Request::ask(kind::STATUS, 0, 0) };
    assert_eq!(bench.ask::<Status>(odd), Err(code::BAD_REQUEST));
    bench.ask::<Status>(Request::ask(kind::STATUS, 0, 0)).unwrap();
}

// ---- Any order of events -------------------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug)]
enum Event {
    Submit { client: usize, number: u32, model: u32, priority: u32, deadline_ms: u64, period_ms: u64, start_ms: u64 },
    Cancel { client: usize, number: u32 },
    End { nth: u32 },
    Pass { ms: u64 },
    Turn,
    Fault { accelerator: bool, outcome: usize },
    Lose { present: bool },
    RestartClient { client: usize },
    RestartRunner,
    Garbage { client: usize, words: [u32; 6] },
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0usize..3, 0u32..6, 0u32..3, 0u32..9, 0u64..30, 0u64..12, 0u64..6).prop_map(
            |(client, number, model, priority, deadline_ms, period_ms, start_ms)| Event::Submit {
                client, number, model, priority, deadline_ms,
                period_ms: period_ms.saturating_sub(6), start_ms: start_ms.saturating_sub(4),
            }
        ),
        2 => (0usize..3, 0u32..7).prop_map(|(client, number)| Event::Cancel { client, number }),
        1 => (0u32..20).prop_map(|nth| Event::End { nth }),
        3 => (0u64..40).prop_map(|ms| Event::Pass { ms }),
        3 => Just(Event::Turn),
        1 => (any::<bool>(), 0usize..4).prop_map(|(accelerator, outcome)| Event::Fault { accelerator, outcome }),
        1 => any::<bool>().prop_map(|present| Event::Lose { present }),
        1 => (0usize..3).prop_map(|client| Event::RestartClient { client }),
        1 => Just(Event::RestartRunner),
        1 => (0usize..3, any::<[u32; 6]>()).prop_map(|(client, words)| Event::Garbage { client, words }),
    ]
}

/// What a client knows: the jobs it submitted and has no end of, by number, with the runs it was told of.
#[derive(Default)]
struct Ledger {
    open: HashMap<u32, Vec<Option<u32>>>,
    other: usize,
}

impl Ledger {
    fn submitted(&mut self, number: u32) {
        self.open.entry(number).or_default().push(None);
    }

    fn take(&mut self, reply: &Reply) {
        match reply.kind {
            kind::SUBMIT => {
                // Of several with the same number, the first lives, and the later ones are refused.
                let refused = matches!(reply.code, code::QUEUE_FULL..=code::NOT_ALLOWED | code::NO_TIMER);
                let open = self.open.get_mut(&reply.job).expect("an end only of what was submitted");
                assert!(!open.is_empty(), "one end for each submission: {reply:?}");
                open.remove(if refused { open.len() - 1 } else { 0 });
            }
            kind::RUN => {
                let open = self.open.get_mut(&reply.job).expect("a run only of what was submitted");
                let run = reply.body::<JobResult>().run;
                let last = open.first_mut().expect("no run after the end");
                assert!(last.is_none_or(|last| run == last + 1), "runs in order: {last:?} {run}");
                *last = Some(run);
            }
            _ => self.other = self.other.checked_sub(1).expect("one reply for each request"),
        }
    }

    fn is_settled(&self) -> bool {
        self.other == 0 && self.open.values().all(Vec::is_empty)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order, every submission ends exactly once or with the session that it was made in.
    #[test]
    fn every_job_ends_exactly_once(events in prop::collection::vec(any_event(), 1..80)) {
        let mut bench = Bench::new(3);
        let mut ledgers: [Ledger; 3] = Default::default();
        let outcomes = [Outcome::Crashed, Outcome::Hung, Outcome::Failed, Outcome::Lost];
        for event in events {
            match event {
                Event::Submit { client, number, model, priority, deadline_ms, period_ms, start_ms } => {
                    let request = Request {
                        model,
                        priority,
                        deadline_ns: deadline_ms * MS,
                        period_ns: period_ms * MS,
                        start_ns: start_ms * MS,
                        ..job(number)
                    };
                    if bench.send(client, request) {
                        ledgers[client].submitted(number);
                    }
                }
                Event::Cancel { client, number } => {
                    ledgers[client].other += usize::from(bench.send(client, Request::ask(kind::CANCEL, number, 0)));
                }
                Event::End { nth } => {
                    ledgers[0].other += usize::from(bench.send(0, Request::ask(kind::END, nth, 0)));
                }
                Event::Garbage { client, words } => {
                    let [kind, job, model, priority, period, deadline] = words;
                    // Not one that could be a submission, whose reply would be taken for another's.
                    let request = Request {
                        kind: kind | 0x10,
                        job,
                        model,
                        priority,
                        period_ns: period.into(),
                        deadline_ns: deadline.into(),
                        ..Request::default()
                    };
                    ledgers[client].other += usize::from(bench.send(client, request));
                }
                Event::Pass { ms } => bench.pass(bench.now_ns.get() + ms * MS),
                Event::Turn => bench.turn(),
                Event::Fault { accelerator, outcome } => {
                    let engine = if accelerator { &bench.accelerator } else { &bench.processor };
                    engine.borrow_mut().fault = Some(outcomes[outcome]);
                }
                Event::Lose { present } => bench.accelerator.borrow_mut().present = present,
                Event::RestartClient { client } => {
                    bench.clients[client].restart();
                    ledgers[client] = Ledger::default();
                }
                Event::RestartRunner => {
                    bench.restart();
                    for client in &mut bench.clients {
                        prop_assert_eq!(client.link.poll(), Ok(true), "the session ends for all to see");
                    }
                    ledgers = Default::default();
                }
            }
            for (client, ledger) in bench.clients.iter_mut().zip(&mut ledgers) {
                client.replies().iter().for_each(|reply| ledger.take(reply));
            }
            let active = bench.processor.borrow().active.len() + bench.accelerator.borrow().active.len();
            prop_assert!(active <= bench.runner.status().jobs as usize);
        }
        // Periodic jobs are ended, all others end by themselves.
        for client in 0..3 {
            for number in 0..6 {
                ledgers[client].other += usize::from(bench.send(client, Request::ask(kind::CANCEL, number, 0)));
                bench.turn();
                bench.clients[client].replies().iter().for_each(|reply| ledgers[client].take(reply));
            }
        }
        bench.pass(bench.now_ns.get() + MAX_DEADLINE_NS + 1);
        for (client, ledger) in bench.clients.iter_mut().zip(&mut ledgers) {
            client.replies().iter().for_each(|reply| ledger.take(reply));
            prop_assert!(ledger.is_settled(), "open: {:?}, {}", ledger.open, ledger.other);
        }
        prop_assert_eq!(bench.runner.status().jobs, 0);
        prop_assert!(bench.processor.borrow().active.is_empty() && bench.accelerator.borrow().active.is_empty());
    }
}
