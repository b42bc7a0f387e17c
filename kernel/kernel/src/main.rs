//! The built-in kernel: the machine layer of [`kernel_core`] for RISC-V with Sv39, a PLIC and an SBI firmware.
//!
//! All that is unsafe lives here: the way in from the firmware ([`start`]), the way in and out of user mode ([`trap`]),
//! control registers ([`hart`], [`fpu`]), the interrupt controller ([`plic`]), and the one static kernel ([`machine`]).
#![no_std]
#![no_main]

mod fpu;
mod hart;
mod machine;
mod plic;
#[cfg(feature = "debug")]
mod report;
mod start;
mod trap;

use core::panic::PanicInfo;

/// A bug in the kernel: no message of a PD leads here.
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    #[cfg(feature = "debug")]
    {
        use core::fmt::Write;
        // Writing to the firmware's console cannot fail.
        let _ = writeln!(hart::Console, "kernel: {info}");
    }
    let _ = info;
    hart::Hart::power_off()
}
