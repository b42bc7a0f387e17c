//! The smallest protection domain: it greets, in the debug configuration, and then waits for nothing.
#![no_std]
#![no_main]

use sel4_microkit::{NullHandler, debug_println, protection_domain};

#[protection_domain]
fn init() -> NullHandler {
    debug_println!("hello, world");
    NullHandler::new()
}
