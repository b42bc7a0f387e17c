//! Replies with each message register plus one.
#![no_std]
#![no_main]

use sel4_microkit::{Channel, Handler, Infallible, MessageInfo, get_mr, protection_domain, set_mr};

struct Server;

#[protection_domain]
fn init() -> impl Handler {
    Server
}

/// Unrolled, as a server with a fixed message is.
#[inline(always)]
fn serve<const N: usize>() -> MessageInfo {
    for i in 0..N {
        set_mr(i, get_mr(i) + 1);
    }
    MessageInfo::new(0, N)
}

impl Handler for Server {
    type Error = Infallible;

    fn protected(&mut self, _: Channel, msg_info: MessageInfo) -> Result<MessageInfo, Infallible> {
        Ok(match msg_info.count() {
            0 => serve::<0>(),
            4 => serve::<4>(),
            _ => serve::<8>(),
        })
    }
}
