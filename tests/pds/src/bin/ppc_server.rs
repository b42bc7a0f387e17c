//! Replies with the complement of what it is called with, one label and 13 registers further on; notifies back.
#![no_std]
#![no_main]

use sel4_microkit::{
    Channel, ChannelSet, Handler, Infallible, MessageInfo, protection_domain, with_msg_regs, with_msg_regs_mut,
};

const CLIENT: Channel = Channel::new(3);
const SECRET: u64 = 0x5ec2e7;

struct Server;

#[protection_domain]
fn init() -> impl Handler {
    Server
}

impl Handler for Server {
    type Error = Infallible;

    fn protected(&mut self, channel: Channel, msg_info: MessageInfo) -> Result<MessageInfo, Infallible> {
        assert_eq!(channel, CLIENT);
        let count = msg_info.count();
        with_msg_regs(|registers| {
            // What the client did not send stays with the client.
            assert!(registers.iter().skip(count.max(4)).all(|register| *register != SECRET));
        });
        with_msg_regs_mut(|registers| {
            for (i, register) in registers.iter_mut().enumerate() {
                *register = if i < count { !*register } else { !0 };
            }
        });
        Ok(MessageInfo::new(msg_info.label() + 1, (count + 13) % 121))
    }

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        assert!(channels.iter().eq([CLIENT]));
        CLIENT.notify();
        Ok(())
    }
}
