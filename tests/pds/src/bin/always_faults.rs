//! Faults as soon as it starts.
#![no_std]
#![no_main]

use sel4_microkit::{NullHandler, protection_domain};

#[protection_domain]
fn init() -> NullHandler {
    let nowhere = core::ptr::without_provenance_mut::<u64>(8);
    // SAFETY: nothing is mapped there: the write ends this program, and that is what it is for.
    unsafe { nowhere.write_volatile(1) };
    NullHandler::new()
}
