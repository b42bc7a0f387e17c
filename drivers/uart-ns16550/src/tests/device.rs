//! A 16550 that behaves as its data sheet says, or, where a test wants it, as broken ones do.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use tock_registers::LocalRegisterCopy;
use tock_registers::fields::FieldValue;

use crate::registers::{
    FifoControl, InterruptEnable, InterruptIdentification, LineControl, LineStatus, ModemControl, Registers,
};

const FIFO: usize = 16;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The transmitter never becomes empty.
    NeverEmpty,
    /// A byte is always there.
    AlwaysReady,
}

#[derive(Default)]
pub struct State {
    /// Bytes in the receiver's queue.
    pub received: RefCell<VecDeque<u8>>,
    /// Bytes in the transmitter's queue.
    pub transmitting: RefCell<VecDeque<u8>>,
    /// Bytes that have left it.
    pub line: RefCell<Vec<u8>>,
    /// Errors that the next read of the status shows and clears.
    pub errors: Cell<u8>,
    pub enabled: Cell<u8>,
    empty_pending: Cell<bool>,
    pub fifo: Cell<u8>,
    pub line_control: Cell<u8>,
    pub modem: Cell<u8>,
    pub divisor: Cell<u16>,
    pub fault: Cell<Option<Fault>>,
    /// Accesses to registers since the test last asked.
    pub accesses: Cell<usize>,
}

/// The device. Clones are the same one.
#[derive(Clone, Default)]
pub struct Device(pub Rc<State>);

impl Device {
    /// A byte arrives on the line.
    pub fn arrive(&self, byte: u8) {
        if self.0.received.borrow().len() < FIFO {
            self.0.received.borrow_mut().push_back(byte);
        } else {
            self.error(LineStatus::OVERRUN::SET.value);
        }
    }

    /// Something is wrong on the line.
    pub fn error(&self, bits: u8) {
        self.0.errors.set(self.0.errors.get() | bits);
    }

    /// The line takes `count` bytes out of the transmitter.
    pub fn send(&self, count: usize) {
        let mut queue = self.0.transmitting.borrow_mut();
        if queue.is_empty() || self.0.fault.get() == Some(Fault::NeverEmpty) {
            return;
        }
        let count = count.min(queue.len());
        self.0.line.borrow_mut().extend(queue.drain(..count));
        self.0.empty_pending.set(queue.is_empty());
    }

    /// Whether the device pulls its interrupt line.
    pub fn interrupt(&self) -> bool {
        let on = |field: FieldValue<u8, InterruptEnable::Register>| self.0.enabled.get() & field.value != 0;
        (on(InterruptEnable::RECEIVED::SET) && self.status() & LineStatus::DATA_READY::SET.value != 0)
            || (on(InterruptEnable::LINE_STATUS::SET) && self.0.errors.get() != 0)
            || (on(InterruptEnable::TRANSMIT_EMPTY::SET) && self.0.empty_pending.get())
    }

    fn status(&self) -> u8 {
        let ready = !self.0.received.borrow().is_empty() || self.0.fault.get() == Some(Fault::AlwaysReady);
        let empty = self.0.transmitting.borrow().is_empty() && self.0.fault.get() != Some(Fault::NeverEmpty);
        (if ready { LineStatus::DATA_READY::SET.value } else { 0 })
            | (if empty { LineStatus::TRANSMIT_EMPTY::SET.value } else { 0 })
            | self.0.errors.get()
    }

    fn access(&self) {
        self.0.accesses.set(self.0.accesses.get() + 1);
    }
}

impl Registers for Device {
    fn receive(&self) -> u8 {
        self.access();
        let byte = self.0.received.borrow_mut().pop_front();
        byte.unwrap_or_else(|| {
            assert_eq!(self.0.fault.get(), Some(Fault::AlwaysReady), "read from an empty receiver");
            b'?'
        })
    }

    fn transmit(&self, byte: u8) {
        self.access();
        let mut queue = self.0.transmitting.borrow_mut();
        assert!(queue.len() < FIFO, "the transmitter overflows");
        queue.push_back(byte);
        self.0.empty_pending.set(false);
    }

    fn line_status(&self) -> LocalRegisterCopy<u8, LineStatus::Register> {
        self.access();
        let status = self.status();
        self.0.errors.set(0);
        LocalRegisterCopy::new(status)
    }

    fn identification(&self) -> LocalRegisterCopy<u8, InterruptIdentification::Register> {
        self.access();
        let pending = self.interrupt();
        self.0.empty_pending.set(false);
        LocalRegisterCopy::new(u8::from(!pending))
    }

    fn set_interrupts(&self, value: FieldValue<u8, InterruptEnable::Register>) {
        self.access();
        let empty = InterruptEnable::TRANSMIT_EMPTY::SET.value;
        if value.value & empty != 0 && self.0.enabled.get() & empty == 0 {
            self.0.empty_pending.set(self.status() & LineStatus::TRANSMIT_EMPTY::SET.value != 0);
        }
        self.0.enabled.set(value.value);
    }

    fn set_fifo(&self, value: FieldValue<u8, FifoControl::Register>) {
        if (self.0.fifo.replace(value.value) ^ value.value) & FifoControl::ENABLE::SET.value != 0 {
            self.0.received.borrow_mut().clear();
            self.0.transmitting.borrow_mut().clear();
        }
    }

    fn set_line(&self, value: FieldValue<u8, LineControl::Register>) {
        self.0.line_control.set(value.value);
    }

    fn set_modem(&self, value: FieldValue<u8, ModemControl::Register>) {
        self.0.modem.set(value.value);
    }

    fn set_divisor(&self, divisor: u16) {
        self.0.divisor.set(divisor);
        self.0.line_control.set(0);
    }
}
