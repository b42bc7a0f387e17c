//! The card's page in PCI configuration space (PCI Local Bus Specification 3.0, section 6).
#![allow(missing_docs, clippy::modulo_one, reason = "the macros make such items")]

use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::registers::{ReadOnly, ReadWrite};
use tock_registers::{register_bitfields, register_structs};

register_bitfields! [u32,
    /// Who made the card, and what it is (6.2.1).
    pub Identity [
        VENDOR OFFSET(0) NUMBITS(16) [
            RedHat = 0x1b36
        ],
        DEVICE OFFSET(16) NUMBITS(16) [
            SerialCard = 0x0002
        ]
    ],
    /// What the card may do (6.2.2).
    pub Command [
        IO_SPACE OFFSET(0) NUMBITS(1) []
    ]
];

register_structs! {
    /// The start of the page.
    pub Block {
        (0x00 => identity: ReadOnly<u32, Identity::Register>),
        (0x04 => command: ReadWrite<u32, Command::Register>),
        (0x08 => _class),
        (0x10 => base_address: ReadWrite<u32>),
        (0x14 => @END),
    }
}

/// The accesses that the driver makes; tests have a page of their own behind them.
pub trait Config {
    /// The first word: vendor and device; all ones if there is no card.
    fn identity(&self) -> u32;
    /// Sets where the card's registers begin in I/O space.
    fn set_base(&self, port: u32);
    /// Lets the card answer there.
    fn enable_io(&self);
}

impl Config for &Block {
    fn identity(&self) -> u32 {
        self.identity.get()
    }

    fn set_base(&self, port: u32) {
        self.base_address.set(port);
    }

    fn enable_io(&self) {
        self.command.write(Command::IO_SPACE::SET);
    }
}

/// Makes the card's registers appear at this physical address. False if there is no such card.
///
/// I/O space has 64 KiB and lies at a multiple of its size, so the port is the address's low half.
pub fn set_up(config: &impl Config, registers_paddr: u64) -> bool {
    let card = Identity::VENDOR::RedHat + Identity::DEVICE::SerialCard;
    if config.identity() != card.value {
        return false;
    }
    config.set_base(registers_paddr as u32 & 0xffff);
    config.enable_io();
    true
}
