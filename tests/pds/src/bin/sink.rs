//! Takes notifications and forgets them.
#![no_std]
#![no_main]

use sel4_microkit::{ChannelSet, Handler, Infallible, protection_domain};

struct Sink;

#[protection_domain]
fn init() -> impl Handler {
    Sink
}

impl Handler for Sink {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        Ok(())
    }
}
