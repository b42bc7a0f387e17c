//! Logs without end, whether there is room or not, and counts its lines in the shared page.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use protocols::console::{FromClient, FromConsole, Level, Lines, PROTOCOL, VERSION};
use sel4_microkit::{NullHandler, protection_domain};
use test_pds::shared;

#[protection_domain]
fn init() -> NullHandler {
    let console = ring::link!(console: FromClient, FromConsole, PROTOCOL, VERSION);
    let mut console = console.expect("a link").expect("a console");
    let mut lines = Lines::new();
    for line in 1u64.. {
        let _ = console.poll();
        shared()[0].store(line, Ordering::Relaxed);
        lines.print(&mut console, Level::Info, format_args!("flood {line}"));
    }
    NullHandler::new()
}
