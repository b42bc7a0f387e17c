//! The start, the main loop, and the end.

mod flash;
mod semihosting;
mod start;
mod uart;

use core::panic::PanicInfo;

use rot_core::device::{Device, Start};
use rot_core::server::Server;
use rot_protocol::frame::MAX_REPLY_BYTES;

use flash::FileFlash;
use uart::Uart;

/// The word on the emulator's command line that stands for the provisioning strap.
const STRAP: &[u8] = b"provision";

/// Serves the line for ever. The stack is set up, memory is as the program expects it.
fn main() -> ! {
    let uart = Uart::new();
    let start = Start {
        strap: semihosting::has_argument(STRAP),
        entropy: semihosting::entropy(),
        implementation_id: start::firmware_digest(),
        version: [
            parse(env!("CARGO_PKG_VERSION_MAJOR")),
            parse(env!("CARGO_PKG_VERSION_MINOR")),
            parse(env!("CARGO_PKG_VERSION_PATCH")),
        ],
    };
    let mut server = Server::new(Device::new(FileFlash::open(start.strap), start));
    let mut line = [0; MAX_REPLY_BYTES];
    loop {
        let byte = uart.receive();
        if let Some(length) = server.receive(byte, &mut line) {
            line[..length].iter().for_each(|byte| uart.transmit(*byte));
        }
    }
}

/// A part of the version, which cargo gives as text.
const fn parse(text: &str) -> u8 {
    match u8::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => u8::MAX,
    }
}

/// Says so and stops: a root of trust in an unknown state answers nothing.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    semihosting::say(c"rot: panicked, stopped\n");
    start::halt()
}
