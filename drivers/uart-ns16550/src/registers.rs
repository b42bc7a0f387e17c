//! The device's registers.
#![allow(missing_docs, clippy::modulo_one, reason = "the macros make such items")]

use tock_registers::fields::FieldValue;
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::registers::{Aliased, ReadOnly, ReadWrite};
use tock_registers::{LocalRegisterCopy, register_bitfields, register_structs};

register_bitfields! [u8,
    /// Which interrupts the device raises (section 8.6.7).
    pub InterruptEnable [
        RECEIVED OFFSET(0) NUMBITS(1) [],
        TRANSMIT_EMPTY OFFSET(1) NUMBITS(1) [],
        LINE_STATUS OFFSET(2) NUMBITS(1) []
    ],
    /// Written: the two queues (8.6.5).
    pub FifoControl [
        ENABLE OFFSET(0) NUMBITS(1) [],
        CLEAR_RECEIVED OFFSET(1) NUMBITS(1) [],
        CLEAR_TRANSMIT OFFSET(2) NUMBITS(1) [],
        TRIGGER OFFSET(6) NUMBITS(2) [
            OneByte = 0,
            FourBytes = 1,
            EightBytes = 2,
            FourteenBytes = 3
        ]
    ],
    /// Read: the most urgent interrupt (8.6.6).
    pub InterruptIdentification [
        NONE_PENDING OFFSET(0) NUMBITS(1) []
    ],
    /// Form of a character (8.6.1).
    pub LineControl [
        WORD_LENGTH OFFSET(0) NUMBITS(2) [
            EightBits = 3
        ],
        DIVISOR_ACCESS OFFSET(7) NUMBITS(1) []
    ],
    /// Lines to the other side (8.6.8).
    pub ModemControl [
        TERMINAL_READY OFFSET(0) NUMBITS(1) [],
        REQUEST_TO_SEND OFFSET(1) NUMBITS(1) [],
        // On many boards this output connects the interrupt line.
        OUT2 OFFSET(3) NUMBITS(1) []
    ],
    /// What happened on the line (8.6.3). Reading clears the four errors.
    pub LineStatus [
        DATA_READY OFFSET(0) NUMBITS(1) [],
        OVERRUN OFFSET(1) NUMBITS(1) [],
        PARITY OFFSET(2) NUMBITS(1) [],
        FRAMING OFFSET(3) NUMBITS(1) [],
        BREAK OFFSET(4) NUMBITS(1) [],
        TRANSMIT_EMPTY OFFSET(5) NUMBITS(1) []
    ]
];

register_structs! {
    /// The registers as they lie in memory, one byte each, with the divisor latch closed.
    pub Block {
        (0x0 => data: Aliased<u8>),
        (0x1 => interrupt_enable: ReadWrite<u8, InterruptEnable::Register>),
        (0x2 => identification_or_fifo: Aliased<u8, InterruptIdentification::Register, FifoControl::Register>),
        (0x3 => line_control: ReadWrite<u8, LineControl::Register>),
        (0x4 => modem_control: ReadWrite<u8, ModemControl::Register>),
        (0x5 => line_status: ReadOnly<u8, LineStatus::Register>),
        (0x6 => _modem_status: ReadOnly<u8>),
        (0x7 => _scratch: ReadWrite<u8>),
        (0x8 => @END),
    }
}

/// The accesses to registers that the driver makes; tests have a device of their own behind them.
pub trait Registers {
    /// Takes the oldest received byte.
    fn receive(&self) -> u8;
    /// Adds a byte to what is to be sent.
    fn transmit(&self, byte: u8);
    /// Reads the line's status, which clears its errors.
    fn line_status(&self) -> LocalRegisterCopy<u8, LineStatus::Register>;
    /// Reads which interrupt is pending, which clears that of an empty transmitter.
    fn identification(&self) -> LocalRegisterCopy<u8, InterruptIdentification::Register>;
    /// Chooses the interrupts that the device raises.
    fn set_interrupts(&self, value: FieldValue<u8, InterruptEnable::Register>);
    /// Sets the two queues up.
    fn set_fifo(&self, value: FieldValue<u8, FifoControl::Register>);
    /// Sets the form of a character.
    fn set_line(&self, value: FieldValue<u8, LineControl::Register>);
    /// Sets the lines to the other side.
    fn set_modem(&self, value: FieldValue<u8, ModemControl::Register>);
    /// Sets the divisor of the line's clock (8.3); the form of a character becomes that of a reset, five bits.
    fn set_divisor(&self, divisor: u16);
}

impl Registers for &Block {
    fn receive(&self) -> u8 {
        self.data.get()
    }

    fn transmit(&self, byte: u8) {
        self.data.set(byte);
    }

    fn line_status(&self) -> LocalRegisterCopy<u8, LineStatus::Register> {
        self.line_status.extract()
    }

    fn identification(&self) -> LocalRegisterCopy<u8, InterruptIdentification::Register> {
        self.identification_or_fifo.extract()
    }

    fn set_interrupts(&self, value: FieldValue<u8, InterruptEnable::Register>) {
        self.interrupt_enable.write(value);
    }

    fn set_fifo(&self, value: FieldValue<u8, FifoControl::Register>) {
        self.identification_or_fifo.write(value);
    }

    fn set_line(&self, value: FieldValue<u8, LineControl::Register>) {
        self.line_control.write(value);
    }

    fn set_modem(&self, value: FieldValue<u8, ModemControl::Register>) {
        self.modem_control.write(value);
    }

    fn set_divisor(&self, divisor: u16) {
        let [low, high] = divisor.to_le_bytes();
        self.line_control.write(LineControl::DIVISOR_ACCESS::SET);
        // With the latch open, the first two registers are the divisor.
        self.data.set(low);
        self.interrupt_enable.set(high);
        self.line_control.write(LineControl::DIVISOR_ACCESS::CLEAR);
    }
}
