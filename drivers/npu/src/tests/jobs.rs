//! Every job ends, whatever the accelerator does.

use proptest::prelude::*;

use super::device::Fake;
use crate::driver::{Driver, Fate, MAX_JOBS, Outcome, Patience, SubmitError};
use crate::layout::{Command, operation, provoke};

const LIMIT: u64 = 100;
const RESET_LIMIT: u64 = 1000;
const PATIENCE: Patience = Patience { reset_ticks: RESET_LIMIT, beat_ticks: 5000 };

fn run() -> Command {
    Command { operation: operation::RUN, ..Command::default() }
}

fn fault(model_at: u32) -> Command {
    Command { operation: operation::PROVOKE, model_at, ..Command::default() }
}

fn driver(fake: &Fake) -> Driver<Fake> {
    Driver::new(fake.clone(), 0, PATIENCE).unwrap()
}

/// Lets the accelerator work, and time pass, until nothing is left to do.
fn settle(driver: &mut Driver<Fake>, fake: &Fake, now: &mut u64) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for _ in 0..200 {
        fake.step();
        driver.interrupt();
        while let Some(outcome) = driver.turn(*now) {
            outcomes.push(outcome);
        }
        *now += 10;
    }
    outcomes
}

#[test]
fn another_device_is_refused() {
    let fake = Fake::new();
    fake.0.borrow_mut().id = 7;
    assert_eq!(Driver::new(fake, 0, PATIENCE).err().map(|error| error.id), Some(7));
}

#[test]
fn jobs_are_done_in_order_and_a_full_queue_is_an_error() {
    let fake = Fake::new();
    let (mut driver, mut now) = (driver(&fake), 0);
    let jobs: Vec<u64> = (0..MAX_JOBS).map(|_| driver.submit(&run(), LIMIT, now).unwrap()).collect();
    assert_eq!(driver.submit(&run(), LIMIT, now), Err(SubmitError::Full));
    let outcomes = settle(&mut driver, &fake, &mut now);
    assert_eq!(outcomes.iter().map(|outcome| outcome.job).collect::<Vec<_>>(), jobs);
    assert!(outcomes.iter().all(|outcome| matches!(outcome.fate, Fate::Answered(_))));
    assert!(driver.is_idle() && driver.totals().resets() == 0);
}

#[test]
fn the_job_behind_a_fault_is_done() {
    for (wrong, fate) in [
        (provoke::HANG, Fate::TimedOut),
        (provoke::CRASH, Fate::Crashed { cause: 5, pc: 0, value: 0 }),
        (provoke::NONSENSE, Fate::Nonsense),
    ] {
        let fake = Fake::new();
        let (mut driver, mut now) = (driver(&fake), 0);
        driver.submit(&fault(wrong), LIMIT, now).unwrap();
        driver.submit(&run(), LIMIT, now).unwrap();
        let outcomes = settle(&mut driver, &fake, &mut now);
        assert_eq!(outcomes[0], Outcome { job: 1, fate });
        assert!(matches!(outcomes[1], Outcome { job: 2, fate: Fate::Answered(_) }));
        assert_eq!((outcomes.len(), driver.totals().resets()), (2, 1));
    }
}

#[test]
fn a_running_job_is_cancelled_and_a_waiting_one_leaves_the_others_alone() {
    let fake = Fake::new();
    let (mut driver, mut now) = (driver(&fake), 0);
    settle(&mut driver, &fake, &mut now);
    driver.submit(&fault(provoke::HANG), u64::MAX, now).unwrap();
    assert!(driver.cancel(1) && !driver.cancel(2));
    assert_eq!(settle(&mut driver, &fake, &mut now), [Outcome { job: 1, fate: Fate::Cancelled }]);
    driver.submit(&run(), LIMIT, now).unwrap();
    assert_eq!(settle(&mut driver, &fake, &mut now).len(), 1);
}

#[test]
fn an_accelerator_that_does_not_obey_loses_its_jobs() {
    let fake = Fake::new();
    let (mut driver, mut now) = (driver(&fake), 0);
    driver.submit(&run(), LIMIT, now).unwrap();
    fake.0.borrow_mut().deaf = true;
    assert_eq!(driver.wake_ticks(), Some(RESET_LIMIT + 1));
    assert_eq!(settle(&mut driver, &fake, &mut now), [Outcome { job: 1, fate: Fate::Lost }]);
    assert_eq!(driver.submit(&run(), LIMIT, now), Err(SubmitError::Lost));
}

