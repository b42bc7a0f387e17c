//! The accelerator as an engine, with a driver that does its work, refuses, dies and falls silent.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::AtomicU64;

use model_runner::Clock;
use model_runner::accelerator::{Accelerator, Place, Places};
use model_runner::engine::{Engine, Outcome, Progress, Spent, Task, Watch};
use model_runner::region::DataRegion;
use protocols::model_pack::{Header, MAGIC, ModelEntry};
use protocols::npu::{JobResult, PROTOCOL, Reply, Request, Status, VERSION, code, kind, state};
use ring::{Link, Span, Words, region_bytes};
use zerocopy::{FromZeros, IntoBytes};

const SILENT: fn() = || {};
const PACK: u64 = 0x1_0100_0000;
const ARENA: Place = Place { address: 0x1_0180_0000, bytes: 0x1000 };
const DATA: u64 = 0x1_0190_0000;
const SECOND: u64 = 1_000_000_000;

#[derive(Clone)]
struct Time(Rc<Cell<u64>>);

impl Clock for Time {
    fn now_ns(&self) -> u64 {
        self.0.get()
    }
    fn instructions(&self) -> u64 {
        0
    }
}

struct Unwatched;

impl Watch for Unwatched {
    fn look(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Two models of 32 bytes, at 160 and 192 in the pack.
fn pack() -> &'static [u8] {
    let mut words = vec![0u128; 14];
    let bytes = words.as_mut_bytes();
    bytes[..16].copy_from_slice(Header { magic: MAGIC, bytes: 224, models: 2 }.as_bytes());
    for index in 0..2u32 {
        let mut entry = ModelEntry::new_zeroed();
        (entry.file_at, entry.file_bytes) = (160 + 32 * index, 32);
        let at = 16 + size_of::<ModelEntry>() * index as usize;
        bytes[at..at + size_of::<ModelEntry>()].copy_from_slice(entry.as_bytes());
    }
    words.leak().as_bytes()
}

struct Scene {
    time: Time,
    regions: [Words; 2],
    driver: Link<Reply, Request, fn()>,
    engine: Accelerator<fn(), Time>,
}

impl Scene {
    fn new() -> Self {
        let words = |bytes: usize| -> &'static [AtomicU64] {
            Vec::leak((0..region_bytes(8, bytes) / 8).map(|_| AtomicU64::new(0)).collect())
        };
        let regions = [Words::from_static(words(144)), Words::from_static(words(144))];
        let time = Time(Rc::new(Cell::new(1)));
        let link = Link::open(regions[0].clone(), regions[1].clone(), SILENT, PROTOCOL, VERSION).unwrap();
        let driver = Link::open(regions[1].clone(), regions[0].clone(), SILENT, PROTOCOL, VERSION).unwrap();
        let places = Places::new(pack(), PACK, ARENA, [DATA, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        let engine = Accelerator::new(link, time.clone(), places);
        let mut scene = Scene { time, regions, driver, engine };
        assert!(!scene.engine.runs(0, 0), "nobody has said yet that there is an accelerator");
        scene.status(state::IDLE);
        assert!(scene.engine.runs(0, 0) && scene.engine.has_room(0));
        scene
    }

    fn hear(&mut self) {
        self.engine.hear();
        self.engine.hear();
    }

    /// Requests that the driver finds.
    fn requests(&mut self) -> Vec<Request> {
        let _ = self.driver.poll();
        self.hear();
        let _ = self.driver.poll();
        std::iter::from_fn(|| self.driver.pop().unwrap()).collect()
    }

    /// The engine asks how the accelerator is, and is told.
    fn status(&mut self, state: u32) {
        let asked = self.requests();
        assert!(asked.iter().any(|request| request.kind == kind::STATUS), "{asked:?}");
        let status = Status { state, ..Status::default() };
        self.driver.push(&Reply::new(kind::STATUS, 0, code::DONE).with_body(&status)).unwrap();
        self.hear();
    }

    fn begin(&mut self, model: usize) -> Vec<Request> {
        let mut memory = vec![0u8; 64];
        // SAFETY: the engine never looks into the region.
        let region = unsafe { DataRegion::new(NonNull::new(memory.as_mut_ptr()).unwrap(), 64) };
        self.engine.begin(&Task {
            ticket: 5,
            client: 0,
            model,
            region,
            input: Span { offset: 16, bytes: 4 },
            output: Span { offset: 32, bytes: 2 },
            give_up_ns: self.time.0.get() + 10 * SECOND,
        });
        assert!(!self.engine.has_room(model), "one at a time");
        self.requests()
    }

    fn reply(&mut self, request: &Request, code: u32) {
        let result = JobResult { run_ns: 7, instructions: 9, ..JobResult::default() };
        self.driver.push(&Reply::new(kind::SUBMIT, request.job, code).with_body(&result)).unwrap();
        self.hear();
    }

    fn step(&mut self) -> Progress {
        self.engine.step(5, &mut Unwatched)
    }

    fn pass(&mut self, ns: u64) {
        self.time.0.set(self.time.0.get() + ns);
        self.hear();
    }
}

fn ended(outcome: Outcome) -> Progress {
    Progress::Ended(outcome, Spent::default())
}

#[test]
fn a_job_is_addresses_and_its_end_is_told() {
    let mut scene = Scene::new();
    let requests = scene.begin(1);
    let [request] = requests[..] else { panic!("{requests:?}") };
    assert_eq!((request.model, request.model_bytes), (PACK + 192, 32));
    assert_eq!((request.arena, request.arena_bytes), (ARENA.address, ARENA.bytes));
    assert_eq!((request.input, request.input_bytes), (DATA + 16, 4));
    assert_eq!((request.output, request.output_bytes), (DATA + 32, 2));
    assert!(request.limit_ns > 10 * SECOND && request.limit_ns < 11 * SECOND);
    assert_eq!(scene.step(), Progress::Waiting);
    scene.reply(&Request { job: request.job + 1, ..request }, code::CRASHED);
    assert_eq!(scene.step(), Progress::Waiting, "a reply to another job");
    scene.reply(&request, code::DONE);
    let spent = Spent { ns: 7, instructions: 9, bytes_copied: 0 };
    assert_eq!(scene.step(), Progress::Ended(Outcome::Done, spent));
    assert!(scene.engine.has_room(0));
    assert!(!scene.engine.runs(1, 0), "a client whose tensors the accelerator does not reach");
    assert!(!scene.engine.runs(0, 2) && !scene.engine.runs(9, 0));
}

#[test]
fn every_end_has_its_outcome() {
    let cases = [
        (code::CANCELLED, Outcome::Stopped, true),
        (code::TIMED_OUT, Outcome::Hung, true),
        (code::HUNG, Outcome::Hung, true),
        (code::CRASHED, Outcome::Crashed, true),
        (code::NONSENSE, Outcome::Crashed, true),
        (code::RESET, Outcome::Lost, true),
        (code::MODEL_CHANGED, Outcome::Failed, true),
        (code::BAD_MODEL, Outcome::NotRun, false),
        (code::SMALL_ARENA, Outcome::NotRun, false),
        (code::BAD_REQUEST, Outcome::NotRun, false),
        (code::ABSENT, Outcome::NotRun, false),
        (code::QUEUE_FULL, Outcome::NotRun, false),
        (77, Outcome::NotRun, false),
    ];
    for (code, outcome, runs_on) in cases {
        let mut scene = Scene::new();
        let request = scene.begin(0)[0];
        scene.reply(&request, code);
        assert!(matches!(scene.step(), Progress::Ended(end, _) if end == outcome), "{code}");
        assert_eq!(scene.engine.runs(0, 0), runs_on, "{code}");
    }
}

#[test]
fn what_one_model_cannot_do_another_one_may() {
    let mut scene = Scene::new();
    let request = scene.begin(0)[0];
    scene.reply(&request, code::BAD_MODEL);
    scene.step();
    assert!(!scene.engine.runs(0, 0) && scene.engine.runs(0, 1));
}

#[test]
fn an_accelerator_that_is_gone_is_asked_for_again() {
    let mut scene = Scene::new();
    let request = scene.begin(0)[0];
    scene.reply(&request, code::ABSENT);
    scene.step();
    assert!(scene.requests().is_empty(), "not at once");
    scene.pass(SECOND);
    scene.status(state::LOST);
    assert!(!scene.engine.runs(0, 0));
    scene.pass(SECOND);
    scene.status(state::IDLE);
    assert!(scene.engine.runs(0, 0));
}

#[test]
fn a_driver_that_restarts_ends_the_job_once_it_has_reset_the_accelerator() {
    let mut scene = Scene::new();
    scene.begin(0);
    scene.driver = Link::open(scene.regions[1].clone(), scene.regions[0].clone(), SILENT, PROTOCOL, VERSION).unwrap();
    scene.status(state::RESETTING);
    assert_eq!(scene.step(), Progress::Waiting, "it may still be computing");
    assert!(scene.engine.wake_ns().unwrap() <= scene.time.0.get() + 2_000_000);
    scene.pass(2_000_000);
    scene.status(state::IDLE);
    assert_eq!(scene.step(), ended(Outcome::Lost));
    let request = scene.begin(0)[0];
    scene.reply(&request, code::DONE);
    assert!(matches!(scene.step(), Progress::Ended(Outcome::Done, _)));
}

#[test]
fn a_silent_driver_is_noticed() {
    let mut scene = Scene::new();
    scene.begin(0);
    for _ in 0..2 {
        assert_eq!(scene.step(), Progress::Waiting);
        let wake_ns = scene.engine.wake_ns().unwrap();
        assert!(wake_ns <= scene.time.0.get() + SECOND);
        scene.time.0.set(wake_ns);
        scene.hear();
    }
    assert_eq!(scene.step(), ended(Outcome::Lost));
    assert!(!scene.engine.runs(0, 0));
    scene.status(state::IDLE);
    assert!(scene.engine.runs(0, 0), "it was only slow");
}

#[test]
fn a_long_job_of_a_driver_that_lives_goes_on() {
    let mut scene = Scene::new();
    let request = scene.begin(0)[0];
    for _ in 0..10 {
        scene.pass(SECOND / 2);
        scene.status(state::BUSY);
        assert_eq!(scene.step(), Progress::Waiting);
    }
    scene.reply(&request, code::DONE);
    assert!(matches!(scene.step(), Progress::Ended(Outcome::Done, _)));
}

#[test]
fn a_job_that_is_to_stop_is_cancelled_and_ends_in_any_case() {
    let mut scene = Scene::new();
    let request = scene.begin(0)[0];
    scene.engine.stop(5);
    let cancel = scene.requests()[0];
    assert_eq!((cancel.kind, cancel.job), (kind::CANCEL, request.job));
    for _ in 0..4 {
        assert_eq!(scene.step(), Progress::Waiting);
        scene.pass(SECOND / 2);
        scene.status(state::BUSY);
    }
    assert_eq!(scene.step(), ended(Outcome::Lost), "a driver that does not end it is not waited for");
}
