//! Ordinary use.

use super::pair::{Bell, PROTOCOL, Pair, TestLink, VERSION, region};
use crate::layout::{CAPACITY, ENTRY_BYTES, MAGIC, PROTOCOL as PROTOCOL_WORD, VERSION as VERSION_WORD};
use crate::{Header, Link, LinkError, OpenError, PushError, Side, Words};
use proptest::prelude::*;
use std::collections::VecDeque;

fn connected(slots: usize) -> (Pair, TestLink, TestLink) {
    let pair = Pair::new(slots);
    let (mut a, mut b) = (pair.open(0), pair.open(1));
    assert_eq!((a.poll(), b.poll()), (Ok(true), Ok(true)));
    (pair, a, b)
}

#[test]
fn entries_pass_both_ways_in_order() {
    let (_, mut a, mut b) = connected(4);
    for round in 0..10 {
        a.push(&round).unwrap();
        b.push(&(100 + round)).unwrap();
        assert_eq!(b.pop(), Ok(Some(round)));
        assert_eq!(a.pop(), Ok(Some(100 + round)));
        assert_eq!((a.pop(), b.pop()), (Ok(None), Ok(None)));
    }
    assert_eq!((a.poll(), b.poll()), (Ok(false), Ok(false)));
    assert!(a.is_connected());
    assert_eq!((a.counters().pushed, a.counters().popped, a.counters().sessions), (10, 10, 1));
}

#[test]
fn a_full_ring_says_so_and_tells_of_room() {
    let (pair, mut a, mut b) = connected(5);
    assert_eq!(a.capacity(), 4, "a power of two");
    (0..4).for_each(|n| a.push(&n).unwrap());
    assert_eq!(a.push(&4), Err(PushError::Full));
    assert_eq!((a.room(), a.counters().full), (0, 1));
    pair.bells[0].take();
    b.pop().unwrap().unwrap();
    assert_eq!(pair.bells[0].take(), 0, "not for a single slot");
    b.pop().unwrap().unwrap();
    assert_eq!(pair.bells[0].take(), 1);
    assert_eq!((a.reserve(3), a.reserve(2), a.room()), (Ok(false), Ok(true), 2));
    b.pop().unwrap().unwrap();
    assert_eq!(pair.bells[0].take(), 0, "two fit, so nobody waits any more");
    assert_eq!(a.reserve(a.capacity()), Ok(false));
    b.pop().unwrap().unwrap();
    assert_eq!(pair.bells[0].take(), 1, "all was taken");
    assert_eq!(a.reserve(a.capacity()), Ok(true));
    assert_eq!(a.reserve(a.capacity() + 1), Ok(false));
}

#[test]
fn only_sleepers_are_notified_and_once() {
    let (pair, mut a, mut b) = connected(8);
    pair.bells[1].take();
    a.push(&0).unwrap();
    assert_eq!(pair.bells[1].take(), 1, "at first everyone sleeps");
    a.push(&1).unwrap();
    assert_eq!(pair.bells[1].take(), 0, "it was notified of this sleep");
    b.pop().unwrap().unwrap();
    a.push(&2).unwrap();
    assert_eq!(pair.bells[1].take(), 0, "it is awake");
    while b.pop().unwrap().is_some() {}
    a.push(&3).unwrap();
    assert_eq!(pair.bells[1].take(), 1, "it sleeps again");
    while b.pop().unwrap().is_some() {}
    assert_eq!((b.pop(), pair.bells[0].take()), (Ok(None), 1), "for joining, none for room");
}

#[test]
fn entries_pushed_before_the_peer_is_there_are_not_lost() {
    let pair = Pair::new(4);
    let mut a = pair.open(0);
    assert_eq!(a.poll(), Ok(false));
    a.push(&1).unwrap();
    let mut b = pair.open(1);
    assert_eq!(b.poll(), Ok(true));
    assert_eq!(b.pop(), Ok(None), "the other side has not joined yet");
    pair.bells[1].take();
    assert_eq!(a.poll(), Ok(true));
    assert_eq!(pair.bells[1].take(), 1);
    a.push(&2).unwrap();
    assert_eq!((b.pop(), b.pop(), b.pop()), (Ok(Some(1)), Ok(Some(2)), Ok(None)));
}

