//! Reads the processor's counters from user mode.
#![no_std]
#![no_main]

use sel4_microkit::counters::{rdcycle, rdinstret, rdtime};
use sel4_microkit::{NullHandler, pd_is_passive, pd_name, protection_domain};
use test_pds::verdict;

#[protection_domain]
fn init() -> NullHandler {
    verdict::become_judge();
    assert_eq!(pd_name(), Ok("judge"));
    assert!(!pd_is_passive());
    let before = (rdtime(), rdcycle(), rdinstret());
    for i in 0..100_000_u64 {
        core::hint::black_box(i);
    }
    let after = (rdtime(), rdcycle(), rdinstret());
    assert!(after.0 > before.0 && after.1 > before.1, "time and cycles pass");
    assert!(after.2 - before.2 >= 100_000, "instructions are counted");
    verdict::pass()
}
