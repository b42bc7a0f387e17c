//! Either side dies at any store to shared memory, and comes back.

use super::crash;
use super::pair::{Pair, TestLink};
use proptest::prelude::*;

/// What both sides do for a while: numbered entries both ways. An entry is its sender's life and a number in it, so
/// that the receiver can tell an entry out of order, twice, or of a life that ended before the one it knows.
struct Side {
    index: usize,
    link: TestLink,
    life: u64,
    sent: u64,
    /// Life and number of the last entry received.
    last: (u64, u64),
    received: u64,
}

impl Side {
    fn new(pair: &Pair, index: usize, life: u64) -> Self {
        Self { index, link: pair.open(index), life, sent: 0, last: (0, 0), received: 0 }
    }

    /// One turn.
    fn turn(&mut self) {
        // The peer is honest: its header is right.
        self.link.poll().unwrap();
        while let Ok(Some(entry)) = self.link.pop() {
            let entry = (entry >> 32, entry & 0xffff_ffff);
            assert!(entry > self.last, "{entry:?} after {:?} at side {}", self.last, self.index);
            self.last = entry;
            self.received += 1;
        }
        for _ in 0..2 {
            if self.link.push(&(self.life << 32 | (self.sent + 1))).is_ok() {
                self.sent += 1;
            }
        }
    }
}

/// Runs both sides in turn until neither has anything to do for the other any more.
fn talk(sides: &mut [Side; 2]) {
    let before = [sides[0].received, sides[1].received];
    for _ in 0..6 {
        sides.iter_mut().for_each(Side::turn);
    }
    assert!(sides[0].received > before[0] && sides[1].received > before[1], "both hear each other again");
}

#[test]
fn a_death_at_any_store_heals() {
    for side in 0..2 {
        let mut deaths = 0;
        for store in 0.. {
            let pair = Pair::new(4);
            let mut sides = [Side::new(&pair, 0, 1), Side::new(&pair, 1, 1)];
            talk(&mut sides);
            // It starts anew, and dies somewhere in its first turns.
            let died = crash::run(store, || {
                let mut again = Side::new(&pair, side, 2);
                again.last = sides[side].last;
                for _ in 0..3 {
                    again.turn();
                    sides[1 - side].turn();
                }
            })
            .is_none();
            sides[side] = Side { life: 3, last: (0, 0), ..Side::new(&pair, side, 3) };
            sides[1 - side].turn();
            talk(&mut sides);
            deaths += usize::from(died);
            if !died {
                break;
            }
        }
        assert!(deaths > 30, "{deaths} stores were tried");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Any number of deaths of both, each at any store.
    #[test]
    fn deaths_in_any_order_heal(steps in prop::collection::vec((0..2usize, 0..60u64), 1..40)) {
        let pair = Pair::new(4);
        let mut sides = [Side::new(&pair, 0, 1), Side::new(&pair, 1, 1)];
        let mut life = 1;
        for (side, stores) in steps {
            let died = crash::run(stores, || {
                for _ in 0..2 {
                    sides[side].turn();
                }
            })
            .is_none();
            if died {
                life += 1;
                while crash::run(stores / 2, || sides[side] = Side::new(&pair, side, life)).is_none() {
                    // It died again while it started; the next try gets further.
                    life += 1;
                    if crash::run(20, || sides[side] = Side::new(&pair, side, life)).is_some() {
                        break;
                    }
                }
            }
        }
        sides.iter_mut().for_each(Side::turn);
        talk(&mut sides);
    }
}
