//! Parent of two that use every floating-point register, and of one that may use none.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::{Channel, ChannelSet, Child, Fault, Handler, Infallible, MessageInfo, protection_domain};
use test_pds::alarm::Alarm;
use test_pds::{say, shared, verdict};

const IRQ: Channel = Channel::new(0);
const FORBIDDEN: Child = Child::new(3);

struct Judge {
    alarm: Alarm,
    refused: bool,
}

#[protection_domain]
fn init() -> impl Handler {
    verdict::become_judge();
    let alarm = Alarm::new();
    alarm.arm(50_000_000);
    Judge { alarm, refused: false }
}

impl Handler for Judge {
    type Error = Infallible;

    fn fault(&mut self, child: Child, msg_info: MessageInfo) -> Result<Option<MessageInfo>, Infallible> {
        assert_eq!(child, FORBIDDEN);
        assert!(matches!(msg_info.fault(), Fault::UserException(fault) if fault.number == 2));
        self.refused = true;
        Ok(None)
    }

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        self.alarm.clear();
        assert_eq!(IRQ.irq_ack(), Ok(()));
        let [first, second] = [1, 2].map(|i| shared()[i].load(Ordering::Relaxed));
        let wrong = [11, 12].map(|i| shared()[i].load(Ordering::Relaxed));
        say!("{first} and {second} rounds, wrong registers {wrong:?}");
        assert!(first > 100 && second > 100, "both ran");
        assert_eq!(wrong, [0, 0]);
        assert!(self.refused, "fpu=\"false\" forbids floating point");
        verdict::pass()
    }
}
