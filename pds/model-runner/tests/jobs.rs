//! The runner with clients of every kind, over real links in the memory of one program.

mod common;

use std::cell::Cell;
use std::rc::Rc;

use common::*;
use model_runner::{Clock, ModelSet, Problem, Processor, Runner};
use proptest::prelude::*;
use protocols::model::{JobResult, MAX_JOBS, ModelInfo, Request, Status, code, kind};
use protocols::model_pack::ModelPack;
use ring::Span;
use zerocopy::IntoBytes;

fn runner<C: Clock + 'static>(models: ModelSet, clock: C) -> Runner<'static, Notifier, C> {
    let infos = models.infos();
    let processor = Box::leak(Box::new(Processor::new(models, clock.clone())));
    Runner::new(&infos, clock, processor, None, true)
}

struct Bench {
    runner: Runner<'static, Notifier, Fake>,
    clients: Vec<ClientEnd>,
    now_ns: Rc<Cell<u64>>,
    tick_ns: Rc<Cell<u64>>,
    problems: Vec<Problem>,
}

fn bench(clients: usize) -> Bench {
    let arena = Vec::leak(vec![0u128; 1 << 14]).as_mut_bytes();
    let mut problems = Vec::new();
    let models = ModelSet::load(pack(), arena, |problem| problems.push(problem));
    let (now_ns, tick_ns) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(10)));
    let mut runner = runner(models, Fake { now_ns: now_ns.clone(), tick_ns: tick_ns.clone() });
    let mut ends = Vec::new();
    for slot in 0..clients {
        let (end, link, region) = client();
        runner.add_client(slot, link, region);
        ends.push(end);
    }
    let mut bench = Bench { runner, clients: ends, now_ns, tick_ns, problems };
    bench.runner.turn();
    for client in &mut bench.clients {
        client.replies();
    }
    bench.runner.turn();
    bench
}

#[test]
fn a_job_runs_in_place_and_says_what_it_cost() {
    let mut bench = bench(1);
    assert!(matches!(bench.problems[..], [Problem::Load(1, _)]), "{:?}", bench.problems);
    bench.clients[0].data[..64].fill(0x80);
    bench.clients[0].data[64..].fill(0x55);
    bench.clients[0].link.push(&job(0)).unwrap();
    bench.runner.turn();
    let replies = bench.clients[0].replies();
    assert_eq!(replies.len(), 1);
    let result: JobResult = replies[0].body();
    assert_eq!((replies[0].code, result.output), (code::DONE, job(0).output));
    assert!(result.took_ns() > 0 && result.instructions > 0 && result.macs > 100_000);
    let data = &bench.clients[0].data;
    assert_ne!(data[64..74], [0x55; 10]);
    assert!(data[74..].iter().all(|byte| *byte == 0x55), "nothing beside the output is written");
    assert_eq!((bench.runner.status().done, bench.runner.status().bytes_copied), (1, 0));
}

#[test]
fn models_and_status_are_told() {
    let mut bench = bench(1);
    for (number, kind, model) in
        [(1, kind::MODEL_INFO, 0), (2, kind::MODEL_INFO, 1), (3, kind::MODEL_INFO, 9), (4, kind::STATUS, 0)]
    {
        bench.clients[0].link.push(&Request::ask(kind, number, model)).unwrap();
    }
    bench.runner.turn();
    let replies = bench.clients[0].replies();
    let codes: Vec<_> = replies.iter().map(|reply| reply.code).collect();
    assert_eq!(codes, [code::DONE, code::NO_MODEL, code::NO_MODEL, code::DONE]);
    let info: ModelInfo = replies[0].body();
    assert_eq!((&info.name[..7], info.input_bytes, info.output_bytes), (&b"digits\0"[..], INPUT, OUTPUT));
    assert_eq!(replies[3].body::<Status>().refused, 2);
}

#[test]
fn bad_requests_are_refused_with_the_reason() {
    let mut bench = bench(1);
    let span = |offset, bytes| Span { offset, bytes };
    let bad = [
        (Request { model: 1, ..job(0) }, code::NO_MODEL),
        (Request { model: u32::MAX, ..job(0) }, code::NO_MODEL),
        (Request { input: span(0, 63), ..job(0) }, code::BAD_BUFFER),
        (Request { output: span(64, 11), ..job(0) }, code::BAD_BUFFER),
        (Request { input: span(8, INPUT), ..job(0) }, code::BAD_BUFFER),
        (Request { input: span(DATA_BYTES as u32 - 48, INPUT), ..job(0) }, code::BAD_BUFFER),
        (Request { input: span(u32::MAX - 15, INPUT), ..job(0) }, code::BAD_BUFFER),
        (Request { output: span(48, OUTPUT), ..job(0) }, code::BUFFER_IN_USE),
        (Request { priority: 8, ..job(0) }, code::BAD_REQUEST),
        (Request { kind: 77, ..job(0) }, code::BAD_REQUEST),
        (Request::ask(kind::CANCEL, 5, 0), code::NO_JOB),
    ];
    for (request, expected) in bad {
        bench.clients[0].link.push(&request).unwrap();
        bench.runner.turn();
        assert_eq!(bench.clients[0].codes(), [(request.job, expected)], "{request:?}");
    }
    assert_eq!(bench.runner.status().refused, bad.len() as u64);
    bench.clients[0].link.push(&job(0)).unwrap();
    bench.runner.turn();
    assert_eq!(bench.clients[0].codes(), [(0, code::DONE)]);
}

