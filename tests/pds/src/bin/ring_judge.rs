//! Sends a notification around a ring of all protection domains that a system can have, a hundred times.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};
use test_pds::{shared, verdict};

const FIRST: Channel = Channel::new(0);
const LAST: Channel = Channel::new(1);
const OTHERS: u64 = 62;
const ROUNDS: u64 = 100;

struct Judge {
    rounds: u64,
}

#[protection_domain]
fn init() -> impl Handler {
    verdict::become_judge();
    FIRST.notify();
    Judge { rounds: 0 }
}

impl Handler for Judge {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        assert!(channels.iter().eq([LAST]));
        self.rounds += 1;
        assert_eq!(shared()[0].load(Ordering::Relaxed), OTHERS * self.rounds, "each one passed it on once");
        if self.rounds == ROUNDS {
            verdict::pass();
        }
        FIRST.notify();
        Ok(())
    }
}
