//! Receives notifications that have gathered, deferred ones, and one deferred beside a reply.
#![no_std]
#![no_main]

use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, MessageInfo, get_mr, protection_domain};
use test_pds::verdict;

const FIRST: Channel = Channel::new(5);
const SECOND: Channel = Channel::new(17);
const THIRD: Channel = Channel::new(61);

struct Judge {
    step: u32,
}

#[protection_domain]
fn init() -> impl Handler {
    verdict::become_judge();
    Judge { step: 0 }
}

impl Handler for Judge {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        let expected: &[Channel] = match self.step {
            // The burst, sent many times before this protection domain first ran, is one set.
            0 => &[FIRST, SECOND, THIRD],
            // Two deferred in one go: the older at once, the newer with the next receive.
            1 => &[FIRST, SECOND],
            _ => &[THIRD],
        };
        assert!(channels.iter().eq(expected.iter().copied()), "step {}: {}", self.step, channels.display());
        match self.step {
            0 => FIRST.notify(),
            1 => {
                let reply = SECOND.pp_call(MessageInfo::new(5, 0));
                assert_eq!((reply.label(), reply.count(), get_mr(0)), (6, 1, 77));
            }
            _ => verdict::pass(),
        }
        self.step += 1;
        Ok(())
    }
}
