//! Entry, traps, and the loop that serves commands.

use core::arch::{asm, global_asm};

use npu::layout::{offset, state};

use crate::control::Control;
use crate::jobs::Jobs;
use crate::machine::Board;

global_asm!(
    r#"
    .section .text.start, "ax", @progbits
    .globl _start
    # Power-on and reset alike: nothing of what was before is used.
_start:
    csrci   mstatus, 8              # no interrupts
    csrw    mie, zero
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
    la      sp, __stack_top
    la      t0, __bss_start
    la      t1, __bss_end
1:  bgeu    t0, t1, 2f
    sd      zero, 0(t0)
    addi    t0, t0, 8
    j       1b
2:  la      t0, trap
    csrw    mtvec, t0
    la      t0, trap_saved
    csrw    mscratch, t0
    li      t0, 0x6600              # floating point and vectors on
    csrs    mstatus, t0
    csrw    fcsr, zero
    .option push
    .option arch, +v
    csrwi   vxrm, 0                 # vectors round to nearest, ties up
    .option pop
    call    begin

    # A doorbell rings while a job runs, or something crashed.
    .balign 4
trap:
    csrrw   t0, mscratch, t0
    sd      t1, 0(t0)
    sd      t2, 8(t0)
    csrr    t1, mcause
    bgez    t1, 3f
    la      t2, npu_board
    ld      t1, 64(t2)              # the claim register, the word behind the threshold
    lw      t0, 4(t1)
    beqz    t0, 4f                  # gone meanwhile
    ld      t1, 40(t2)
    li      t2, 1
    sw      t2, 0x64(t1)            # acknowledge the doorbell
    la      t2, npu_board
    ld      t1, 64(t2)
    sw      t0, 4(t1)
4:  la      t2, npu_board
    ld      t1, 16(t2)
    lw      t0, 0x80(t1)            # RESET
    lw      t1, 0x0c(t1)            # RESET_DONE
    bne     t0, t1, _start
    la      t0, trap_saved
    ld      t1, 0(t0)
    ld      t2, 8(t0)
    csrrw   t0, mscratch, t0
    mret
3:  csrr    a0, mcause
    csrr    a1, mepc
    csrr    a2, mtval
    la      sp, __stack_top
    call    crashed

    .section .bss.trap, "aw", @nobits
    .balign 8
trap_saved: .zero 16
"#
);

// The offsets that the handler uses.
const _: () = assert!(offset::RESET == 0x80 && offset::RESET_DONE == 0x0c);

/// Begins anew.
#[unsafe(no_mangle)]
extern "C" fn begin() -> ! {
    let board = Board::get();
    board.set_up();
    let control = Control::new(board.control);
    control.start((board.shared, board.shared_bytes));
    // A driver that asked for the reset waits for it.
    board.complete();
    let mut jobs = Jobs::new(board.shared, board.shared_bytes);
    loop {
        board.drain_doorbell();
        if control.reset_wanted() {
            restart();
        }
        if let Some(command) = control.take() {
            control.write(offset::STATE, state::BUSY);
            board.interrupts(true);
            let answer = jobs.run(&command, || control.beat());
            board.interrupts(false);
            control.answer(&answer);
            board.complete();
            continue;
        }
        control.write(offset::STATE, state::IDLE);
        board.wait(!control.joined());
    }
}

/// A trap that was no doorbell: says what it was, and waits for a reset.
#[unsafe(no_mangle)]
extern "C" fn crashed(cause: u64, pc: u64, value: u64) -> ! {
    let board = Board::get();
    board.interrupts(false);
    let control = Control::new(board.control);
    control.crashed(cause, pc, value);
    board.complete();
    loop {
        board.drain_doorbell();
        if control.reset_wanted() {
            restart();
        }
        board.wait(false);
    }
}

fn restart() -> ! {
    // SAFETY: the entry sets up everything it uses, so it can be entered from anywhere.
    unsafe { asm!("j _start", options(noreturn)) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // An illegal instruction, which is then reported like any crash.
    // SAFETY: it traps.
    unsafe { asm!("unimp", options(noreturn)) }
}
