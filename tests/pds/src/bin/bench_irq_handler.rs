//! Notes when the UART's interrupt arrives, and turns it off.
#![no_std]
#![no_main]

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use sel4_microkit::counters::rdinstret;
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, memory_region_symbol, protection_domain};
use test_pds::shared;

const IRQ: Channel = Channel::new(1);
const INTERRUPT_ENABLE: usize = 1;

struct Bench {
    registers: NonNull<u8>,
    reading: &'static AtomicU64,
}

#[protection_domain]
fn init() -> impl Handler {
    Bench { registers: memory_region_symbol!(device: *mut u8), reading: &shared()[0] }
}

impl Handler for Bench {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        let now = rdinstret();
        self.reading.store(now, Ordering::Relaxed);
        // SAFETY: the register exists; 0 disables every interrupt of the device.
        unsafe { self.registers.add(INTERRUPT_ENABLE).write_volatile(0) };
        assert_eq!(IRQ.irq_ack(), Ok(()));
        Ok(())
    }
}
