//! Outranks the judge and notifies it many times before it runs; later by deferred actions.
#![no_std]
#![no_main]

use sel4_microkit::{
    Channel, ChannelSet, DeferredAction, DeferredActionSlot, Handler, Infallible, MessageInfo, protection_domain,
    set_mr,
};

const FIRST: Channel = Channel::new(0);
const SECOND: Channel = Channel::new(1);
const THIRD: Channel = Channel::new(2);

struct Burst {
    deferred: DeferredActionSlot,
}

#[protection_domain]
fn init() -> impl Handler {
    for _ in 0..100 {
        FIRST.notify();
        SECOND.notify();
        THIRD.notify();
    }
    Burst { deferred: DeferredActionSlot::new() }
}

impl Handler for Burst {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        assert!(channels.iter().eq([FIRST]));
        let deferred = self.deferred.defer_notify(FIRST).and_then(|()| self.deferred.defer_notify(SECOND));
        assert_eq!(deferred, Ok(()));
        Ok(())
    }

    fn protected(&mut self, channel: Channel, msg_info: MessageInfo) -> Result<MessageInfo, Infallible> {
        assert_eq!(channel, SECOND);
        assert_eq!(self.deferred.defer_notify(THIRD), Ok(()));
        set_mr(0, 77);
        Ok(MessageInfo::new(msg_info.label() + 1, 1))
    }

    fn take_deferred_action(&mut self) -> Option<DeferredAction> {
        self.deferred.take()
    }
}