#[test]
fn a_job_too_many_and_a_number_twice_are_refused_at_once() {
    let mut bench = bench(2);
    for number in 0..MAX_JOBS as u32 + 2 {
        bench.clients[0].link.push(&job(number)).unwrap();
    }
    bench.clients[0].link.push(&Request { job: 3, ..job(20) }).unwrap();
    bench.clients[1].link.push(&job(0)).unwrap();
    bench.runner.turn();
    let codes = bench.clients[0].codes();
    assert_eq!(codes[..3], [(8, code::QUEUE_FULL), (9, code::QUEUE_FULL), (3, code::JOB_EXISTS)]);
    assert_eq!(codes[3..], (0..8).map(|number| (number, code::DONE)).collect::<Vec<_>>());
    assert_eq!(bench.clients[1].codes(), [(0, code::DONE)]);

    for request in [job(1), Request { job: 1, ..job(2) }, Request { job: 2, ..job(1) }] {
        bench.clients[0].link.push(&request).unwrap();
    }
    bench.runner.turn();
    assert_eq!(bench.clients[0].codes(), [(1, code::JOB_EXISTS), (2, code::BUFFER_IN_USE), (1, code::DONE)]);
}

#[test]
fn clients_take_turns() {
    let mut bench = bench(3);
    for client in &mut bench.clients {
        (0..4).for_each(|number| client.link.push(&job(number)).unwrap());
    }
    bench.runner.turn();
    let queued = bench
        .clients
        .iter_mut()
        .map(|client| client.replies().iter().map(|reply| reply.body::<JobResult>().started_ns).collect::<Vec<_>>());
    let queued: Vec<_> = queued.collect();
    for turn in 0..4 {
        assert!(queued.windows(2).all(|pair| pair[0][turn] < pair[1][turn]), "{queued:?}");
    }
    assert!(queued[0][1] > queued[2][0], "no client has its second turn before another's first");
}

#[test]
fn deadlines_end_queued_and_running_jobs() {
    let mut bench = bench(1);
    bench.tick_ns.set(100);
    for (number, deadline_ns) in [(0, 0), (1, 1), (2, 500), (3, 1_000_000)] {
        bench.clients[0].link.push(&Request { deadline_ns, ..job(number) }).unwrap();
    }
    bench.runner.turn();
    assert_eq!(
        bench.clients[0].codes(),
        [(1, code::TIMED_OUT), (2, code::TIMED_OUT), (0, code::DONE), (3, code::DONE)]
    );
    bench.clients[0].link.push(&Request { deadline_ns: 700, ..job(4) }).unwrap();
    bench.runner.turn();
    let replies = bench.clients[0].replies();
    assert_eq!(replies[0].code, code::TIMED_OUT);
    assert!(replies[0].body::<JobResult>().took_ns() >= 500, "it had started");
    assert_eq!(bench.runner.status().timed_out, 3);
}

#[test]
fn cancelling_ends_queued_jobs_and_is_answered() {
    let mut bench = bench(1);
    for request in [job(0), job(1), Request::ask(kind::CANCEL, 1, 0), Request::ask(kind::CANCEL, 7, 0)] {
        bench.clients[0].link.push(&request).unwrap();
    }
    bench.runner.turn();
    let replies = bench.clients[0].replies();
    let told: Vec<_> = replies.iter().map(|reply| (reply.kind, reply.job, reply.code)).collect();
    assert_eq!(
        told,
        [
            (kind::SUBMIT, 1, code::CANCELLED),
            (kind::CANCEL, 1, code::DONE),
            (kind::CANCEL, 7, code::NO_JOB),
            (kind::SUBMIT, 0, code::DONE)
        ]
    );
}

/// A client whose notifications arrive in the middle of the runner's work: it acts when the runner looks at the clock.
#[derive(Clone)]
struct Meddler {
    calls: Rc<Cell<u32>>,
    act: Rc<dyn Fn(u32)>,
}

