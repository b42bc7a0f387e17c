//! Counts a notification in the shared page and passes it on.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};
use test_pds::shared;

const ONWARD: Channel = Channel::new(0);
const BACK: Channel = Channel::new(1);

struct Link;

#[protection_domain]
fn init() -> impl Handler {
    Link
}

impl Handler for Link {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        assert!(channels.iter().eq([BACK]));
        shared()[0].fetch_add(1, Ordering::Relaxed);
        ONWARD.notify();
        Ok(())
    }
}
