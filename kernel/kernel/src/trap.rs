//! Entry from user mode and return to it.
//!
//! While a thread runs, `sscratch` holds the address of its frame; in the kernel it holds 0, so that an exception of the
//! kernel itself is told from one of a thread by the stack pointer that the entry gets.
//!
//! Only the registers that Rust functions may change are saved on entry. The others (s0..s11, gp, tp) stay where they
//! are: Rust gives them back as it found them, and they are saved when the kernel leaves to another thread. The debug
//! configuration saves all at once, because the report of a fault shows them.

use core::arch::global_asm;
use kernel_core::{Frame, number};

/// Where to leave the kernel to.
#[repr(C)]
pub struct Resume {
    /// The registers to load.
    pub frame: *mut Frame,
    /// The address space to switch to; 0 if the same thread goes on that entered.
    pub satp: u64,
}

global_asm!(
    "
    .macro at_callee_saved op, base
        \\op     gp, 3*8(\\base)
        \\op     tp, 4*8(\\base)
        \\op     s0, 8*8(\\base)
        \\op     s1, 9*8(\\base)
        \\op     s2, 18*8(\\base)
        \\op     s3, 19*8(\\base)
        \\op     s4, 20*8(\\base)
        \\op     s5, 21*8(\\base)
        \\op     s6, 22*8(\\base)
        \\op     s7, 23*8(\\base)
        \\op     s8, 24*8(\\base)
        \\op     s9, 25*8(\\base)
        \\op     s10, 26*8(\\base)
        \\op     s11, 27*8(\\base)
    .endm

    .section .text.trap, \"ax\"
    .balign 64
    .globl kernel_trap
    kernel_trap:
        csrrw   sp, sscratch, sp
        beqz    sp, 9f
        sd      ra, 1*8(sp)
        sd      t0, 5*8(sp)
        csrrw   t0, sscratch, zero
        sd      t0, 2*8(sp)
        sd      t1, 6*8(sp)
        sd      t2, 7*8(sp)
        sd      a0, 10*8(sp)
        sd      a1, 11*8(sp)
        sd      a2, 12*8(sp)
        sd      a3, 13*8(sp)
        sd      a4, 14*8(sp)
        sd      a5, 15*8(sp)
        sd      a6, 16*8(sp)
        sd      a7, 17*8(sp)
        sd      t3, 28*8(sp)
        sd      t4, 29*8(sp)
        sd      t5, 30*8(sp)
        sd      t6, 31*8(sp)
    .if {save_all}
        at_callee_saved sd, sp
    .endif
        csrr    t1, sepc
        csrr    t0, scause
        li      t2, 8
        bne     t0, t2, 1f

        // A system call: go on behind it. The arguments are still in their registers.
        addi    t1, t1, 4
        sd      t1, 0(sp)
        lla     t2, kernel_stack_top - 16
        sd      sp, 0(t2)
        mv      sp, t2
        lla     ra, 2f
        li      t0, {call}
        beq     a7, t0, 5f
        li      t0, {reply_receive}
        beq     a7, t0, 6f
        li      t0, {send}
        beq     a7, t0, 7f
        li      t0, {receive}
        beq     a7, t0, 8f
        tail    kernel_syscall
    5:  tail    kernel_call
    6:  tail    kernel_reply_receive
    7:  tail    kernel_send
    8:  tail    kernel_receive

    2:  beqz    a1, 4f
        // Leave to another thread. What the kernel's table maps is the same in all, so nothing happens to the kernel.
        ld      t2, 0(sp)
    .if {save_all} == 0
        at_callee_saved sd, t2
    .endif
        csrw    satp, a1
        sfence.vma
        at_callee_saved ld, a0
    4:  csrw    sscratch, a0
        ld      t0, 0(a0)
        csrw    sepc, t0
        ld      ra, 1*8(a0)
        ld      sp, 2*8(a0)
        ld      t0, 5*8(a0)
        ld      t1, 6*8(a0)
        ld      t2, 7*8(a0)
        ld      a1, 11*8(a0)
        ld      a2, 12*8(a0)
        ld      a3, 13*8(a0)
        ld      a4, 14*8(a0)
        ld      a5, 15*8(a0)
        ld      a6, 16*8(a0)
        ld      a7, 17*8(a0)
        ld      t3, 28*8(a0)
        ld      t4, 29*8(a0)
        ld      t5, 30*8(a0)
        ld      t6, 31*8(a0)
        ld      a0, 10*8(a0)
        sret

        // An exception or an interrupt.
    1:  sd      t1, 0(sp)
        mv      a0, t0
        csrr    a1, stval
        lla     t2, kernel_stack_top - 16
        sd      sp, 0(t2)
        mv      sp, t2
        lla     ra, 2b
        bltz    a0, 5f
        tail    kernel_exception
    5:  tail    kernel_interrupt

        // The kernel's own exception. What it was doing is lost; its stack may be, too.
    9:  csrr    a0, scause
        csrr    a1, sepc
        csrr    a2, stval
        lla     sp, kernel_stack_top
        call    kernel_broken

    // The first departure to user mode: a0 = frame, a1 = satp, a2 = a frame that nobody needs.
    .globl kernel_depart
    kernel_depart:
        lla     sp, kernel_stack_top - 16
        sd      a2, 0(sp)
        j       2b
    ",
    save_all = const cfg!(feature = "debug") as u8,
    call = const number::CALL,
    reply_receive = const number::REPLY_RECV,
    send = const number::SEND,
    receive = const number::RECV,
);

unsafe extern "C" {
    /// Leaves the kernel for the first time.
    pub fn kernel_depart(frame: *mut Frame, satp: u64, unused: *mut Frame) -> !;
}
