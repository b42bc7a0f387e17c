//! Says how many instructions the machine has executed until the first protection domain runs.
#![no_std]
#![no_main]

use sel4_microkit::counters::rdinstret;
use sel4_microkit::{NullHandler, protection_domain};
use test_pds::{say, verdict};

#[protection_domain]
fn init() -> NullHandler {
    let instructions = rdinstret();
    verdict::become_judge();
    say!("bench boot_to_first_pd {instructions} instructions");
    verdict::pass()
}
