//! Uses a floating-point register.
#![no_std]
#![no_main]

use sel4_microkit::{NullHandler, protection_domain};

#[protection_domain]
fn init() -> NullHandler {
    // SAFETY: writes one floating-point register, which is declared.
    unsafe { core::arch::asm!("fmv.d.x f0, zero", out("f0") _, options(nomem, nostack)) };
    NullHandler::new()
}
