//! Below a protection domain that faults and has no parent: runs all the same.
#![no_std]
#![no_main]

use sel4_microkit::{NullHandler, protection_domain};
use test_pds::verdict;

#[protection_domain]
fn init() -> NullHandler {
    verdict::become_judge();
    verdict::pass()
}
