//! The card: a 16550 whose line the test holds, and its page in configuration space.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use tock_registers::LocalRegisterCopy;
use tock_registers::fields::FieldValue;
use uart_ns16550::registers::{
    FifoControl, InterruptEnable, InterruptIdentification, LineControl, LineStatus, ModemControl, Registers,
};

use crate::pci::{Config, set_up};

/// Both directions of the line.
#[derive(Clone, Default)]
pub struct Card(pub Rc<Lines>);

#[derive(Default)]
pub struct Lines {
    pub to_driver: RefCell<VecDeque<u8>>,
    pub from_driver: RefCell<Vec<u8>>,
    pub enabled: Cell<u8>,
    pub divisor: Cell<u16>,
}

impl Registers for Card {
    fn receive(&self) -> u8 {
        self.0.to_driver.borrow_mut().pop_front().expect("there is a byte")
    }

    fn transmit(&self, byte: u8) {
        self.0.from_driver.borrow_mut().push(byte);
    }

    fn line_status(&self) -> LocalRegisterCopy<u8, LineStatus::Register> {
        let ready = LineStatus::DATA_READY.val(u8::from(!self.0.to_driver.borrow().is_empty()));
        LocalRegisterCopy::new((ready + LineStatus::TRANSMIT_EMPTY::SET).value)
    }

    fn identification(&self) -> LocalRegisterCopy<u8, InterruptIdentification::Register> {
        LocalRegisterCopy::new(u8::from(self.0.to_driver.borrow().is_empty()))
    }

    fn set_interrupts(&self, value: FieldValue<u8, InterruptEnable::Register>) {
        self.0.enabled.set(value.value);
    }

    fn set_fifo(&self, _: FieldValue<u8, FifoControl::Register>) {}

    fn set_line(&self, _: FieldValue<u8, LineControl::Register>) {}

    fn set_modem(&self, _: FieldValue<u8, ModemControl::Register>) {}

    fn set_divisor(&self, divisor: u16) {
        self.0.divisor.set(divisor);
    }
}

struct Page {
    identity: u32,
    base: Cell<u32>,
    enabled: Cell<bool>,
}

impl Config for Page {
    fn identity(&self) -> u32 {
        self.identity
    }

    fn set_base(&self, port: u32) {
        self.base.set(port);
    }

    fn enable_io(&self) {
        assert_ne!(self.base.get(), 0, "first the address");
        self.enabled.set(true);
    }
}

#[test]
fn the_card_is_told_its_place_and_another_is_left_alone() {
    for (identity, found) in [(0x0002_1b36, true), (u32::MAX, false), (0x0001_1b36, false), (0x0002_8086, false)] {
        let page = Page { identity, base: Cell::new(0), enabled: Cell::new(false) };
        assert_eq!(set_up(&page, 0x300_1000), found);
        assert_eq!((page.base.get(), page.enabled.get()), (if found { 0x1000 } else { 0 }, found));
    }
}
