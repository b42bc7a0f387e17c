//! What the test protection domains share: a verdict, a page of shared words, raw system calls, an alarm.
//!
//! A test system has one *judge*. It prints on the UART, which it maps itself, and ends the machine through the exit
//! device, so tests work in the release configuration and on seL4 alike.
#![cfg_attr(not(test), no_std)]
#![cfg(feature = "pd")]

pub mod alarm;
pub mod attack;
pub mod fakes;
pub mod figures;
pub mod raw;
pub mod uart;
pub mod verdict;

use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;

/// A page of words that protection domains share.
pub type Words = [AtomicU64; 512];

/// A shared page from its address, as `memory_region_symbol!` gives it.
///
/// # Safety
/// A whole mapped page, of which every protection domain makes atomic words or nothing.
pub unsafe fn words(page: NonNull<Words>) -> &'static Words {
    // SAFETY: the caller's promise; the mapping lasts as long as the protection domain.
    unsafe { page.as_ref() }
}

/// The page mapped at the symbol `shared`.
pub fn shared() -> &'static Words {
    // SAFETY: in every test system the region `shared` is a page of plain memory, used only through this function.
    unsafe { words(sel4_microkit::memory_region_symbol!(shared: *mut Words)) }
}

/// The last character of this protection domain's name as a number: which of several equal ones it is.
pub fn instance() -> usize {
    usize::from(sel4_microkit::pd_name_bytes().last().copied().unwrap_or(b'0').wrapping_sub(b'0'))
}

/// Ticks of [`rdtime`](sel4_microkit::counters::rdtime) in a millisecond.
pub const TICKS_PER_MS: u64 = 10_000;

/// What a spinning judge loses to others, seen as jumps of the clock between two readings of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gaps {
    /// How many jumps.
    pub count: u64,
    /// Ticks of all jumps.
    pub total: u64,
    /// Ticks of the longest jump.
    pub longest: u64,
}

/// Spins for `ticks` and sums up the jumps of more than 50 µs.
pub fn measure_gaps(ticks: u64) -> Gaps {
    const LEAST: u64 = 500;
    let start = sel4_microkit::counters::rdtime();
    let (mut now, mut gaps) = (start, Gaps::default());
    while now - start < ticks {
        let next = sel4_microkit::counters::rdtime();
        if next - now > LEAST {
            gaps.count += 1;
            gaps.total += next - now;
            gaps.longest = gaps.longest.max(next - now);
        }
        now = next;
    }
    gaps
}
