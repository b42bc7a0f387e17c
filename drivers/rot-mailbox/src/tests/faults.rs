//! A root of trust that is dead, slow, deaf, or lies; a line that damages what it carries.

use super::*;
use crate::mailbox::MAX_SENDS;
use proptest::prelude::*;
use protocols::rot::{STATE_DOWN, STATE_UP, command};

#[test]
fn a_dead_one_is_found_out_and_costs_a_second_a_request_from_then_on() {
    let mut world = World::new();
    world.submit(0, &Request::plain(1, command::INFO));
    let mut ended = Vec::new();
    for _ in 0..4 {
        world.asked();
        ended.extend(world.pass(1000));
    }
    assert_eq!(ended, [(0, 1, status::DOWN)]);
    assert_eq!(world.mailbox.status().state, STATE_DOWN);
    assert_eq!(world.mailbox.wake_ns(), None, "nothing is tried while nobody asks");
    assert!(world.asked().is_empty());
    world.submit(1, &Request::plain(2, command::INFO));
    assert_eq!(world.asked()[0].command, command::SYNC);
    assert_eq!(world.pass(999), []);
    assert_eq!(world.pass(1), [(1, 2, status::DOWN)]);
    // It comes back.
    world.submit(1, &Request::random(3, 0));
    world.answer_all();
    assert_eq!(world.answer_all()[0].1.status, status::GARBLED, "an echo is no answer, but it is there");
    assert_eq!(world.mailbox.status().state, STATE_UP);
}

#[test]
fn one_that_dies_with_requests_under_way_ends_them_all_in_time() {
    let mut world = World::open();
    world.submit(0, &Request::counter_increment(1, [1; 32]).with_timeout_ms(1500));
    world.submit(1, &Request::counter_increment(2, [1; 32]));
    world.submit(2, &Request::plain(3, command::INFO));
    assert_eq!(world.asked().len(), 3);
    assert_eq!(world.pass(1000), []);
    assert_eq!(world.asked().len(), 3, "all are sent again");
    // What may have been executed is not sent in another session.
    assert_eq!(world.pass(500), [(0, 1, status::TIMED_OUT), (1, 2, status::TIMED_OUT)]);
    assert_eq!(world.asked()[0].command, command::SYNC);
    world.pass(1000);
    world.asked();
    assert_eq!(world.pass(1500), [(2, 3, status::TIMED_OUT)]);
    assert_eq!(world.mailbox.status().timed_out, 3);
}

#[test]
fn a_request_is_sent_again_a_few_times_with_the_same_id() {
    let mut world = World::open();
    world.submit(0, &Request::counter_increment(1, [1; 32]).with_timeout_ms(20_000));
    let mut sent = Vec::new();
    for _ in 0..10 {
        sent.extend(world.asked());
        assert_eq!(world.pass(1000), []);
    }
    assert_eq!(sent.len(), usize::from(MAX_SENDS));
    assert!(sent.iter().all(|asked| *asked == sent[0]));
    // The answer comes late, and thrice.
    let answer = |world: &mut World| world.reply(sent[0].id, sent[0].command, 0, &7u64.to_le_bytes());
    assert_eq!(answer(&mut world)[0].1.value(), Some(7));
    assert!(answer(&mut world).is_empty() && answer(&mut world).is_empty());
    assert_eq!((world.mailbox.status().stray, world.mailbox.status().resent), (2, 2));
}

#[test]
fn a_short_time_of_one_client_does_not_disturb_the_others() {
    let mut world = World::open();
    world.submit(0, &Request::counter_increment(1, [1; 32]));
    world.submit(1, &Request::plain(2, command::INFO).with_timeout_ms(5));
    let asked = world.asked();
    assert_eq!(world.pass(5), [(1, 2, status::TIMED_OUT)]);
    assert!(world.asked().is_empty(), "no new session for that");
    assert_eq!(world.reply(asked[0].id, asked[0].command, 0, &1u64.to_le_bytes())[0].1.value(), Some(1));
}

#[test]
fn lies_are_told_apart_from_answers() {
    let mut world = World::open();
    world.submit(0, &Request::verify(1, [0; 8], [0; 32], [0; 64]));
    let asked = world.asked().remove(0);
    assert!(world.reply(asked.id ^ 1, asked.command, 0, &[]).is_empty(), "another id");
    let echo = line(&Frame::request(asked.id, asked.command, &asked.data));
    assert!(world.arrive(&echo).is_empty(), "an echo");
    let reply = world.reply(asked.id, command::INFO, 0, &[])[0].1;
    assert_eq!((reply.status, reply.length), (status::GARBLED, 0), "another command");
    assert!(world.reply(asked.id, asked.command, 0, &[]).is_empty(), "too late to say something else");
}

#[test]
fn a_client_that_restarts_is_forgotten() {
    let mut world = World::open();
    world.submit(0, &Request::plain(1, command::INFO));
    world.submit(1, &Request::random(2, 1));
    let asked = world.asked();
    world.mailbox.forget(0);
    assert!(world.reply(asked[0].id, command::INFO, 0, &[0; 100]).is_empty());
    assert_eq!(world.reply(asked[1].id, command::RANDOM, 0, &[1])[0].0, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever arrives, and whatever is lost, each request ends exactly once, and in time.
    #[test]
    fn every_request_ends_exactly_once(
        steps in prop::collection::vec((0u8..6, any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 1..120),
    ) {
        let mut world = World::new();
        let (mut asked, mut token) = (Vec::<Asked>::new(), 0);
        let mut open = std::collections::BTreeMap::new();
        for (kind, number, bytes) in steps {
            let mut ended: Vec<(usize, u64)> = Vec::new();
            let told = |replies: Vec<(usize, Reply)>| replies.into_iter().map(|(client, reply)| (client, reply.token)).collect::<Vec<_>>();
            match kind {
                0 if world.mailbox.under_way(usize::from(number % 4)) < 4 => {
                    token += 1;
                    let request = Request::random(token, u16::from(number)).with_timeout_ms(1 + u32::from(number) * 20);
                    world.submit((number % 4).into(), &request);
                    open.insert(((number % 4).into(), token), world.now + (1 + u64::from(number) * 20) * MS);
                }
                1 => asked.extend(world.asked()),
                2 => ended = told(world.arrive(&bytes)),
                3 if !asked.is_empty() => {
                    let Asked { id, command, data } = asked[usize::from(number) % asked.len()].clone();
                    let answer = if command == command::SYNC { data } else { bytes };
                    ended = told(world.reply(id, command, 0, &answer));
                }
                _ => ended = world.pass(number.into()).into_iter().map(|(client, token, _)| (client, token)).collect(),
            }
            for end in ended {
                prop_assert!(open.remove(&end).is_some(), "ended twice, or was never asked: {end:?}");
            }
        }
        world.pass(10_000);
        // Those that were not told of yet had no time left to live.
        prop_assert_eq!(world.mailbox.status().under_way, 0);
    }
}
