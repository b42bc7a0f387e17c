//! Fills every floating-point register with a value of its own and sees whether they stay, while others do the same.
#![no_std]
#![no_main]

use core::arch::asm;
use core::sync::atomic::Ordering;

use sel4_microkit::{NullHandler, protection_domain};
use test_pds::{instance, shared};

/// Puts `pattern + i` in register i, waits for `turns` of a loop, and counts the registers that changed.
fn changed_registers(pattern: u64, turns: u64) -> u64 {
    let changed: u64;
    // SAFETY: every register that is written is declared; no memory is touched.
    unsafe {
        asm!(
            ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            "addi {t}, {pattern}, \\i",
            "fmv.d.x f\\i, {t}",
            ".endr",
            "1: addi {turns}, {turns}, -1",
            "bnez {turns}, 1b",
            "li {changed}, 0",
            ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            "addi {t}, {pattern}, \\i",
            "fmv.x.d {u}, f\\i",
            "sub {t}, {t}, {u}",
            "snez {t}, {t}",
            "add {changed}, {changed}, {t}",
            ".endr",
            pattern = in(reg) pattern, turns = inout(reg) turns => _, changed = out(reg) changed,
            t = out(reg) _, u = out(reg) _,
            out("f0") _, out("f1") _, out("f2") _, out("f3") _, out("f4") _, out("f5") _, out("f6") _, out("f7") _,
            out("f8") _, out("f9") _, out("f10") _, out("f11") _, out("f12") _, out("f13") _, out("f14") _,
            out("f15") _, out("f16") _, out("f17") _, out("f18") _, out("f19") _, out("f20") _, out("f21") _,
            out("f22") _, out("f23") _, out("f24") _, out("f25") _, out("f26") _, out("f27") _, out("f28") _,
            out("f29") _, out("f30") _, out("f31") _,
            options(nomem, nostack)
        );
    }
    changed
}

#[protection_domain]
fn init() -> NullHandler {
    let rounds = &shared()[instance()];
    let wrong = &shared()[instance() + 10];
    let pattern = 0x4010_0000_0000_0000 + ((instance() as u64) << 40);
    loop {
        let changed = changed_registers(pattern, 20_000);
        wrong.fetch_add(changed, Ordering::Relaxed);
        rounds.fetch_add(1, Ordering::Relaxed);
    }
}
