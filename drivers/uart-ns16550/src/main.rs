//! Wires the driver into its protection domain: the device's registers (`uart`), its interrupt (`uart_irq`, 0 unless the
//! system description sets it) and the link `console`.
#![no_std]
#![no_main]

use protocols::uart::{PROTOCOL, Received, Transmit, VERSION};
use ring::ChannelNotifier;
use sel4_microkit::{
    Channel, ChannelSet, DeferredAction, DeferredActionSlot, Handler, Infallible, memory_region_symbol,
    protection_domain, var,
};
use uart_ns16550::driver::Driver;
use uart_ns16550::registers::Block;
use uart_ns16550::uart::Uart;

struct Wired {
    driver: Driver<&'static Block, ChannelNotifier>,
    interrupt: Channel,
    deferred: DeferredActionSlot,
}

#[protection_domain]
fn init() -> impl Handler {
    let client = ring::link!(console: Received, Transmit, PROTOCOL, VERSION, required);
    let client = client.unwrap_or_else(|error| panic!("the link `console`: {error}"));
    // SAFETY: the composer maps the device's registers there, uncached, for this program alone and for as long as it runs.
    let registers: &'static Block = unsafe { memory_region_symbol!(uart: *mut Block).as_ref() };
    let mut driver = Driver::new(Uart::new(registers), client);
    driver.turn();
    Wired { driver, interrupt: Channel::new(*var!(uart_irq: usize = 0)), deferred: DeferredActionSlot::new() }
}

impl Handler for Wired {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        if channels.contains(self.interrupt) {
            self.driver.interrupt();
            self.deferred.defer_irq_ack(self.interrupt).expect("an interrupt can be acknowledged");
        }
        if channels.iter().any(|channel| channel != self.interrupt) {
            self.driver.notified();
        }
        Ok(())
    }

    fn take_deferred_action(&mut self) -> Option<DeferredAction> {
        self.deferred.take()
    }
}
