//! Clients get one reply a job, whatever happens.

use std::sync::atomic::AtomicU64;

use proptest::prelude::*;
use protocols::npu::{JobResult, MAX_JOBS, PROTOCOL, Reply, Request, Status, VERSION, code, fault, kind, state};
use ring::{Link, Words, region_bytes};

use super::device::{Fake, WINDOW};
use crate::server::Server;

type Client = Link<Request, Reply, fn()>;
type Served = Server<Fake, fn()>;

const HZ: u64 = 10_000_000;
const QUIET: fn() = || {};

/// The memory of a link, and both its ends' views of it.
struct Wire {
    client: Words,
    driver: Words,
}

impl Wire {
    fn new() -> Self {
        let memory = || {
            let words = region_bytes(32, 144).div_ceil(8);
            Words::from_static((0..words).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak())
        };
        Wire { client: memory(), driver: memory() }
    }

    fn client(&self) -> Client {
        Link::open(self.client.clone(), self.driver.clone(), QUIET, PROTOCOL, VERSION).unwrap()
    }

    fn driver(&self) -> Link<Reply, Request, fn()> {
        Link::open(self.driver.clone(), self.client.clone(), QUIET, PROTOCOL, VERSION).unwrap()
    }
}

struct Scene {
    fake: Fake,
    wires: [Wire; 2],
    server: Served,
    clients: [Client; 2],
    now: u64,
}

impl Scene {
    fn new() -> Self {
        let fake = Fake::new();
        let wires = [Wire::new(), Wire::new()];
        let mut clients = [wires[0].client(), wires[1].client()];
        let mut server = Server::new(fake.clone(), [Some(wires[0].driver()), Some(wires[1].driver())], HZ, 0);
        for _ in 0..3 {
            server.turn(0);
            for client in &mut clients {
                let _ = client.poll();
            }
        }
        let mut scene = Scene { fake, wires, server, clients, now: 0 };
        assert!(scene.settle(0).is_empty());
        scene
    }

    /// Lets the accelerator work, and time pass, until nothing is left to do; the replies to a client.
    fn settle(&mut self, client: usize) -> Vec<Reply> {
        let mut replies = Vec::new();
        for _ in 0..100 {
            self.fake.step();
            self.server.interrupt();
            if let Some(wake) = self.server.turn(self.now) {
                self.now = self.now.max(wake.min(self.now + HZ / 10));
            }
            let _ = self.clients[client].poll();
            replies.extend(std::iter::from_fn(|| self.clients[client].pop().unwrap()));
        }
        replies
    }

    fn ask(&mut self, client: usize, request: &Request) -> Vec<Reply> {
        self.clients[client].push(request).unwrap();
        self.settle(client)
    }

    fn status(&mut self) -> Status {
        self.ask(1, &Request::ask(kind::STATUS, 99))[0].body()
    }
}

/// A job whose parts lie in the window.
fn job(number: u32) -> Request {
    Request {
        model: WINDOW.0,
        model_bytes: 64,
        arena: WINDOW.0 + 0x1000,
        arena_bytes: 0x1000,
        input: WINDOW.0 + 0x2000,
        input_bytes: 4,
        output: WINDOW.0 + 0x3000,
        output_bytes: 4,
        ..Request::ask(kind::SUBMIT, number)
    }
}

#[test]
fn a_job_is_done_and_counted() {
    let mut scene = Scene::new();
    let replies = scene.ask(0, &job(7));
    assert_eq!(replies.len(), 1);
    assert_eq!((replies[0].kind, replies[0].job, replies[0].code), (kind::SUBMIT, 7, code::DONE));
    let status = scene.status();
    assert_eq!((status.state, status.done, status.failed, status.resets), (state::IDLE, 1, 0, 0));
    assert_eq!((status.window, status.window_bytes), WINDOW);
    let command = scene.fake.0.borrow().commands[0];
    assert_eq!((command.model_at, command.arena_at, command.output_at), (0, 0x1000, 0x3000));
}

