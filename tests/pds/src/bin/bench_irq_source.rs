//! Makes the UART raise its interrupt, for a handler of higher priority.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::counters::rdinstret;
use sel4_microkit::{NullHandler, memory_region_symbol, protection_domain};
use test_pds::{say, shared, verdict};

const INTERRUPT_ENABLE: usize = 1;
const TRANSMITTER_EMPTY: u8 = 1 << 1;
const ROUNDS: u64 = 100;

#[protection_domain]
fn init() -> NullHandler {
    verdict::become_judge();
    let registers = memory_region_symbol!(device: *mut u8);
    let shared = shared();
    let mut total = 0;
    for round in 0..=ROUNDS {
        let start = rdinstret();
        // SAFETY: the register exists; the transmitter is empty, so enabling its interrupt raises it.
        unsafe { registers.add(INTERRUPT_ENABLE).write_volatile(TRANSMITTER_EMPTY) };
        let took = shared[0].swap(0, Ordering::Relaxed).checked_sub(start);
        let took = took.expect("the handler did not run");
        // The first one finds the paths through the kernel cold, which costs no instructions, but starts the device.
        total += if round == 0 { 0 } else { took };
    }
    say!("bench irq_to_pd {} instructions", total / ROUNDS);
    verdict::pass()
}
