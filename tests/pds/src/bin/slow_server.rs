//! Works for a while on each call.
#![no_std]
#![no_main]

use sel4_microkit::{Channel, Handler, Infallible, MessageInfo, get_mr, protection_domain, set_mr};

struct Server;

#[protection_domain]
fn init() -> impl Handler {
    Server
}

impl Handler for Server {
    type Error = Infallible;

    fn protected(&mut self, _: Channel, msg_info: MessageInfo) -> Result<MessageInfo, Infallible> {
        (0..10_000_u32).for_each(|i| {
            core::hint::black_box(i);
        });
        set_mr(0, get_mr(0) + 1);
        Ok(MessageInfo::new(0, msg_info.count()))
    }
}