#[test]
fn what_lies_outside_the_window_never_reaches_the_accelerator() {
    let mut scene = Scene::new();
    let wrong = [
        Request { model: WINDOW.0 - 16, ..job(1) },
        Request { output: WINDOW.0 + WINDOW.1 - 3, ..job(1) },
        Request { arena: u64::MAX, ..job(1) },
        Request { input: 0x8000_0000, ..job(1) },
        Request { arena: WINDOW.0 + 0x1008, ..job(1) },
        Request { output: WINDOW.0 + 0x1ffe, ..job(1) },
        Request { model_bytes: u32::MAX, ..job(1) },
        Request { fault: 1, ..job(1) },
        Request { kind: 99, ..job(1) },
        Request { fault: 9, ..Request::ask(kind::PROVOKE, 1) },
    ];
    for request in wrong {
        let replies = scene.ask(0, &request);
        assert_eq!(replies.iter().map(|reply| reply.code).collect::<Vec<_>>(), [code::BAD_REQUEST], "{request:?}");
    }
    assert_eq!(scene.fake.0.borrow().given, 0);
    assert_eq!(scene.ask(0, &Request::ask(kind::CANCEL, 1))[0].code, code::NO_JOB);
}

#[test]
fn a_provoked_fault_ends_one_job_and_the_next_one_is_done() {
    for (fault, expected) in
        [(fault::HANG, code::HUNG), (fault::CRASH, code::CRASHED), (fault::NONSENSE, code::NONSENSE)]
    {
        let mut scene = Scene::new();
        assert_eq!(scene.ask(1, &Request { fault, ..Request::ask(kind::PROVOKE, 5) })[0].code, code::DONE);
        scene.clients[0].push(&job(1)).unwrap();
        let replies = scene.ask(0, &job(2));
        let codes: Vec<_> = replies.iter().map(|reply| (reply.job, reply.code)).collect();
        assert_eq!(codes, [(1, expected), (2, code::DONE)]);
        let status = scene.status();
        assert_eq!((status.done, status.failed, status.resets, status.last_error), (1, 1, 1, expected));
        assert_eq!(status.cause, if expected == code::CRASHED { 5 } else { 0 });
    }
}

#[test]
fn limits_cancels_and_resets_end_jobs() {
    let mut scene = Scene::new();
    let hang = Request { fault: fault::HANG, ..Request::ask(kind::PROVOKE, 5) };
    scene.ask(1, &hang);
    assert_eq!(scene.ask(0, &Request { limit_ns: 1000, ..job(1) })[0].code, code::TIMED_OUT);
    for (request, expected) in
        [(Request::ask(kind::CANCEL, 1), code::CANCELLED), (Request::ask(kind::RESET, 77), code::RESET)]
    {
        scene.ask(1, &hang);
        scene.clients[0].push(&job(1)).unwrap();
        let mut codes: Vec<_> = scene.ask(0, &request).iter().map(|reply| (reply.kind, reply.code)).collect();
        codes.sort();
        assert_eq!(codes, [(kind::SUBMIT, expected), (request.kind, code::DONE)]);
    }
    assert_eq!(scene.ask(0, &job(1))[0].code, code::DONE);
}

