//! Not a protection domain: what the firmware boots in place of a kernel, to say how many instructions the firmware took.
//!
//! It runs in supervisor mode without translation, wherever it was loaded. It prints through the firmware and ends the
//! machine through the exit device.
#![no_std]
#![no_main]

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

core::arch::global_asm!(
    r#"
    .section .text.start, "ax", @progbits
    .globl _start
_start:
    rdinstret s0
    lla     s1, 4f
    li      a7, 1                   # console putchar of the firmware's legacy interface
1:  lbu     a0, 0(s1)
    beqz    a0, 2f
    ecall
    addi    s1, s1, 1
    j       1b
2:  li      s2, 60                  # sixteen digits, the highest first
3:  srl     a0, s0, s2
    andi    a0, a0, 15
    addi    a0, a0, '0'
    addi    t0, a0, -('9' + 1)
    bltz    t0, 5f
    addi    a0, a0, 'a' - '9' - 1
5:  ecall
    addi    s2, s2, -4
    bgez    s2, 3b
    li      a0, 10
    ecall
6:  li      t0, 0x100000
    li      t1, 42 << 16 | 0x3333
    sw      t1, 0(t0)
    j       6b
4:  .asciz  "firmware instructions 0x"
"#
);
