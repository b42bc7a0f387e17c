//! Checks that its data are pristine, spoils them, and ends in one fault or another, by the number of the run.
#![no_std]
#![no_main]

use core::arch::asm;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use sel4_microkit::{Channel, NullHandler, protection_domain, set_mr, var, with_msg_regs_mut};
use test_pds::raw::{self, Call, number};
use test_pds::shared;

static COUNTER: AtomicU64 = AtomicU64::new(0x1234_5678_9abc_def0);
static TABLE: [AtomicU64; 700] = [const { AtomicU64::new(7) }; 700];
static ZEROS: [AtomicU64; 700] = [const { AtomicU64::new(0) }; 700];

fn stack_pointer() -> u64 {
    let value: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mv {}, sp", out(reg) value, options(nomem, nostack)) };
    value
}

/// Takes about half a kilobyte of stack for each level and ends at the deepest.
#[inline(never)]
fn deep(level: u32, run: u64) {
    let room = black_box([level; 100]);
    match level {
        0 => fault(run),
        _ => deep(level - 1, run),
    }
    black_box(room);
}

fn fault(run: u64) {
    match run % 6 {
        // The message registers are lent out at this moment; the next run must find them free.
        0 => with_msg_regs_mut(|_| {
            // SAFETY: the store does not happen, it faults.
            unsafe { asm!("sd zero, 8(zero)", options(nostack)) }
        }),
        1 => panic!("on purpose"),
        2 => {
            // SAFETY: there is no such system call.
            unsafe { raw::syscall(12345, Call::default()) };
        }
        3 => {
            // SAFETY: there is no such capability.
            unsafe { raw::syscall(number::SEND, Call { a: [1 << 30, 0, 0, 0, 0, 0, 0], t0: 0 }) };
        }
        4 => {
            // SAFETY: nothing is mapped there, so this faults.
            unsafe { asm!("jr {}", in(reg) 0x1000_u64, options(noreturn)) }
        }
        _ => {
            // SAFETY: a breakpoint is a fault here.
            unsafe { asm!("ebreak") }
        }
    }
}

#[protection_domain]
fn init() -> NullHandler {
    let report = shared();
    let run = report[0].load(Ordering::Relaxed);
    let stage = |stage: u64| report[1].store(stage, Ordering::Relaxed);
    stage(1);
    report[2].store(stack_pointer(), Ordering::Relaxed);
    assert_eq!(COUNTER.load(Ordering::Relaxed), 0x1234_5678_9abc_def0);
    stage(2);
    assert!(TABLE.iter().all(|word| word.load(Ordering::Relaxed) == 7));
    stage(3);
    assert!(ZEROS.iter().all(|word| word.load(Ordering::Relaxed) == 0));
    stage(4);
    // What the composer wrote is there in every run.
    assert_eq!(*var!(region_size: u64 = 0), 0x1000);
    Channel::new(9).notify();
    stage(5);
    set_mr(0, run);
    stage(6);
    COUNTER.store(run, Ordering::Relaxed);
    TABLE.iter().chain(&ZEROS).for_each(|word| word.store(!run, Ordering::Relaxed));
    stage(100 + run);
    deep(5, run);
    // Whatever was meant to fault did not: the judge sees another fault than it expects.
    panic!();
}
