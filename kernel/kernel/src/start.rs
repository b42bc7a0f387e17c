//! From the firmware's jump to the first Rust function: memory is moved and cleared, the MMU is turned on.

use core::arch::global_asm;
use core::mem::offset_of;
use kernel_layout::{BootBlock, CopyRange, KERNEL_VA_OFFSET, MAGIC, ZeroRange};

/// Filled by the composer; the type is the contract.
#[unsafe(link_section = ".data.boot_block")]
#[unsafe(export_name = "kernel_boot_block")]
pub static BOOT_BLOCK: BootBlock = BootBlock {
    magic: 0,
    satp: 0,
    boot_info_vaddr: 0,
    copies_paddr: 0,
    copies_count: 0,
    zeros_paddr: 0,
    zeros_count: 0,
};

global_asm!(
    "
    .section .text.start, \"ax\"
    .globl kernel_start
    kernel_start:
        lla     s0, kernel_boot_block
        ld      t0, {magic_offset}(s0)
        li      t1, {magic}
        bne     t0, t1, 8f

        // Copies, in their order.
        ld      s1, {copies_paddr}(s0)
        ld      s2, {copies_count}(s0)
    1:  beqz    s2, 3f
        ld      t0, {copy_source}(s1)
        ld      t1, {copy_destination}(s1)
        ld      t2, {copy_bytes}(s1)
        add     t2, t2, t0
    2:  bgeu    t0, t2, 4f
        ld      t3, 0(t0)
        sd      t3, 0(t1)
        addi    t0, t0, 8
        addi    t1, t1, 8
        j       2b
    4:  addi    s1, s1, {copy_size}
        addi    s2, s2, -1
        j       1b

        // Memory to clear; what is left of a multiple of 64 bytes at the end goes word by word.
    3:  ld      s1, {zeros_paddr}(s0)
        ld      s2, {zeros_count}(s0)
    5:  beqz    s2, 7f
        ld      t0, {zero_start}(s1)
        ld      t2, {zero_bytes}(s1)
        add     t2, t2, t0
        addi    t3, t2, -56
    6:  bgeu    t0, t3, 9f
        sd      zero, 0(t0)
        sd      zero, 8(t0)
        sd      zero, 16(t0)
        sd      zero, 24(t0)
        sd      zero, 32(t0)
        sd      zero, 40(t0)
        sd      zero, 48(t0)
        sd      zero, 56(t0)
        addi    t0, t0, 64
        j       6b
    9:  bgeu    t0, t2, 10f
        sd      zero, 0(t0)
        addi    t0, t0, 8
        j       9b
    10: addi    s1, s1, {zero_size}
        addi    s2, s2, -1
        j       5b

        // The jump into virtual memory: the next instruction is mapped there only, so fetching it faults to stvec.
    7:  fence.i
        lla     t0, 11f
        li      t1, {offset}
        add     t0, t0, t1
        csrw    stvec, t0
        ld      t2, {satp}(s0)
        sfence.vma
        csrw    satp, t2
        .balign 4
    11: lla     sp, kernel_stack_top
        csrw    sscratch, zero
        lla     t0, kernel_trap
        csrw    stvec, t0
        // Interrupts off, user memory out of reach, no reading of executable pages, floating point and vectors off, and
        // the first return goes to user mode.
        li      t0, 0xc6722
        csrc    sstatus, t0
        // User mode reads cycle, time and instret, and no other counter, whatever the firmware left.
        li      t0, 7
        csrw    scounteren, t0
        tail    kernel_main

        // No composer has been here: say so, whatever the configuration, and stop.
    8:  lla     s0, 12f
    13: lbu     a0, 0(s0)
        beqz    a0, 14f
        li      a7, 1
        ecall
        addi    s0, s0, 1
        j       13b
    14: wfi
        j       14b
    12: .asciz  \"kernel: no boot block, this kernel was not composed\\n\"
        .balign 4
    ",
    magic = const MAGIC,
    offset = const KERNEL_VA_OFFSET,
    magic_offset = const offset_of!(BootBlock, magic),
    satp = const offset_of!(BootBlock, satp),
    copies_paddr = const offset_of!(BootBlock, copies_paddr),
    copies_count = const offset_of!(BootBlock, copies_count),
    zeros_paddr = const offset_of!(BootBlock, zeros_paddr),
    zeros_count = const offset_of!(BootBlock, zeros_count),
    copy_source = const offset_of!(CopyRange, source),
    copy_destination = const offset_of!(CopyRange, destination),
    copy_bytes = const offset_of!(CopyRange, bytes),
    copy_size = const size_of::<CopyRange>(),
    zero_start = const offset_of!(ZeroRange, start),
    zero_bytes = const offset_of!(ZeroRange, bytes),
    zero_size = const size_of::<ZeroRange>(),
);