impl Clock for Meddler {
    fn now_ns(&self) -> u64 {
        self.calls.set(self.calls.get() + 1);
        (self.act)(self.calls.get());
        u64::from(self.calls.get())
    }
    fn instructions(&self) -> u64 {
        0
    }
}

/// Runs one job during which the client does something at the `at`-th look at the clock.
fn meddle(at: u32, act: impl Fn(&mut ClientEnd) + 'static) -> (Vec<(u32, u32)>, Status) {
    let Bench { mut clients, .. } = bench(1);
    let models = ModelSet::load(pack(), Vec::leak(vec![0u128; 1 << 14]).as_mut_bytes(), |_| {});
    let mut client = clients.remove(0);
    let (link, region) = client.runner_end();
    client.restart();
    client.link.push(&job(0)).unwrap();
    let client = Rc::new(std::cell::RefCell::new(client));
    let shared = client.clone();
    let clock = Meddler {
        calls: Rc::default(),
        act: Rc::new(move |calls| {
            if calls == at {
                act(&mut shared.borrow_mut());
            }
        }),
    };
    let mut runner = runner(models, clock);
    runner.add_client(0, link, region);
    runner.turn();
    let codes = client.borrow_mut().codes();
    (codes, runner.status())
}

#[test]
fn cancelling_stops_a_running_job_between_operators() {
    let (codes, status) = meddle(6, |client| client.link.push(&Request::ask(kind::CANCEL, 0, 0)).unwrap());
    assert_eq!(codes, [(0, code::DONE), (0, code::CANCELLED)]);
    assert_eq!((status.done, status.cancelled), (0, 1));
}

#[test]
fn a_client_that_restarts_loses_its_running_job_and_goes_on() {
    let (codes, status) = meddle(6, |client| {
        client.restart();
        client.link.push(&job(1)).unwrap();
    });
    assert_eq!(codes, [(1, code::DONE)]);
    assert_eq!((status.done, status.abandoned, status.faulted), (1, 1, 0));
}

#[test]
fn a_client_that_takes_no_replies_hurts_only_itself() {
    let mut bench = bench(2);
    for _ in 0..50 {
        while bench.clients[0].link.push(&job(0)).is_ok() {}
        bench.clients[1].link.push(&job(0)).unwrap();
        bench.runner.turn();
        assert_eq!(bench.clients[1].codes(), [(0, code::DONE)]);
    }
    assert!(bench.clients[0].link.push(&job(0)).is_err(), "it sees its own ring full");
    assert!(!bench.clients[0].replies().is_empty());
    bench.runner.turn();
    assert!(bench.clients[0].link.push(&job(9)).is_ok(), "and goes on when it reads");
}

#[test]
fn an_arena_that_is_too_small_says_how_much_is_missing() {
    for bytes in [0, 100, 1000, 5000] {
        let arena = Vec::leak(vec![0u128; bytes / 16]).as_mut_bytes();
        let mut problems = Vec::new();
        let models = ModelSet::load(pack(), arena, |problem| problems.push(problem));
        assert!(models.info(0).is_none());
        assert!(problems.iter().any(|problem| matches!(problem, Problem::Memory { model: 0, .. })), "{problems:?}");
    }
    assert!(ModelPack::parse(pack()).is_ok());
}

fn any_request() -> impl Strategy<Value = Request> {
    let span = || (prop_oneof![0u32..5000, Just(u32::MAX)], prop_oneof![Just(INPUT), Just(OUTPUT), any::<u32>()]);
    let span = move || span().prop_map(|(offset, bytes)| Span { offset: offset / 16 * 16, bytes });
    (0u32..6, 0u32..10, 0u32..3, span(), span(), prop_oneof![Just(0u64), 0u64..3000]).prop_map(
        |(kind, job, model, input, output, deadline_ns)| Request {
            kind,
            job,
            model,
            input,
            output,
            deadline_ns,
            ..Request::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever clients ask: every request gets exactly one reply, and the runner comes to rest.
    #[test]
    fn every_request_has_one_reply(requests in prop::collection::vec((0usize..2, any_request(), any::<bool>()), 1..40)) {
        let mut bench = bench(2);
        let mut asked = [0, 0];
        let mut answered = [0, 0];
        for (client, request, turn) in requests {
            asked[client] += usize::from(bench.clients[client].link.push(&request).is_ok());
            if turn {
                bench.runner.turn();
                answered[client] += bench.clients[client].replies().len();
            }
        }
        for _ in 0..4 {
            bench.runner.turn();
            for (client, answered) in answered.iter_mut().enumerate() {
                *answered += bench.clients[client].replies().len();
            }
        }
        prop_assert_eq!(asked, answered);
        prop_assert!(bench.now_ns.get() > 0);
    }
}
