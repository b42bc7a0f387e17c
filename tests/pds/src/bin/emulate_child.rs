//! Faults and goes on as its parent lets it.
#![no_std]
#![no_main]

use core::arch::asm;
use core::sync::atomic::Ordering;

use sel4_microkit::{NullHandler, protection_domain};
use test_pds::raw::{self, Call};
use test_pds::shared;

#[protection_domain]
fn init() -> NullHandler {
    let step = |step: u64| shared()[1].store(step, Ordering::Relaxed);
    step(1);
    let before = Call { a: [1, 2, 3, 4, 5, 6, 7], t0: 8 };
    // SAFETY: no kernel serves this number; the parent does.
    let after = unsafe { raw::syscall(777, before) };
    assert_eq!(after, Call { a: [4242, 2, 3, 4, 5, 6, 7], t0: 8 });
    step(2);
    // SAFETY: an illegal instruction of four bytes, which the parent skips.
    unsafe { asm!(".4byte 0") };
    step(3);
    // SAFETY: the load never happens.
    unsafe { asm!("ld zero, 0({})", in(reg) 0x700_0000_u64, options(nostack)) };
    NullHandler::new()
}
