//! The lowest of several priorities: checks in which order the others ran, and that they run at once when they can.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::counters::rdtime;
use sel4_microkit::{Channel, NullHandler, protection_domain};
use test_pds::{TICKS_PER_MS, shared, verdict};

const MIDDLE: Channel = Channel::new(0);
const ALARM: Channel = Channel::new(1);

/// The log so far is exactly `expected`.
fn assert_log(expected: &[u8]) {
    let log = shared();
    let count = log[0].load(Ordering::Relaxed) as usize;
    assert!(count < 100, "the log is full");
    let mut entries = [0; 100];
    for (entry, word) in entries.iter_mut().zip(&log[1..=count]) {
        *entry = word.load(Ordering::Relaxed) as u8;
    }
    let (seen, expected) = (core::str::from_utf8(&entries[..count]), core::str::from_utf8(expected));
    assert_eq!(seen, expected);
}

#[protection_domain]
fn init() -> NullHandler {
    verdict::become_judge();
    // The others began in the order of their priorities.
    assert_log(b"ahm");
    // Middle preempts this, and high preempts middle.
    MIDDLE.notify();
    assert_log(b"ahm<m<hh>m>");
    // An interrupt preempts a loop that makes no system call.
    ALARM.notify();
    let start = rdtime();
    while shared()[0].load(Ordering::Relaxed) == 11 {
        assert!(rdtime() - start < 100 * TICKS_PER_MS, "no preemption by the interrupt");
    }
    assert_log(b"ahm<m<hh>m>!");
    verdict::pass()
}
