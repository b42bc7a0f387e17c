//! Runs the inference library's innermost loops, which are assembly here, against their twins in plain Rust.
#![no_std]
#![no_main]

use ml_runtime::self_test::{Loop, Numbers, agree};
use sel4_microkit::{NullHandler, protection_domain};
use test_pds::verdict;

const CASES: usize = 400;

#[protection_domain(stack_size = 0x8000)]
fn init() -> NullHandler {
    verdict::become_judge();
    let mut numbers = Numbers(2026);
    for which in Loop::ALL {
        for case in 0..CASES {
            assert!(agree(which, &mut numbers, false), "{which:?}, case {case}: the loop and its twin agree");
        }
        // A comparison that cannot fail says nothing.
        assert!(!agree(which, &mut numbers, true), "{which:?}: with one weight changed they differ");
    }
    verdict::pass()
}
