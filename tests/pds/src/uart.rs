//! A writer that waits for the UART, for protection domains that map it at the symbol `uart`.

use core::fmt::{self, Write};

const TRANSMIT: usize = 0;
const LINE_STATUS: usize = 5;
const TRANSMITTER_EMPTY: u8 = 1 << 5;

/// The UART, an ns16550 with registers of one byte.
pub struct Uart;

impl Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let base = sel4_microkit::memory_region_symbol!(uart: *mut u8);
        for byte in text.bytes() {
            // SAFETY: the region `uart` is the device's registers, of which these two exist; a reading has no effect on
            // the device, and a writing while the transmitter is empty sends one character.
            unsafe {
                while base.add(LINE_STATUS).read_volatile() & TRANSMITTER_EMPTY == 0 {}
                base.add(TRANSMIT).write_volatile(byte);
            }
        }
        Ok(())
    }
}

/// Prints a line on the UART.
pub fn print_line(line: fmt::Arguments) {
    // Writing to the UART does not fail.
    let _ = writeln!(Uart, "{line}");
}

/// Prints a line on the UART.
#[macro_export]
macro_rules! say {
    ($($arg:tt)*) => { $crate::uart::print_line(::core::format_args!($($arg)*)) };
}
