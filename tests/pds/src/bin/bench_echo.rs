//! Notes when it is notified, and notifies back where it is asked to.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering};

use sel4_microkit::counters::rdinstret;
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};
use test_pds::shared;

const ECHO: Channel = Channel::new(2);

struct Echo {
    reading: &'static AtomicU64,
}

#[protection_domain]
fn init() -> impl Handler {
    Echo { reading: &shared()[0] }
}

impl Handler for Echo {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        let now = rdinstret();
        if channels.contains(ECHO) {
            ECHO.notify();
        } else {
            self.reading.store(now, Ordering::Relaxed);
        }
        Ok(())
    }
}
