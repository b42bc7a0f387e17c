//! Stops a server, then its client in the middle of a call, and lets both go on: the call is issued again.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::caps::Tcb;
use sel4_microkit::{Channel, ChannelSet, Child, Handler, Infallible, protection_domain};
use test_pds::alarm::Alarm;
use test_pds::{shared, verdict};

const IRQ: Channel = Channel::new(0);
const CLIENT: Child = Child::new(2);
const SERVER: Tcb = Tcb::from_slot(1);
const STEP_NS: u64 = 1_000_000;
const CYCLES: u32 = 25;

struct Judge {
    alarm: Alarm,
    step: u32,
    count: u64,
}

#[protection_domain]
fn init() -> impl Handler {
    verdict::become_judge();
    let alarm = Alarm::new();
    alarm.arm(STEP_NS);
    Judge { alarm, step: 0, count: 0 }
}

impl Handler for Judge {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        assert!(channels.iter().eq([IRQ]));
        self.alarm.clear();
        assert_eq!(IRQ.irq_ack(), Ok(()));
        let count = shared()[1].load(Ordering::Relaxed);
        let advanced = count > self.count;
        self.count = count;
        match self.step % 4 {
            0 => {
                assert!(advanced, "cycle {}: the client makes calls", self.step / 4);
                assert_eq!(SERVER.suspend(), Ok(()));
            }
            1 => assert_eq!(CLIENT.stop(), Ok(())),
            2 => {
                assert!(!advanced, "the client waits for the stopped server");
                assert_eq!(SERVER.resume(), Ok(()));
            }
            _ => {
                assert!(!advanced, "the stopped client makes no calls");
                assert_eq!(CLIENT.resume(), Ok(()));
            }
        }
        assert_eq!(shared()[2].load(Ordering::Relaxed), 0, "replies to other messages");
        self.step += 1;
        if self.step == 4 * CYCLES + 1 {
            verdict::pass();
        }
        self.alarm.arm(STEP_NS);
        Ok(())
    }
}
