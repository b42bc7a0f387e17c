//! Says where its faulting instruction lies, and executes it.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::{NullHandler, protection_domain};
use test_pds::shared;

core::arch::global_asm!(".section .text.bench_fault, \"ax\"", ".globl bench_fault", "bench_fault: unimp");

unsafe extern "C" {
    fn bench_fault() -> !;
}

#[protection_domain]
fn init() -> NullHandler {
    shared()[0].store(bench_fault as *const () as u64, Ordering::Relaxed);
    // SAFETY: the function is the one instruction above.
    unsafe { bench_fault() }
}
