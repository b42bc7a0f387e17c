//! A peer that writes what it likes into its region, at any time.

use super::pair::{Pair, TestLink};
use crate::layout::{CAPACITY, CONSUMER, EPOCH, INDEX_BYTES, JOINED, PRODUCER, WANTS_ENTRIES, WANTS_ROOM};
use crate::{LinkError, PushError};
use proptest::prelude::*;

const SLOTS: usize = 8;

fn joined() -> (Pair, TestLink) {
    let pair = Pair::new(SLOTS);
    let (mut a, mut b) = (pair.open(0), pair.open(1));
    assert_eq!((a.poll(), b.poll()), (Ok(true), Ok(true)));
    (pair, a)
}

#[test]
fn indices_that_make_no_sense_end_the_session_and_are_counted() {
    for (word, value) in [(PRODUCER, SLOTS as u64 + 1), (PRODUCER, u64::MAX), (CONSUMER, 1), (CONSUMER, u64::MAX)] {
        let (pair, mut a) = joined();
        pair.regions[1].store(word, value);
        let error = LinkError::Misbehaved { index: value, own: 0, capacity: if word == PRODUCER { 8 } else { 0 } };
        if word == PRODUCER {
            assert_eq!(a.pop(), Err(error));
        } else {
            // The peer's index matters, and is looked at, only when the ring seems full.
            assert_eq!(a.room(), 0);
        }
        assert_eq!((a.pop(), a.push(&1), a.reserve(1)), (Err(error), Err(PushError::Link(error)), Err(error)));
        assert_eq!((a.poll(), a.room(), a.counters().misbehaved), (Ok(false), 0, 1));
        let mut b = pair.open(1);
        assert_eq!((a.poll(), b.poll()), (Ok(true), Ok(true)));
        b.push(&5).unwrap();
        assert_eq!(a.pop(), Ok(Some(5)), "an honest successor is served");
    }
}

#[test]
fn a_producer_that_takes_back_entries_is_found_out() {
    let (pair, mut a) = joined();
    pair.regions[1].store(PRODUCER, 2);
    assert!(a.pop().unwrap().is_some() && a.pop().unwrap().is_some());
    pair.regions[1].store(PRODUCER, 1);
    assert_eq!(a.pop(), Err(LinkError::Misbehaved { index: 1, own: 2, capacity: 8 }));
}

/// What an honest side may do.
#[derive(Clone, Debug)]
enum Act {
    Poll,
    Push(u64),
    Pop,
    Reserve(usize),
    Room,
    Reopen,
}

#[derive(Clone, Debug)]
enum Step {
    Honest(Act),
    /// The peer writes a word of its region.
    Scribble(usize, u64),
    /// The peer behaves, for a while.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let act = prop_oneof![
        Just(Act::Poll),
        any::<u64>().prop_map(Act::Push),
        Just(Act::Pop),
        (0..20usize).prop_map(Act::Reserve),
        Just(Act::Room),
        Just(Act::Reopen),
    ];
    let word = prop_oneof![
        Just(CAPACITY),
        Just(EPOCH),
        Just(JOINED),
        Just(PRODUCER),
        Just(CONSUMER),
        Just(WANTS_ENTRIES),
        Just(WANTS_ROOM),
        0..INDEX_BYTES / 8 + SLOTS,
    ];
    let value = prop_oneof![0..20u64, any::<u64>(), (0..4u64).prop_map(|below| u64::MAX - below)];
    prop_oneof![
        6 => act.prop_map(Step::Honest),
        4 => (word, value).prop_map(|(word, value)| Step::Scribble(word, value)),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// No panic, no endless loop, nothing written but the own region, and an honest peer afterwards is served.
    #[test]
    fn scribbling_does_no_harm(steps in prop::collection::vec(step(), 1..60)) {
        let (pair, mut a) = joined();
        for step in steps {
            let before: Vec<u64> = (0..SLOTS + INDEX_BYTES / 8).map(|word| pair.regions[1].load(word)).collect();
            match step {
                Step::Scribble(word, value) => {
                    pair.regions[1].store(word, value);
                    continue;
                }
                Step::Restart => {
                    pair.open(1);
                    continue;
                }
                Step::Honest(Act::Poll) => { let _ = a.poll(); }
                Step::Honest(Act::Push(value)) => { let _ = a.push(&value); }
                Step::Honest(Act::Pop) => {
                    // At most a full ring comes out, then it ends.
                    let popped = (0..100).take_while(|_| matches!(a.pop(), Ok(Some(_)))).count();
                    prop_assert!(popped <= SLOTS);
                }
                Step::Honest(Act::Reserve(count)) => {
                    prop_assert!(a.reserve(count) != Ok(true) || count <= SLOTS);
                }
                Step::Honest(Act::Room) => prop_assert!(a.room() <= SLOTS),
                Step::Honest(Act::Reopen) => a = pair.open(0),
            }
            let after: Vec<u64> = (0..SLOTS + INDEX_BYTES / 8).map(|word| pair.regions[1].load(word)).collect();
            prop_assert_eq!(before, after);
        }
        let mut b = pair.open(1);
        let _ = (a.poll(), b.poll());
        b.push(&42).unwrap();
        let mut last = None;
        while let Some(entry) = a.pop().unwrap() {
            last = Some(entry);
        }
        prop_assert_eq!(last, Some(42));
    }
}

/// Two threads: the peer scribbles while this side works. Under a thread sanitizer or Miri this would be where a data
/// race shows; there is none, because every access is atomic.
#[test]
fn scribbling_at_the_same_time_does_no_harm() {
    let (pair, mut a) = joined();
    let peer = pair.regions[1].clone();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = 1u64;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let word = [EPOCH, JOINED, PRODUCER, CONSUMER, CAPACITY][(random >> 33) as usize % 5];
                peer.store(word, random >> 61);
            }
        });
        for round in 0..200_000u64 {
            let _ = a.poll();
            let _ = a.push(&round);
            let _ = a.pop();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(a.counters().sessions > 0);
}
