//! In a domain with 3 ms of every 4 ms; the other domain spins, at a higher priority, which must not matter.
#![no_std]
#![no_main]

use sel4_microkit::{NullHandler, protection_domain};
use test_pds::{TICKS_PER_MS, measure_gaps, say, verdict};

#[protection_domain]
fn init() -> NullHandler {
    verdict::become_judge();
    let gaps = measure_gaps(80 * TICKS_PER_MS);
    say!("{} gaps, {} us in all, the longest {} us", gaps.count, gaps.total / 10, gaps.longest / 10);
    assert!((19..=21).contains(&(gaps.total / TICKS_PER_MS)), "1 ms of 4 ms is 20 ms of 80 ms");
    assert!((19..=21).contains(&gaps.count), "one turn of the other domain in 4 ms");
    verdict::pass()
}
