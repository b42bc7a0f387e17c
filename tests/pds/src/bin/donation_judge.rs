//! The time of a passive server is its client's.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::caps::SchedContext;
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};
use test_pds::alarm::Alarm;
use test_pds::{say, shared, verdict};

const IRQ: Channel = Channel::new(0);
const CLIENT: SchedContext = SchedContext::from_slot(1);
const SERVER: SchedContext = SchedContext::from_slot(2);
const STEP_NS: u64 = 50_000_000;

struct Judge {
    alarm: Alarm,
    step: u32,
}

#[protection_domain]
fn init() -> impl Handler {
    verdict::become_judge();
    let alarm = Alarm::new();
    alarm.arm(STEP_NS);
    Judge { alarm, step: 0 }
}

impl Handler for Judge {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        assert!(channels.iter().eq([IRQ]));
        self.alarm.clear();
        assert_eq!(IRQ.irq_ack(), Ok(()));
        let [client_us, server_us] = [CLIENT, SERVER].map(|context| context.consumed_us().expect("consumed"));
        let calls = shared()[1].swap(0, Ordering::Relaxed);
        say!("{calls} calls, the client paid {client_us} us, the server {server_us} us");
        // The first step has the server's start in it, which the server pays.
        if self.step > 0 {
            assert!(calls > 100, "calls are served");
            assert!(client_us > 40_000, "the client pays");
            assert_eq!(server_us, 0, "the passive server does not");
        }
        if self.step == 3 {
            verdict::pass();
        }
        self.step += 1;
        self.alarm.arm(STEP_NS);
        Ok(())
    }
}
