//! The rings and the kernel without the SDK.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use app_abi::map;
use app_abi::ring::{NOTIFY_CPTR, PRODUCED, slot_at};

/// The page of requests.
pub fn requests() -> &'static [AtomicU64] {
    let start = core::ptr::with_exposed_provenance::<AtomicU64>(map::REQUESTS as usize);
    // SAFETY: the sandbox maps the page for as long as the app runs.
    unsafe { core::slice::from_raw_parts(start, 512) }
}

/// Puts any words as entry `number`, and counts it.
pub fn put(number: u64, words: [u64; 8]) {
    for (to, word) in requests()[slot_at(number) / 8..].iter().zip(words) {
        to.store(word, Ordering::Relaxed);
    }
    requests()[PRODUCED].store(number + 1, Ordering::Release);
}

/// A system call with any number, capability and message word; gives the message word of the answer.
pub fn system_call(number: i64, capability: u64, message: u64) -> u64 {
    let answer;
    // SAFETY: whatever the kernel does with it, it is this app's fault; the registers are those of the calling convention.
    unsafe {
        asm!("ecall", in("a7") number, inlateout("a0") capability => _, inlateout("a1") message => answer,
            in("a6") 4u64, in("t0") capability,
            lateout("a2") _, lateout("a3") _, lateout("a4") _, lateout("a5") _, options(nostack));
    }
    answer
}

/// Notifies the app manager.
pub fn notify() {
    system_call(-5, NOTIFY_CPTR, 0);
}