#[test]
fn numbers_are_each_clients_own_and_the_queue_is_bounded() {
    let mut scene = Scene::new();
    scene.fake.0.borrow_mut().deaf = true;
    for client in [0, 1] {
        for number in 0..MAX_JOBS as u32 / 2 {
            scene.clients[client].push(&job(number)).unwrap();
        }
    }
    scene.server.turn(scene.now);
    scene.clients[0].push(&job(3)).unwrap();
    scene.clients[0].push(&job(100)).unwrap();
    scene.server.turn(scene.now);
    let refused: Vec<_> =
        std::iter::from_fn(|| scene.clients[0].pop().unwrap()).map(|reply| (reply.job, reply.code)).collect();
    assert_eq!(refused, [(3, code::JOB_EXISTS), (100, code::QUEUE_FULL)]);
    // It hangs and then does not obey a reset, so the first job has hung, and the others are lost.
    let codes: Vec<_> = scene.settle(0).iter().map(|reply| (reply.job, reply.code)).collect();
    assert_eq!(codes[0], (0, code::HUNG));
    assert_eq!(codes[1..], (1..8).map(|number| (number, code::ABSENT)).collect::<Vec<_>>());
    assert_eq!(scene.ask(0, &job(1))[0].code, code::ABSENT);
    // Somebody resets it, and now it obeys.
    scene.fake.0.borrow_mut().deaf = false;
    scene.ask(0, &Request::ask(kind::RESET, 77));
    assert_eq!(scene.ask(0, &job(1))[0].code, code::DONE);
}

#[test]
fn an_accelerator_that_is_not_there_is_said_to_be_absent_and_found_later() {
    let fake = Fake::new();
    fake.0.borrow_mut().id = 0;
    let wire = Wire::new();
    let mut client = wire.client();
    let mut server: Served = Server::new(fake.clone(), [Some(wire.driver()), None], HZ, 0);
    let mut ask = |request: &Request| {
        let _ = client.poll();
        client.push(request).unwrap();
        for now in 0..4 {
            server.turn(now);
            fake.step();
            let _ = client.poll();
        }
        client.pop().unwrap().unwrap()
    };
    assert_eq!(ask(&job(1)).code, code::ABSENT);
    assert_eq!(ask(&Request::ask(kind::STATUS, 2)).body::<Status>().state, state::ABSENT);
    fake.0.borrow_mut().id = crate::layout::ID;
    assert_eq!(ask(&job(3)).code, code::DONE);
}

#[test]
fn a_client_that_begins_anew_has_no_jobs() {
    let mut scene = Scene::new();
    scene.ask(1, &Request { fault: fault::HANG, ..Request::ask(kind::PROVOKE, 5) });
    scene.clients[0].push(&job(1)).unwrap();
    scene.clients[0].push(&job(2)).unwrap();
    scene.server.turn(scene.now);
    scene.clients[0] = scene.wires[0].client();
    assert!(scene.settle(0).is_empty(), "nobody is told of the old jobs");
    assert_eq!(scene.ask(0, &job(1))[0].code, code::DONE);
    assert_eq!(scene.status().waiting, 0);
}

proptest! {
    #[test]
    fn every_job_gets_one_reply(events in prop::collection::vec((0u32..7, any::<u32>()), 0..60)) {
        let mut scene = Scene::new();
        let (mut submitted, mut replied) = (0usize, 0usize);
        for (event, number) in events {
            let request = match event {
                0..=2 => job(number % 4),
                3 => Request::ask(kind::CANCEL, number % 4),
                4 => Request { fault: u64::from(number % 4), ..Request::ask(kind::PROVOKE, 9) },
                5 => Request { output: u64::from(number), ..job(number % 4) },
                _ => Request::ask(kind::RESET, 8),
            };
            if scene.clients[0].push(&request).is_ok() {
                submitted += usize::from(request.kind == kind::SUBMIT);
            }
            scene.fake.step();
            scene.server.turn(scene.now);
            let replies = std::iter::from_fn(|| scene.clients[0].pop().unwrap());
            replied += replies.filter(|reply| reply.kind == kind::SUBMIT).count();
        }
        replied += scene.settle(0).iter().filter(|reply| reply.kind == kind::SUBMIT).count();
        prop_assert_eq!(submitted, replied);
        prop_assert_eq!(scene.status().waiting, 0);
    }
}

#[test]
fn a_result_carries_what_the_accelerator_counted() {
    let mut scene = Scene::new();
    let result: JobResult = scene.ask(0, &job(1))[0].body();
    assert_eq!((result.instructions, result.vector_work, result.run_ns), (70, 90, 500));
}
