//! Calls its server for ever and counts the replies in the shared page.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::{Channel, MessageInfo, NullHandler, get_mr, protection_domain, set_mr};
use test_pds::shared;

const SERVER: Channel = Channel::new(1);

#[protection_domain]
fn init() -> NullHandler {
    let (count, wrong) = (&shared()[1], &shared()[2]);
    for round in 0.. {
        set_mr(0, round);
        let reply = SERVER.pp_call(MessageInfo::new(0, 4));
        // A call that is issued again brings the message that it brought the first time.
        if reply.count() != 4 || get_mr(0) != round + 1 {
            wrong.fetch_add(1, Ordering::Relaxed);
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
    NullHandler::new()
}
