//! Faults at once.
#![no_std]
#![no_main]

use sel4_microkit::{NullHandler, protection_domain};

#[protection_domain]
fn init() -> NullHandler {
    // SAFETY: the load does not happen, it faults.
    unsafe { core::arch::asm!("ld zero, 0x123({})", in(reg) 0x1234_5000_u64, options(nostack)) };
    NullHandler::new()
}
