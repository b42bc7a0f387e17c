//! Writes its name to the log, and passes notifications on to a higher priority if it has a channel for that.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, pd_name_bytes, protection_domain, var};
use test_pds::alarm::Alarm;
use test_pds::shared;

const IRQ: Channel = Channel::new(60);
const NO_CHANNEL: u64 = 99;

struct Relay {
    name: u8,
    onward: Option<Channel>,
    alarm: Option<Alarm>,
}

fn push(entry: u8) {
    let log = shared();
    let count = log[0].load(Ordering::Relaxed);
    log[1 + count as usize].store(u64::from(entry), Ordering::Relaxed);
    log[0].store(count + 1, Ordering::Relaxed);
}

#[protection_domain]
fn init() -> impl Handler {
    let name = pd_name_bytes()[0];
    push(name);
    let onward = *var!(onward: u64 = NO_CHANNEL);
    Relay {
        name,
        onward: (onward != NO_CHANNEL).then(|| Channel::new(onward as usize)),
        alarm: (name == b'a').then(Alarm::new),
    }
}

impl Handler for Relay {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        if channels.contains(IRQ) {
            push(b'!');
            return Ok(());
        }
        if let Some(alarm) = self.alarm {
            alarm.arm(1_000_000);
            return Ok(());
        }
        match self.onward {
            Some(onward) => {
                push(b'<');
                push(self.name);
                onward.notify();
                push(self.name);
            }
            None => {
                push(b'<');
                push(self.name);
                push(self.name);
            }
        }
        push(b'>');
        Ok(())
    }
}
