//! How a test ends: a line on the UART and the machine's exit code.

use core::panic::PanicInfo;

use crate::say;

/// The machine's exit code when the test passed; 0 is also what a power-off by accident gives.
pub const PASS_CODE: u32 = 42;
/// The machine's exit code when the test failed.
pub const FAIL_CODE: u32 = 1;

/// Makes this protection domain the judge: from now on its panics are the test's failure.
pub fn become_judge() {
    sel4_microkit::panicking::set_hook(&failed);
}

fn failed(info: &PanicInfo) {
    say!("FAIL: {info}");
    exit(FAIL_CODE)
}

/// Ends the test well.
pub fn pass() -> ! {
    say!("PASS");
    exit(PASS_CODE)
}

/// Ends the machine with an exit code, through the device mapped at the symbol `exit`.
pub fn exit(code: u32) -> ! {
    const FAIL_COMMAND: u32 = 0x3333;
    let device = sel4_microkit::memory_region_symbol!(exit: *mut u32);
    // SAFETY: the region `exit` is the device's one register, and writing it ends the machine.
    unsafe { device.write_volatile(code << 16 | FAIL_COMMAND) };
    loop {
        core::hint::spin_loop();
    }
}
