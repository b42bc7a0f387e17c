//! The model checker tries every order of memory accesses that the memory model allows.
//!
//! A lost wake-up shows as a deadlock. Entries are two equal words, so that one of two writers' halves shows.

use crate::layout::INDEX_BYTES;
use crate::{Link, LinkError, Notify, PushError, Words};
use loom::sync::{Arc, Notify as Event};
use loom::thread;

type Pair = [u64; 2];
type TestLink = Link<Pair, Pair, Bell>;

#[derive(Clone)]
struct Bell(Arc<Event>);

impl Bell {
    fn new() -> Self {
        Self(Arc::new(Event::new()))
    }

    fn wait(&self) {
        self.0.wait();
    }
}

impl Notify for Bell {
    fn notify(&self) {
        self.0.notify();
    }
}

/// Explores with at most two preemptions, which takes seconds and has found every mistake that was made here on purpose
/// or not. With `LOOM_MAX_PREEMPTIONS=3` it takes minutes.
fn explore(test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = model.preemption_bound.or(Some(2));
    model.max_branches = 10_000;
    model.check(test);
}

/// A region whose ring holds `entries`.
fn region(entries: usize) -> Words {
    Words::new(INDEX_BYTES / 8 + 2 * entries)
}

struct System {
    regions: [Words; 2],
    bells: [Bell; 2],
}

impl System {
    fn new(entries: usize) -> Self {
        Self { regions: [region(entries), region(entries)], bells: [Bell::new(), Bell::new()] }
    }

    fn open(&self, side: usize) -> TestLink {
        let [own, peer] = [side, 1 - side].map(|index| self.regions[index].clone());
        Link::open(own, peer, self.bells[1 - side].clone(), 1, 1).unwrap()
    }
}

/// Pushes `count` numbered entries, and sleeps when the ring is full.
fn produce(link: &mut TestLink, bell: &Bell, count: u64) {
    for number in 1..=count {
        while let Err(error) = link.push(&[number; 2]) {
            assert_eq!(error, PushError::Full);
            bell.wait();
            link.poll().unwrap();
        }
    }
}

/// Pops `count` entries in order, and sleeps when there are none.
fn consume(link: &mut TestLink, bell: &Bell, count: u64) {
    let mut expected = 1;
    while expected <= count {
        match link.pop().unwrap() {
            Some(entry) => {
                assert_eq!(entry, [expected; 2]);
                expected += 1;
            }
            None => {
                bell.wait();
                link.poll().unwrap();
            }
        }
    }
}

#[test]
fn no_wake_up_is_lost() {
    // One slot: each entry makes the producer wait for room and the consumer for entries.
    explore(|| {
        let system = System::new(1);
        let (mut a, mut b) = (system.open(0), system.open(1));
        a.poll().unwrap();
        b.poll().unwrap();
        let bell = system.bells[0].clone();
        let producer = thread::spawn(move || produce(&mut a, &bell, 3));
        consume(&mut b, &system.bells[1], 3);
        producer.join().unwrap();
    });
}

#[test]
fn two_slots_keep_their_entries_apart() {
    explore(|| {
        let system = System::new(2);
        let (mut a, mut b) = (system.open(0), system.open(1));
        a.poll().unwrap();
        b.poll().unwrap();
        let bell = system.bells[0].clone();
        let producer = thread::spawn(move || produce(&mut a, &bell, 4));
        consume(&mut b, &system.bells[1], 4);
        producer.join().unwrap();
    });
}

#[test]
fn both_sides_find_each_other_however_they_start() {
    explore(|| {
        let system = System::new(1);
        let other = System { regions: system.regions.clone(), bells: system.bells.clone() };
        let producer = thread::spawn(move || {
            let mut a = other.open(0);
            a.poll().unwrap();
            produce(&mut a, &other.bells[0], 2);
            // The peer joins whenever it comes; it needs this side to have joined it.
            while !a.is_connected() {
                other.bells[0].wait();
                a.poll().unwrap();
            }
        });
        let mut b = system.open(1);
        b.poll().unwrap();
        consume(&mut b, &system.bells[1], 2);
        producer.join().unwrap();
    });
}

#[test]
fn a_restart_tears_no_entry() {
    explore(|| {
        let system = System::new(1);
        let (mut a, mut b) = (system.open(0), system.open(1));
        a.poll().unwrap();
        b.poll().unwrap();
        let other = System { regions: system.regions.clone(), bells: system.bells.clone() };
        let restarted = thread::spawn(move || {
            a.push(&[1; 2]).unwrap();
            let mut a = other.open(0);
            // The new life fills the same slot, while the peer may be copying the old one's entry.
            a.push(&[2; 2]).unwrap();
            a.poll().unwrap();
            while !a.reserve(1).unwrap() {
                other.bells[0].wait();
                a.poll().unwrap();
            }
        });
        let mut last = 0;
        while last < 2 {
            match b.pop() {
                Ok(Some([one, two])) => {
                    assert_eq!(one, two, "torn");
                    assert!(one > last, "{one} after {last}");
                    last = one;
                }
                Err(LinkError::Restarted) => {
                    b.poll().unwrap();
                }
                Ok(None) => {
                    system.bells[1].wait();
                    b.poll().unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
        restarted.join().unwrap();
    });
}
