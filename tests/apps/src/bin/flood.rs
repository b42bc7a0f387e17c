//! Sends requests as fast as it can and takes no replies.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;
use sdk::{App, call};
use test_apps::raw;

sdk::main!(main);

fn main(_: &mut App) {
    let taken = core::ptr::with_exposed_provenance::<core::sync::atomic::AtomicU64>(app_abi::map::REPLIES as usize + 8);
    // SAFETY: the page of replies is mapped for as long as the app runs, and is only loaded from.
    let taken = unsafe { &*taken };
    let text = b"flood";
    let mut number = 0;
    loop {
        if number - taken.load(Ordering::Acquire) < app_abi::ring::SLOTS {
            let arguments = [call::LEVEL_DEBUG, text.as_ptr().expose_provenance() as u64, 5];
            raw::put(number, [call::LOG.into(), arguments[0], arguments[1], arguments[2], 0, 0, 0, 0]);
            number += 1;
        }
        raw::notify();
    }
}
