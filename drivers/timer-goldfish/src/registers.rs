//! The device's registers.
#![allow(missing_docs, clippy::modulo_one, reason = "the macros make such items")]

use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::registers::{ReadOnly, ReadWrite, WriteOnly};
use tock_registers::{register_bitfields, register_structs};

register_bitfields! [u32,
    pub InterruptEnable [
        ALARM OFFSET(0) NUMBITS(1) []
    ],
    pub Clear [
        NOW OFFSET(0) NUMBITS(1) []
    ]
];

register_structs! {
    /// The registers as they lie in memory.
    pub Block {
        /// Reading it latches the upper half.
        (0x00 => time_low: ReadOnly<u32>),
        (0x04 => time_high: ReadOnly<u32>),
        /// Writing it sets the alarm, with the upper half that was written before.
        (0x08 => alarm_low: WriteOnly<u32>),
        (0x0c => alarm_high: WriteOnly<u32>),
        (0x10 => interrupt_enable: ReadWrite<u32, InterruptEnable::Register>),
        (0x14 => clear_alarm: WriteOnly<u32, Clear::Register>),
        (0x18 => _alarm_status: ReadOnly<u32>),
        (0x1c => clear_interrupt: WriteOnly<u32, Clear::Register>),
        (0x20 => @END),
    }
}

/// The accesses to registers that the driver makes; tests have a device of their own behind them.
pub trait Registers {
    /// Reads the lower half of the time and latches the upper one.
    fn time_low(&self) -> u32;
    /// Reads the upper half as latched.
    fn time_high(&self) -> u32;
    /// Writes the upper half of the alarm, which has no effect yet.
    fn set_alarm_high(&self, value: u32);
    /// Writes the lower half, and sets the alarm.
    fn set_alarm_low(&self, value: u32);
    /// Lets alarms raise the interrupt.
    fn enable_interrupt(&self);
    /// Takes the alarm back.
    fn clear_alarm(&self);
    /// Takes the interrupt back.
    fn clear_interrupt(&self);
}

impl Registers for &Block {
    fn time_low(&self) -> u32 {
        self.time_low.get()
    }

    fn time_high(&self) -> u32 {
        self.time_high.get()
    }

    fn set_alarm_high(&self, value: u32) {
        self.alarm_high.set(value);
    }

    fn set_alarm_low(&self, value: u32) {
        self.alarm_low.set(value);
    }

    fn enable_interrupt(&self) {
        self.interrupt_enable.write(InterruptEnable::ALARM::SET);
    }

    fn clear_alarm(&self) {
        self.clear_alarm.write(Clear::NOW::SET);
    }

    fn clear_interrupt(&self) {
        self.clear_interrupt.write(Clear::NOW::SET);
    }
}
