//! Dies at a chosen store to shared memory, as a protection domain may at any instant.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

thread_local! {
    static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// What a crash unwinds with.
struct Crash;

/// Called before each store.
pub(crate) fn step() {
    LEFT.with(|left| match left.get() {
        Some(0) => {
            left.set(None);
            resume_unwind(Box::new(Crash));
        }
        Some(count) => left.set(Some(count - 1)),
        None => (),
    });
}

/// Runs `action` until it wants to do its store number `stores` (counted from 0). None if it died there.
pub fn run<R>(stores: u64, action: impl FnOnce() -> R) -> Option<R> {
    LEFT.set(Some(stores));
    let result = catch_unwind(AssertUnwindSafe(action));
    LEFT.set(None);
    match result {
        Ok(value) => Some(value),
        Err(payload) if payload.is::<Crash>() => None,
        Err(payload) => resume_unwind(payload),
    }
}
