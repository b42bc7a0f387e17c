//! Counts for ever, in the word of the shared page that its name's last digit says.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::{NullHandler, protection_domain};
use test_pds::{instance, shared};

#[protection_domain]
fn init() -> NullHandler {
    let word = &shared()[instance()];
    loop {
        // There is one writer, so this need not be one instruction; keeping the count in memory makes stops visible.
        word.store(word.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}
