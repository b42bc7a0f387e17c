//! Calls a server with every number of message registers, and then has it notify back.
#![no_std]
#![no_main]

use sel4_microkit::{
    Channel, ChannelSet, Handler, Infallible, MessageInfo, protection_domain, with_msg_regs, with_msg_regs_mut,
};
use test_pds::verdict;

const SERVER: Channel = Channel::new(61);
const SECRET: u64 = 0x5ec2e7;

struct Judge;

#[protection_domain]
fn init() -> impl Handler {
    verdict::become_judge();
    for count in 0..=120 {
        let label = 1000 + count as u64;
        with_msg_regs_mut(|registers| {
            for (i, register) in registers.iter_mut().enumerate() {
                *register = if i < count { label << 32 | i as u64 } else { SECRET };
            }
        });
        let reply = SERVER.pp_call(MessageInfo::new(label, count));
        let expected = (count + 13) % 121;
        assert_eq!((reply.label(), reply.count()), (label + 1, expected), "reply to {count} registers");
        with_msg_regs(|registers| {
            for (i, register) in registers.iter().enumerate().take(expected) {
                let sent = if i < count { label << 32 | i as u64 } else { 0 };
                assert_eq!(*register, !sent, "register {i} of the reply to {count}");
            }
        });
    }
    // The widest label arrives whole.
    let reply = SERVER.pp_call(MessageInfo::new((1 << 52) - 2, 0));
    assert_eq!(reply.label(), (1 << 52) - 1);
    SERVER.notify();
    Judge
}

impl Handler for Judge {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        assert!(channels.iter().eq([SERVER]), "notified by {}", channels.display());
        verdict::pass()
    }
}