#[test]
fn regions_that_are_too_small_are_named() {
    let small = region(0);
    let error = Link::<u64, u64, Bell>::open(small.clone(), region(1), Bell::default(), 1, 1).unwrap_err();
    assert!(matches!(error, OpenError::RegionTooSmall { side: Side::Own, bytes: 4096, needed: 4104 }), "{error}");
    let error = Link::<u64, u64, Bell>::open(region(1), small, Bell::default(), 1, 1).unwrap_err();
    assert!(matches!(error, OpenError::RegionTooSmall { side: Side::Peer, .. }), "{error}");
    for address in [0, 0x1004] {
        // SAFETY: both addresses are refused before anything is read.
        let error = unsafe { Words::from_address(address, 8192) }.unwrap_err();
        assert_eq!(error, OpenError::BadAddress { address });
    }
}

#[test]
fn a_wrong_header_is_named_once_and_healed_by_a_restart() {
    for (word, value, name) in [
        (MAGIC, 0, Header::Magic),
        (PROTOCOL_WORD, 8, Header::Protocol),
        (VERSION_WORD, 2, Header::Version),
        (ENTRY_BYTES, 16, Header::EntryBytes),
    ] {
        let pair = Pair::new(4);
        let (mut a, _b) = (pair.open(0), pair.open(1));
        pair.regions[1].store(word, value);
        let error = a.poll().unwrap_err();
        assert!(
            matches!(error, LinkError::WrongHeader { word, found, .. } if word == name && found == value),
            "{error}"
        );
        assert_eq!((a.poll(), a.pop(), a.push(&1)), (Ok(false), Err(error), Err(PushError::Link(error))));
        assert_eq!((a.room(), a.counters().misbehaved, a.is_connected()), (0, 1, false));
        let mut b = pair.open(1);
        assert_eq!((a.poll(), b.poll()), (Ok(true), Ok(true)));
        a.push(&1).unwrap();
        assert_eq!(b.pop(), Ok(Some(1)));
    }
    for found in [0, 3, 8, u64::MAX] {
        let pair = Pair::new(4);
        let (mut a, _b) = (pair.open(0), pair.open(1));
        pair.regions[1].store(CAPACITY, found);
        assert_eq!(a.poll(), Err(LinkError::WrongCapacity { found, most: 4 }));
    }
}

#[test]
fn errors_are_sentences() {
    assert_eq!(
        OpenError::BadAddress { address: 4 }.to_string(),
        "link: a region cannot lie at 0x4; is its address set?"
    );
    let wrong = LinkError::WrongHeader { word: Header::Version, found: 2, expected: 1 };
    assert_eq!(wrong.to_string(), "link: the peer's version is 0x2, not 0x1");
    assert_eq!(PushError::from(LinkError::Restarted).to_string(), "link: the peer restarted");
    assert_eq!(format!("{:?}", Pair::new(1).open(0).counters()), format!("{:?}", crate::Counters::default()));
    assert_eq!((PROTOCOL, VERSION), (7, 3));
}

proptest! {
    /// Against two queues, with entries of several words and sides that push and pop in any order.
    #[test]
    fn behaves_like_two_queues(slots in 3usize..40, steps in prop::collection::vec((0..2usize, any::<bool>(), 1..6usize), 1..200)) {
        type Big = [u64; 3];
        let pair = Pair::new(slots);
        let mut sides: Vec<Link<Big, Big, Bell>> = (0..2)
            .map(|side| {
                let [own, peer] = [side, 1 - side].map(|index| pair.regions[index].clone());
                Link::open(own, peer, pair.bells[1 - side].clone(), PROTOCOL, VERSION).unwrap()
            })
            .collect();
        sides.iter_mut().for_each(|side| assert_eq!(side.poll(), Ok(true)));
        let mut models = [VecDeque::new(), VecDeque::new()];
        let mut next = 0;
        for (side, push, count) in steps {
            for _ in 0..count {
                let capacity = sides[side].capacity();
                if push {
                    next += 1;
                    let entry = [next, !next, next << 32];
                    let fits = models[side].len() < capacity;
                    prop_assert_eq!(sides[side].push(&entry).is_ok(), fits);
                    if fits {
                        models[side].push_back(entry);
                    }
                } else {
                    prop_assert_eq!(sides[side].pop(), Ok(models[1 - side].pop_front()));
                }
                prop_assert_eq!(sides[side].room(), capacity - models[side].len());
            }
        }
    }
}
