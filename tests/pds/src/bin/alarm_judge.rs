//! Takes twenty interrupts of the real-time clock, each in time.
#![no_std]
#![no_main]

use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};
use test_pds::alarm::Alarm;
use test_pds::{say, verdict};

const IRQ: Channel = Channel::new(33);
const DELAY_NS: u64 = 500_000;
const LATEST_NS: u64 = 100_000;

struct Judge {
    alarm: Alarm,
    due_ns: u64,
    left: u32,
    latest_ns: u64,
}

impl Judge {
    fn arm(&mut self) {
        self.due_ns = self.alarm.now_ns() + DELAY_NS;
        self.alarm.arm(DELAY_NS);
    }
}

#[protection_domain]
fn init() -> impl Handler {
    verdict::become_judge();
    let mut judge = Judge { alarm: Alarm::new(), due_ns: 0, left: 20, latest_ns: 0 };
    judge.arm();
    judge
}

impl Handler for Judge {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        assert!(channels.iter().eq([IRQ]), "notified by {}", channels.display());
        let now_ns = self.alarm.now_ns();
        assert!(now_ns >= self.due_ns, "an interrupt before its time");
        self.latest_ns = self.latest_ns.max(now_ns - self.due_ns);
        self.alarm.clear();
        assert_eq!(IRQ.irq_ack(), Ok(()));
        self.left -= 1;
        if self.left == 0 {
            say!("latest {} us", self.latest_ns / 1000);
            assert!(self.latest_ns < LATEST_NS, "an interrupt too late");
            verdict::pass();
        }
        self.arm();
        Ok(())
    }
}
