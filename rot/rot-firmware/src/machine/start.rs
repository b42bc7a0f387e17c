//! From the reset vector to [`super::main`], and traps.

use core::arch::{asm, global_asm};

use rot_core::device::implementation_id;

// Interrupts stay off; those that are enabled only end a `wfi`. The one trap that is expected is the `ebreak` of a call to an
// emulator that does not answer such calls: it answers "failed".
global_asm!(
    r#"
    .section .text.start, "ax"
    .globl _start
_start:
    .option push
    .option norelax
    la      sp, __stack_top
    .option pop
    la      t0, trap
    csrw    mtvec, t0
    la      t0, __data_start
    la      t1, __data_end
    la      t2, __data_load
1:  bgeu    t0, t1, 2f
    lw      t3, 0(t2)
    sw      t3, 0(t0)
    addi    t0, t0, 4
    addi    t2, t2, 4
    j       1b
2:  la      t0, __bss_start
    la      t1, __bss_end
3:  bgeu    t0, t1, 4f
    sw      zero, 0(t0)
    addi    t0, t0, 4
    j       3b
4:  call    {main}

    .balign 256
trap:
    csrw    mscratch, t0
    csrr    t0, mcause
    addi    t0, t0, -3
    bnez    t0, {dead}
    csrr    t0, mepc
    addi    t0, t0, 4
    csrw    mepc, t0
    csrr    t0, mscratch
    li      a0, -1
    mret
    "#,
    main = sym rust_main,
    dead = sym halt,
);

extern "C" fn rust_main() -> ! {
    super::main()
}

/// Stops for good.
pub extern "C" fn halt() -> ! {
    loop {
        // SAFETY: no interrupt is enabled from here on, so the processor sleeps until the power goes.
        unsafe { asm!("csrw mie, zero", "wfi", options(nomem, nostack)) }
    }
}

/// SHA-256 of this program as it lies in the flash.
pub fn firmware_digest() -> [u8; 32] {
    unsafe extern "C" {
        static __firmware_start: u8;
        static __firmware_end: u8;
    }
    let (start, end) = (&raw const __firmware_start, &raw const __firmware_end);
    // SAFETY: the linker script puts these symbols around what lies in the flash, which nobody writes.
    let flash = unsafe { core::slice::from_raw_parts(start, end.addr() - start.addr()) };
    implementation_id(flash)
}
