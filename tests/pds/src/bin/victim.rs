//! Serves the judge and whoever else calls, and guards a secret.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering};

use sel4_microkit::{
    Channel, ChannelSet, Handler, Infallible, MessageInfo, memory_region_symbol, protection_domain, set_mr,
};

const JUDGE: Channel = Channel::new(0);
const ATTACKER: Channel = Channel::new(1);
const SECRET: u64 = 0xc0ffee;

struct Victim {
    secret: &'static AtomicU64,
}

#[protection_domain]
fn init() -> impl Handler {
    // SAFETY: the region holds one word at its start, which only this program has mapped.
    let secret: &'static AtomicU64 = unsafe { memory_region_symbol!(secret: *mut AtomicU64).as_ref() };
    secret.store(SECRET, Ordering::Relaxed);
    Victim { secret }
}

impl Handler for Victim {
    type Error = Infallible;

    fn protected(&mut self, channel: Channel, _: MessageInfo) -> Result<MessageInfo, Infallible> {
        if channel != JUDGE {
            assert_eq!(channel, ATTACKER, "a call with a badge that nobody has");
            return Ok(MessageInfo::new(0, 120));
        }
        set_mr(0, self.secret.load(Ordering::Relaxed));
        Ok(MessageInfo::new(1, 1))
    }

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        assert!(channels.iter().all(|channel| channel == ATTACKER), "a notification that nobody may send");
        Ok(())
    }
}
