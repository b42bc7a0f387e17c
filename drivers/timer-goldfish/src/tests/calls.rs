//! Clients that call.

use protocols::timer::{Call, MIN_PERIOD_NS, TIMERS, Timer, TimerError, op, status};

use super::device::World;
use crate::clock::MAX_AHEAD_NS;
use crate::driver::{CALLERS, MIN_ALARM_GAP_NS};

#[test]
fn a_timer_expires_once_at_its_time() {
    let world = World::new();
    let mut client = world.caller(20);
    let start = client.now_ns().unwrap();
    assert_eq!(client.set_after(3, 1_000_000), Ok(start + 1_000_000));
    world.pass(999_999);
    assert!(!world.take_notified(20));
    assert!(client.take_expired().unwrap().is_empty());
    world.pass(1);
    assert!(world.take_notified(20));
    assert_eq!(client.take_expired().unwrap().iter().collect::<Vec<_>>(), [(3, 1)]);
    assert!(client.take_expired().unwrap().is_empty());
    world.pass(10_000_000);
    assert!(!world.take_notified(20));
    assert_eq!(world.device.alarm_ns(), None);
}

#[test]
fn a_past_deadline_expires_at_once() {
    let world = World::new();
    let mut client = world.caller(20);
    client.set_at(0, 5).unwrap();
    assert!(world.take_notified(20));
    assert_eq!(client.take_expired().unwrap().count(0), 1);
    client.set_after(0, 0).unwrap();
    assert_eq!(client.take_expired().unwrap().count(0), 1);
}

#[test]
fn periods_do_not_drift_and_count_what_was_missed() {
    let world = World::new();
    let mut client = world.caller(20);
    let first = client.set_every(1, 1_000_000).unwrap();
    world.pass(1_300_000);
    assert_eq!(client.take_expired().unwrap().count(1), 1);
    assert_eq!(world.device.alarm_ns(), Some(first + 1_000_000));
    world.pass(700_000);
    world.pass(5_000_000);
    assert_eq!(client.take_expired().unwrap().count(1), 6);
    assert_eq!(world.device.alarm_ns(), Some(first + 7_000_000));
    assert_eq!(client.cancel(1), Ok(true));
    assert_eq!(client.cancel(1), Ok(false));
    world.pass(10_000_000);
    assert!(client.take_expired().unwrap().is_empty());
}

#[test]
fn clients_and_timers_do_not_disturb_each_other() {
    let world = World::new();
    let (mut one, mut two) = (world.caller(20), world.caller(21));
    for id in 0..TIMERS {
        one.set_after(id, 1_000_000 + id as u64).unwrap();
    }
    two.set_after(5, 1_000_010).unwrap();
    world.pass(2_000_000);
    assert!(world.take_notified(20) && world.take_notified(21));
    assert_eq!(one.take_expired().unwrap().iter().count(), TIMERS, "one notification, every expiry");
    assert_eq!(two.take_expired().unwrap().iter().collect::<Vec<_>>(), [(5, 1)]);
}

#[test]
fn a_new_life_of_a_client_does_not_inherit_timers() {
    let world = World::new();
    world.caller(20).set_every(1, 1_000_000).unwrap();
    world.pass(2_500_000);
    let mut client = world.caller(20);
    assert!(client.take_expired().unwrap().is_empty());
    world.pass(5_000_000);
    assert!(client.take_expired().unwrap().is_empty());
}

#[test]
fn wrong_calls_have_errors_of_their_own() {
    let world = World::new();
    let mut client = world.caller(20);
    assert_eq!(client.set_at(TIMERS, 1), Err(TimerError::BadId));
    assert_eq!(client.cancel(usize::MAX), Err(TimerError::BadId));
    assert_eq!(client.set_every(0, 0), Err(TimerError::PeriodTooShort));
    assert_eq!(client.set_every(0, MIN_PERIOD_NS - 1), Err(TimerError::PeriodTooShort));
    assert_eq!(client.set_after(0, u64::MAX), Err(TimerError::TooFar));
    let call = |label, message: &[u64]| world.call(20, label, message).0;
    assert_eq!(call(op::SET_AT, &[TIMERS as u64, 0, 0]), status::BAD_ID);
    assert_eq!(call(op::CANCEL, &[u64::MAX]), status::BAD_ID);
    assert_eq!(call(op::SET_AT, &[0, 0, 1]), status::PERIOD_TOO_SHORT);
    for (label, message) in [
        (0, &[][..]),
        (op::RESET + 1, &[]),
        (u64::MAX, &[0; 4]),
        (op::NOW, &[1]),
        (op::SET_AT, &[1, 2]),
        (op::SET_AFTER, &[1, 2, 3, 4]),
        (op::CANCEL, &[]),
        (op::TAKE_EXPIRED, &[1]),
        (op::RESET, &[1]),
    ] {
        assert_eq!(call(label, message), status::BAD_CALL, "{label} {message:?}");
    }
    assert_eq!(world.device.alarm_ns(), None);
}

