//! Clients that may not call.

use protocols::timer::{Event, Request, TIMERS, op, status};

use super::device::{Client, World};

fn events(client: &mut Client) -> Vec<(u64, u64, u64, u64)> {
    let mut events = Vec::new();
    while let Some(Event { op, id, status, value }) = client.pop().unwrap() {
        events.push((op, id, status, value));
    }
    events
}

#[test]
fn requests_are_answered_and_expiries_come_by_themselves() {
    let world = World::new();
    let mut client = world.client();
    client.poll().unwrap();
    client.push(&Request { op: op::SET_AFTER, id: 2, time_ns: 1000, period_ns: 1_000_000 }).unwrap();
    world.run();
    client.poll().unwrap();
    let start = world.device.0.now_ns.get();
    assert_eq!(events(&mut client), [(op::SET_AFTER, 2, status::OK, start + 1000)]);
    world.pass(100_000);
    assert!(world.bells[1].0.take());
    assert_eq!(events(&mut client), [(Event::EXPIRED, 2, status::OK, 1)]);
    for request in [
        Request { op: op::NOW, ..Request::default() },
        Request { op: op::SET_AT, id: TIMERS as u64, ..Request::default() },
        Request { op: op::TAKE_EXPIRED, ..Request::default() },
        Request { op: op::CANCEL, id: 2, ..Request::default() },
    ] {
        client.push(&request).unwrap();
    }
    world.run();
    let now = start + 100_000;
    assert_eq!(
        events(&mut client),
        [
            (op::NOW, 0, status::OK, now),
            (op::SET_AT, TIMERS as u64, status::BAD_ID, 0),
            (op::TAKE_EXPIRED, 0, status::BAD_CALL, 0),
            (op::CANCEL, 2, status::OK, 1),
        ]
    );
    world.pass(10_000_000);
    assert_eq!(events(&mut client), []);
}

#[test]
fn a_client_that_takes_nothing_loses_nothing() {
    let world = World::new();
    let mut client = world.client();
    client.poll().unwrap();
    for id in 0..4 {
        client.push(&Request { op: op::SET_AFTER, id, time_ns: 1000, period_ns: 1_000_000 }).unwrap();
    }
    world.run();
    for _ in 0..5 {
        world.pass(1_000_000);
    }
    client.poll().unwrap();
    let mut counts = [0; 4];
    for _ in 0..3 {
        for (op, id, _, count) in events(&mut client) {
            counts[id as usize] += if op == Event::EXPIRED { count } else { 0 };
        }
        world.run();
    }
    assert_eq!(counts, [5; 4]);
}

#[test]
fn many_requests_are_taken_over_several_turns() {
    let world = World::new();
    let mut client = world.client();
    client.poll().unwrap();
    let (mut sent, mut answered) = (0, 0);
    for _ in 0..200 {
        while client.push(&Request { op: op::NOW, ..Request::default() }).is_ok() {
            sent += 1;
        }
        world.pass(100_000);
        client.poll().unwrap();
        answered += events(&mut client).len();
    }
    world.pass(100_000);
    answered += events(&mut client).len();
    assert_eq!(answered, sent);
    assert!(sent > 100);
}

#[test]
fn either_side_restarts() {
    let world = World::new();
    let mut client = world.client();
    client.poll().unwrap();
    client.push(&Request { op: op::SET_AFTER, id: 0, time_ns: 1000, period_ns: 0 }).unwrap();
    world.run();
    let mut client = world.client();
    client.poll().unwrap();
    world.pass(1_000_000);
    assert_eq!(client.poll(), Ok(false));
    assert_eq!(events(&mut client), [], "the old client's timers went with it");
    world.restart();
    assert_eq!(client.poll(), Ok(true), "so the client knows that it must set its timers again");
    client.push(&Request { op: op::SET_AFTER, id: 0, time_ns: 1000, period_ns: 0 }).unwrap();
    world.run();
    world.pass(1_000_000);
    assert_eq!(events(&mut client).len(), 2);
}
