//! Reads what is typed by the UART's receive interrupt, a byte or more at a time, until a line is complete.
#![no_std]
#![no_main]

use core::ptr::NonNull;

use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, memory_region_symbol, protection_domain};
use test_pds::{say, verdict};

const IRQ: Channel = Channel::new(10);
const RECEIVE: usize = 0;
const INTERRUPT_ENABLE: usize = 1;
const LINE_STATUS: usize = 5;
const RECEIVED_DATA: u8 = 1;

struct Judge {
    registers: NonNull<u8>,
    line: [u8; 256],
    length: usize,
}

#[protection_domain]
fn init() -> impl Handler {
    verdict::become_judge();
    let registers = memory_region_symbol!(device: *mut u8);
    // SAFETY: the register exists; the value enables the interrupt of received data alone.
    unsafe { registers.add(INTERRUPT_ENABLE).write_volatile(RECEIVED_DATA) };
    say!("ready");
    Judge { registers, line: [0; 256], length: 0 }
}

impl Handler for Judge {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        assert!(channels.iter().eq([IRQ]));
        // SAFETY: both registers exist, and the receive register is read only when it holds a byte.
        while unsafe { self.registers.add(LINE_STATUS).read_volatile() } & RECEIVED_DATA != 0 {
            // SAFETY: as above.
            let byte = unsafe { self.registers.add(RECEIVE).read_volatile() };
            if byte == b'\n' {
                say!("typed: {:?}", core::str::from_utf8(&self.line[..self.length]));
                verdict::pass();
            }
            self.line[self.length] = byte;
            self.length += 1;
        }
        assert_eq!(IRQ.irq_ack(), Ok(()));
        Ok(())
    }
}
