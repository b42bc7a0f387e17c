//! The serial line (OpenTitan's UART as QEMU's `hw/char/ibex_uart.c` has it), and its interrupt to sleep by.
#![allow(missing_docs, reason = "the macros make such items")]

use core::arch::asm;
use core::ptr::NonNull;

use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::registers::{ReadOnly, ReadWrite, WriteOnly};
use tock_registers::{register_bitfields, register_structs};

const UART: usize = 0x4000_0000;
const PLIC: usize = 0x4800_0000;
/// Where the interrupt controller's registers of this processor begin, relative to it.
const PLIC_ENABLE: usize = 0x2000;
const PLIC_THRESHOLD: usize = 0x20_0000;
const PLIC_CLAIM: usize = 0x20_0004;
/// The UART's "bytes have arrived".
const SOURCE: u32 = 2;
/// The bit of external interrupts in the register `mie`.
const EXTERNAL: usize = 1 << 11;

register_bitfields! [u32,
    Interrupt [
        RECEIVED OFFSET(1) NUMBITS(1) []
    ],
    Control [
        TRANSMIT OFFSET(0) NUMBITS(1) [],
        RECEIVE OFFSET(1) NUMBITS(1) [],
        RATE OFFSET(16) NUMBITS(16) []
    ],
    Status [
        TRANSMIT_FULL OFFSET(0) NUMBITS(1) [],
        RECEIVE_EMPTY OFFSET(5) NUMBITS(1) []
    ]
];

register_structs! {
    Block {
        (0x00 => interrupt_state: ReadWrite<u32, Interrupt::Register>),
        (0x04 => interrupt_enable: ReadWrite<u32, Interrupt::Register>),
        (0x08 => _interrupt_test),
        (0x10 => control: ReadWrite<u32, Control::Register>),
        (0x14 => status: ReadOnly<u32, Status::Register>),
        (0x18 => received: ReadOnly<u32>),
        (0x1c => transmit: WriteOnly<u32>),
        (0x20 => @END),
    }
}

/// The UART.
pub struct Uart {
    registers: &'static Block,
}

fn plic_write(offset: usize, value: u32) {
    // SAFETY: the interrupt controller's registers lie there on this machine, and nobody else uses them.
    unsafe { core::ptr::with_exposed_provenance_mut::<u32>(PLIC + offset).write_volatile(value) }
}

fn plic_read(offset: usize) -> u32 {
    // SAFETY: as in `plic_write`.
    unsafe { core::ptr::with_exposed_provenance::<u32>(PLIC + offset).read_volatile() }
}

impl Uart {
    /// Turns the line on, and the interrupt that ends a sleep.
    pub fn new() -> Self {
        let block = NonNull::new(core::ptr::with_exposed_provenance_mut::<Block>(UART));
        // SAFETY: the UART's registers lie there on this machine for ever, and this is the only use of them.
        let registers = unsafe { block.expect("not null").as_ref() };
        // The fastest that the register can say.
        registers.control.write(Control::TRANSMIT::SET + Control::RECEIVE::SET + Control::RATE.val(0xffff));
        registers.interrupt_enable.write(Interrupt::RECEIVED::SET);
        // This machine counts the priorities' registers from source 1, so one more is written to be sure.
        for source in 0..=SOURCE as usize {
            plic_write(4 * source, 1);
        }
        plic_write(PLIC_ENABLE, 1 << SOURCE);
        plic_write(PLIC_THRESHOLD, 0);
        // SAFETY: interrupts stay off as a whole (`mstatus`); this only lets one end a `wfi`.
        unsafe { asm!("csrs mie, {}", in(reg) EXTERNAL, options(nomem, nostack)) };
        Self { registers }
    }

    /// Waits for a byte.
    pub fn receive(&self) -> u8 {
        let empty = || self.registers.status.is_set(Status::RECEIVE_EMPTY);
        while empty() {
            // What arrives between this and the sleep raises the interrupt again.
            self.registers.interrupt_state.write(Interrupt::RECEIVED::SET);
            if empty() {
                // SAFETY: sleeping until an interrupt changes nothing.
                unsafe { asm!("wfi", options(nomem, nostack)) };
            }
            let source = plic_read(PLIC_CLAIM);
            if source != 0 {
                plic_write(PLIC_CLAIM, source);
            }
        }
        self.registers.received.get() as u8
    }

    /// Sends a byte, and waits for the line if that is slower.
    pub fn transmit(&self, byte: u8) {
        while self.registers.status.is_set(Status::TRANSMIT_FULL) {}
        self.registers.transmit.set(u32::from(byte));
    }
}