#[test]
fn an_accelerator_whose_heart_stops_has_hung() {
    let fake = Fake::new();
    let (mut driver, mut now) = (driver(&fake), 0);
    settle(&mut driver, &fake, &mut now);
    driver.submit(&fault(provoke::HANG), u64::MAX, now).unwrap();
    fake.step();
    // As long as it beats, the job goes on.
    for _ in 0..5 {
        now += PATIENCE.beat_ticks;
        assert_eq!(driver.turn(now), None);
        fake.0.borrow_mut().heartbeat += 1;
    }
    now += 1;
    assert_eq!(driver.turn(now), None);
    assert_eq!(driver.wake_ticks(), Some(now + PATIENCE.beat_ticks + 1));
    assert_eq!(driver.turn(now + PATIENCE.beat_ticks + 1), Some(Outcome { job: 1, fate: Fate::Hung }));
    assert_eq!(driver.totals().hung, 1);
}

#[test]
fn a_reset_ends_the_oldest_job_and_brings_a_lost_accelerator_back() {
    let fake = Fake::new();
    let (mut driver, mut now) = (driver(&fake), 0);
    settle(&mut driver, &fake, &mut now);
    driver.submit(&run(), LIMIT, now).unwrap();
    driver.submit(&run(), LIMIT, now).unwrap();
    assert_eq!(driver.reset(now), Some(Outcome { job: 1, fate: Fate::Reset }));
    assert!(driver.is_resetting() && driver.waiting() == 1);
    assert!(matches!(settle(&mut driver, &fake, &mut now)[..], [Outcome { job: 2, fate: Fate::Answered(_) }]));
    fake.0.borrow_mut().deaf = true;
    driver.reset(now);
    settle(&mut driver, &fake, &mut now);
    assert!(driver.is_lost());
    fake.0.borrow_mut().deaf = false;
    driver.reset(now);
    settle(&mut driver, &fake, &mut now);
    assert!(driver.is_idle());
}

#[test]
fn impossible_indices_are_nonsense() {
    let fake = Fake::new();
    let (mut driver, mut now) = (driver(&fake), 0);
    settle(&mut driver, &fake, &mut now);
    driver.submit(&run(), LIMIT, now).unwrap();
    fake.0.borrow_mut().answered = u32::MAX / 2;
    assert_eq!(driver.turn(now), Some(Outcome { job: 1, fate: Fate::Nonsense }));
}

#[test]
fn a_driver_that_starts_anew_ends_what_was_under_way() {
    let fake = Fake::new();
    let (mut first, mut now) = (driver(&fake), 0);
    settle(&mut first, &fake, &mut now);
    first.submit(&run(), LIMIT, now).unwrap();
    first.submit(&fault(provoke::HANG), LIMIT, now).unwrap();
    fake.step();
    fake.step();
    let mut second = Driver::new(fake.clone(), now, PATIENCE).unwrap();
    second.submit(&run(), LIMIT, now).unwrap();
    let outcomes = settle(&mut second, &fake, &mut now);
    assert!(matches!(outcomes[..], [Outcome { job: 1, fate: Fate::Answered(_) }]));
}

proptest! {
    #[test]
    fn every_job_ends_once(events in prop::collection::vec((0u32..8, 0u64..150), 0..120)) {
        let fake = Fake::new();
        let (mut driver, mut now) = (driver(&fake), 0);
        let (mut submitted, mut ended) = (Vec::new(), Vec::new());
        for (event, passed) in events {
            match event {
                0..=2 => submitted.extend(driver.submit(&run(), LIMIT, now)),
                3..=5 => submitted.extend(driver.submit(&fault(event - 2), LIMIT, now)),
                6 => {
                    driver.cancel(submitted.last().copied().unwrap_or(0));
                }
                _ => fake.step(),
            }
            fake.step();
            while let Some(outcome) = driver.turn(now) {
                ended.push(outcome.job);
            }
            now += passed;
        }
        for _ in 0..MAX_JOBS {
            ended.extend(settle(&mut driver, &fake, &mut now).iter().map(|outcome| outcome.job));
        }
        prop_assert_eq!(submitted, ended);
    }
}
