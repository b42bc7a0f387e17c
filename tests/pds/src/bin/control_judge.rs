//! Stops, resumes, inspects and starves a spinner, through a child's thread or a shared capability.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::caps::{SchedContext, Tcb};
use sel4_microkit::{Channel, ChannelSet, Child, ENTRY, Handler, Infallible, InvocationError, protection_domain, var};
use test_pds::alarm::Alarm;
use test_pds::{say, shared, verdict};

const IRQ: Channel = Channel::new(0);
const NO_CHILD: u64 = 99;
const STEP_NS: u64 = 5_000_000;

struct Judge {
    alarm: Alarm,
    tcb: Tcb,
    sched_context: SchedContext,
    step: u32,
    count: u64,
}

#[protection_domain]
fn init() -> impl Handler {
    verdict::become_judge();
    let child = *var!(child_id: u64 = NO_CHILD);
    let tcb = if child == NO_CHILD { Tcb::from_slot(63) } else { Child::new(child as usize).tcb() };
    let alarm = Alarm::new();
    alarm.arm(STEP_NS);
    Judge { alarm, tcb, sched_context: SchedContext::from_slot(1), step: 0, count: 0 }
}

impl Judge {
    /// One step, 5 ms after the one before, with what the spinner counted meanwhile.
    fn step(&mut self, progress: u64) {
        let consumed_us = self.sched_context.consumed_us().expect("consumed");
        say!("step {}: {progress} counted in {consumed_us} us", self.step);
        let running = (4_500..=5_100).contains(&consumed_us) && progress > 1000;
        let stopped = consumed_us <= 20 && progress == 0;
        match self.step {
            0 => assert!(progress > 0, "the spinner runs at all"),
            1 => {
                assert!(running);
                assert_eq!(self.tcb.suspend(), Ok(()));
            }
            2 => {
                assert!(stopped, "after suspend");
                let registers = self.tcb.read_registers(false).expect("registers");
                assert!((ENTRY..ENTRY + 0x10_0000).contains(&registers.pc), "pc {:#x}", registers.pc);
                assert!((0x3f_fff0_0000..=0x3f_ffff_d000).contains(&registers.sp), "sp {:#x}", registers.sp);
                // Writing back what was read changes nothing.
                assert_eq!(self.tcb.write_registers(&registers, 32, false), Ok(()));
                assert_eq!(self.tcb.read_registers(false), Ok(registers));
            }
            3 => {
                assert!(stopped, "after the registers were written without resuming");
                assert_eq!(self.tcb.resume(), Ok(()));
            }
            4 => {
                assert!(running, "after resume");
                assert_eq!(self.sched_context.unbind(), Ok(()));
            }
            5 => {
                assert!(stopped, "without scheduling context");
                assert_eq!(self.sched_context.bind(self.tcb), Ok(()));
                assert_eq!(self.sched_context.bind(self.tcb), Err(InvocationError::IllegalOperation));
            }
            6 => {
                assert!(running, "with its scheduling context again");
                assert!(SchedContext::from_slot(63).consumed_us().is_err(), "a thread is no context");
                assert!(Tcb::from_slot(1).suspend().is_err(), "a context is no thread");
            }
            _ => {
                assert!(running, "after refused invocations");
                verdict::pass();
            }
        }
    }
}

impl Handler for Judge {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        assert!(channels.iter().eq([IRQ]));
        self.alarm.clear();
        assert_eq!(IRQ.irq_ack(), Ok(()));
        let count = shared()[1].load(Ordering::Relaxed);
        self.step(count - self.count);
        self.count = shared()[1].load(Ordering::Relaxed);
        self.step += 1;
        self.alarm.arm(STEP_NS);
        Ok(())
    }
}
