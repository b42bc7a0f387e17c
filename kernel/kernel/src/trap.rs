//! Entry from user mode and return to it.
//!
//! While a thread runs, `sscratch` holds the address of its frame; in the kernel it holds 0, so that an exception of the
//! kernel itself is told from one of a thread by the stack pointer that the entry gets.
//!
//! Only the registers that Rust functions may change are saved on entry. The others (s0..s11, gp, tp) stay where they
//! are: Rust gives them back as it found them, and they are saved when the kernel leaves to another thread. The debug
//! configuration saves all at once, because the report of a fault shows them.

use core::arch::global_asm;
use core::mem::offset_of;
use kernel_core::{Pd, number};

/// Where to leave the kernel to.
#[repr(C)]
pub struct Resume {
    /// The thread to run: its registers lie at the start of its PD.
    pub pd: *mut (),
    /// The thread that entered, if it is not the same; otherwise null.
    pub before: *mut (),
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

    // To the thread whose registers lie at a0, and whose program counter is in t0.
    .macro return_to_user
        csrw    sscratch, a0
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
    .endm

    // Leaves the kernel as the `Resume` in a0 and a1 says. The frequent ways have a copy each, which saves a jump.
    .macro leave
        beqz    a1, .Lsame_thread\\@
        // To another thread. What the kernel's table maps is the same in all, so nothing happens to the kernel.
        ld      t0, {satp}(a0)
    .if {save_all} == 0
        at_callee_saved sd, a1
    .endif
        csrw    satp, t0
        sfence.vma
        at_callee_saved ld, a0
        ld      t0, 0(a0)
        // One thread's load reservation is not to let another's store-conditional succeed. Should this one succeed, it
        // writes what is there.
        sc.d    zero, t0, (a0)
        return_to_user
    .Lsame_thread\\@:
        ld      t0, 0(a0)
        return_to_user
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
        bne     t0, t2, 8f

        // A system call: go on behind it. The arguments are still in their registers.
        addi    t1, t1, 4
        sd      t1, 0(sp)
        lla     sp, kernel_stack_top
        li      t0, {reply_receive}
        bgtu    a7, t0, 1f
        beq     a7, t0, 3f
        li      t0, {send}
        beq     a7, t0, 5f
        li      t0, {receive}
        beq     a7, t0, 6f
        call    kernel_syscall
        j       2f
    6:  jal     kernel_receive
        leave
    5:  jal     kernel_send
        leave
    3:  jal     kernel_reply_receive
        leave
    1:  jal     kernel_call
    2:  leave

        // An exception or an interrupt.
    8:  sd      t1, 0(sp)
        mv      a0, t0
        csrr    a1, stval
        lla     sp, kernel_stack_top
        bltz    a0, 7f
        jal     kernel_exception
        leave
    7:  jal     kernel_interrupt
        leave

        // The kernel's own exception. What it was doing is lost; its stack may be, too.
    9:  csrr    a0, scause
        csrr    a1, sepc
        csrr    a2, stval
        lla     sp, kernel_stack_top
        call    kernel_broken

    // The first departure to user mode; the stack is given up.
    .globl kernel_depart
    kernel_depart:
        j       2b
    ",
    save_all = const cfg!(feature = "debug") as u8,
    satp = const offset_of!(Pd, satp),
    reply_receive = const number::REPLY_RECV,
    send = const number::SEND,
    receive = const number::RECV,
);

// The entry tells calls from the rest by that: no number lies between.
const _: () = assert!(number::CALL == -1 && number::REPLY_RECV == -2);

unsafe extern "C" {
    /// Leaves the kernel for the first time.
    pub fn kernel_depart(resume: Resume) -> !;
}
