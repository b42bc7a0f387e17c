//! Shares its priority with two spinners: each must have a third of the time, in turns of one budget.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::{NullHandler, protection_domain};
use test_pds::{TICKS_PER_MS, measure_gaps, say, shared, verdict};

#[protection_domain]
fn init() -> NullHandler {
    verdict::become_judge();
    let before = [1, 2].map(|i| shared()[i].load(Ordering::Relaxed));
    let gaps = measure_gaps(90 * TICKS_PER_MS);
    let [first, second] = [1, 2].map(|i| shared()[i].load(Ordering::Relaxed) - before[i - 1]);
    say!("gaps {} of {} us, spinners {first} and {second}", gaps.count, gaps.total / 10);
    // 90 ms of turns of 1 ms: this one has 30, and 60 ms in 30 gaps go to the others.
    assert!((27..=33).contains(&gaps.count), "turns");
    assert!((55..=65).contains(&(gaps.total / TICKS_PER_MS)), "share of the others");
    assert!(gaps.longest < 3 * TICKS_PER_MS, "nobody has two turns at once");
    assert!(first.abs_diff(second) * 10 < first.max(second), "the spinners have equal shares");
    verdict::pass()
}
