//! Below a spinner with a budget of 2 ms in 10 ms: the spinner must have a fifth of the time, never more at once.
#![no_std]
#![no_main]

use sel4_microkit::{NullHandler, protection_domain};
use test_pds::{TICKS_PER_MS, measure_gaps, say, verdict};

#[protection_domain]
fn init() -> NullHandler {
    verdict::become_judge();
    let gaps = measure_gaps(200 * TICKS_PER_MS);
    say!("{} gaps, {} us in all, the longest {} us", gaps.count, gaps.total / 10, gaps.longest / 10);
    assert!((38..=42).contains(&(gaps.total / TICKS_PER_MS)), "a budget of 2 ms in 10 ms is 40 ms in 200 ms");
    assert!((19..=21).contains(&gaps.count), "one turn a period");
    assert!(gaps.longest < 2_100_000 / 100, "no turn exceeds the budget");
    verdict::pass()
}
