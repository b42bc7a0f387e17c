//! Parent of a timer driver and its client: restarts the driver whenever someone says so, and lets the client's call begin
//! again.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::{ChannelSet, Child, ENTRY, Handler, Infallible, protection_domain};
use test_pds::shared;

const DRIVER: Child = Child::new(0);
const CLIENT: Child = Child::new(1);

struct Parent;

#[protection_domain]
fn init() -> impl Handler {
    Parent
}

impl Handler for Parent {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        let [restarts, within, calling] = [0, 1, 2].map(|word| &shared()[word]);
        restarts.fetch_add(1, Ordering::Relaxed);
        within.fetch_add(calling.load(Ordering::Relaxed), Ordering::Relaxed);
        DRIVER.restart(ENTRY).expect("a child");
        // If it waits for the reply to a call, it would wait for ever.
        CLIENT.stop().expect("a child");
        CLIENT.resume().expect("a child");
        Ok(())
    }
}