#[test]
fn clients_beyond_the_table_are_refused() {
    let world = World::new();
    for channel in 0..CALLERS {
        assert_eq!(world.call(channel, op::NOW, &[]).0, status::OK);
    }
    assert_eq!(world.caller(50).now_ns(), Err(TimerError::TooManyClients));
    assert_eq!(world.call(3, op::NOW, &[]).0, status::OK);
}

#[test]
fn far_deadlines_are_reached_in_steps() {
    let world = World::new();
    let mut client = world.caller(20);
    let start = client.now_ns().unwrap();
    client.set_at(0, u64::MAX).unwrap();
    assert_eq!(world.device.alarm_ns(), Some(start + MAX_AHEAD_NS));
    client.set_at(1, start + 3 * MAX_AHEAD_NS).unwrap();
    for _ in 0..2 {
        world.pass(MAX_AHEAD_NS);
        assert!(client.take_expired().unwrap().is_empty());
    }
    world.pass(MAX_AHEAD_NS);
    assert_eq!(client.take_expired().unwrap().iter().collect::<Vec<_>>(), [(1, 1)]);
}

#[test]
fn alarms_keep_a_distance_however_many_timers_there_are() {
    let world = World::new();
    let mut clients: Vec<_> = (0..4).map(|index| world.caller(20 + index)).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        for id in 0..TIMERS {
            world.device.pass(97);
            client.set_every(id, MIN_PERIOD_NS + index as u64).unwrap();
        }
    }
    world.device.0.alarms.set(0);
    for _ in 0..10_000 {
        world.pass(1_000);
    }
    let most = 10_000_000 / MIN_ALARM_GAP_NS + 1;
    assert!(world.device.0.alarms.get() <= 2 * most, "{} alarms in 10 ms", world.device.0.alarms.get());
    for client in &mut clients {
        let expired = client.take_expired().unwrap();
        assert!(expired.iter().all(|(_, count)| (98..=101).contains(&count)));
        assert_eq!(expired.iter().count(), TIMERS);
    }
}

#[test]
fn a_clock_that_is_set_back_stands_still() {
    let world = World::new();
    let mut client = world.caller(20);
    let before = client.now_ns().unwrap();
    world.device.0.now_ns.set(before - 1000);
    assert_eq!(client.now_ns(), Ok(before));
    world.device.0.now_ns.set(before + 1);
    assert_eq!(client.now_ns(), Ok(before + 1));
}

/// A driver that answers nonsense.
struct Nonsense(u64, Vec<u64>);

impl Call for Nonsense {
    fn call(&self, label: u64, _: &[u64], answer: &mut [u64]) -> (u64, usize) {
        if label == op::RESET {
            answer[..2].copy_from_slice(&[7, 0]);
            return (status::OK, 2);
        }
        let count = self.1.len().min(answer.len());
        answer[..count].copy_from_slice(&self.1[..count]);
        (self.0, count)
    }
}

#[test]
fn nonsense_from_the_driver_is_an_error() {
    for words in [vec![], vec![7], vec![7, 1 << 32], vec![7, 3, 1], vec![7, 1, 1, 1]] {
        let error = Timer::new(Nonsense(status::OK, words)).take_expired().unwrap_err();
        assert_eq!(error, TimerError::Protocol, "{error}");
    }
    assert_eq!(Timer::new(Nonsense(99, vec![7, 1])).now_ns(), Err(TimerError::Protocol));
    assert_eq!(Timer::new(Nonsense(status::BAD_CALL, vec![7, 1])).now_ns(), Err(TimerError::Protocol));
    assert_eq!(Timer::new(Nonsense(status::OK, vec![8, 1])).now_ns(), Err(TimerError::Restarting));
}
