//! System calls: one function each, with the message registers that travel in processor registers as values.
//!
//! Nothing here touches the IPC buffer; see [`crate::ipc_buffer`] for that. The kernel preserves every register that is
//! not an output, floating-point registers included.

use crate::abi::FAST_REGISTERS;

/// The message registers that travel in processor registers.
pub(crate) type FastRegisters = [u64; FAST_REGISTERS];

/// What a receiving system call delivers.
#[derive(Clone, Copy)]
pub(crate) struct Received {
    /// Who sent; bits of channels for a notification.
    pub(crate) badge: u64,
    /// The message word. Unchanged from the system call's input when `badge` is that of a notification.
    pub(crate) info: u64,
    /// The first message registers. Meaningless when `badge` is that of a notification.
    pub(crate) registers: FastRegisters,
}

#[cfg(target_os = "none")]
mod imp {
    use super::{FastRegisters, Received};
    use core::arch::asm;

    const SYS_CALL: i64 = -1;
    const SYS_REPLY_RECV: i64 = -2;
    const SYS_NB_SEND_RECV: i64 = -3;
    const SYS_SEND: i64 = -5;
    const SYS_RECV: i64 = -7;
    #[cfg(feature = "debug")]
    const SYS_DEBUG_PUT_CHAR: i64 = -12;

    /// Sends to `dest` and waits for the reply: (message word, message registers).
    #[inline(always)]
    pub(crate) fn call(dest: u64, info: u64, registers: FastRegisters) -> (u64, FastRegisters) {
        let [mut r0, mut r1, mut r2, mut r3] = registers;
        let mut reply = info;
        // SAFETY: the registers are those of the calling convention. What the kernel writes in memory is the IPC buffer,
        // which no reference covers during a system call, and memory that is shared anyway.
        unsafe {
            asm!("ecall", in("a7") SYS_CALL, inlateout("a0") dest => _, inlateout("a1") reply,
                inlateout("a2") r0, inlateout("a3") r1, inlateout("a4") r2, inlateout("a5") r3, options(nostack));
        }
        (reply, [r0, r1, r2, r3])
    }

    /// Sends to `dest` and blocks until it is received (endpoints and replies) or at once (notifications).
    #[inline(always)]
    pub(crate) fn send(dest: u64, info: u64, registers: FastRegisters) {
        let [r0, r1, r2, r3] = registers;
        // SAFETY: as for `call`; a send has no outputs, but the registers are not promised to survive it.
        unsafe {
            asm!("ecall", in("a7") SYS_SEND, inlateout("a0") dest => _, inlateout("a1") info => _,
                inlateout("a2") r0 => _, inlateout("a3") r1 => _, inlateout("a4") r2 => _, inlateout("a5") r3 => _,
                options(nostack));
        }
    }

    /// Sends an empty message to `dest`, as a signal is.
    #[inline(always)]
    pub(crate) fn signal(dest: u64) {
        // SAFETY: as for `send`. The message has no registers, so what a2..a5 hold is not looked at.
        unsafe {
            asm!("ecall", in("a7") SYS_SEND, inlateout("a0") dest => _, inlateout("a1") 0u64 => _,
                lateout("a2") _, lateout("a3") _, lateout("a4") _, lateout("a5") _, options(nostack));
        }
    }

    /// Waits for a message or notification at `source`.
    #[inline(always)]
    pub(crate) fn recv(source: u64, reply: u64) -> Received {
        let (badge, info, r0, r1, r2, r3);
        // SAFETY: as for `call`.
        unsafe {
            asm!("ecall", in("a7") SYS_RECV, in("a6") reply, inlateout("a0") source => badge, inlateout("a1") 0u64 => info,
                lateout("a2") r0, lateout("a3") r1, lateout("a4") r2, lateout("a5") r3, options(nostack));
        }
        Received { badge, info, registers: [r0, r1, r2, r3] }
    }

    /// Replies to whom `reply` stands for, then waits at `source`.
    #[inline(always)]
    pub(crate) fn reply_recv(source: u64, info: u64, registers: FastRegisters, reply: u64) -> Received {
        let [mut r0, mut r1, mut r2, mut r3] = registers;
        let (badge, received);
        // SAFETY: as for `call`.
        unsafe {
            asm!("ecall", in("a7") SYS_REPLY_RECV, in("a6") reply, inlateout("a0") source => badge,
                inlateout("a1") info => received,
                inlateout("a2") r0, inlateout("a3") r1, inlateout("a4") r2, inlateout("a5") r3, options(nostack));
        }
        Received { badge, info: received, registers: [r0, r1, r2, r3] }
    }

    /// Sends a message without registers to `dest` unless that would block, then waits at `source`.
    #[inline(always)]
    pub(crate) fn nb_send_recv(dest: u64, info: u64, source: u64, reply: u64) -> Received {
        let (badge, received, r0, r1, r2, r3);
        // SAFETY: as for `call`.
        unsafe {
            asm!("ecall", in("a7") SYS_NB_SEND_RECV, in("a6") reply, in("t0") dest, inlateout("a0") source => badge,
                inlateout("a1") info => received,
                lateout("a2") r0, lateout("a3") r1, lateout("a4") r2, lateout("a5") r3, options(nostack));
        }
        Received { badge, info: received, registers: [r0, r1, r2, r3] }
    }

    /// Writes a character to the kernel's console.
    #[cfg(feature = "debug")]
    pub(crate) fn debug_put_char(character: u8) {
        // SAFETY: the call takes a character and touches no memory of this protection domain.
        unsafe {
            asm!("ecall", in("a7") SYS_DEBUG_PUT_CHAR, inlateout("a0") u64::from(character) => _, lateout("a1") _,
                lateout("a2") _, lateout("a3") _, lateout("a4") _, lateout("a5") _, lateout("a6") _, options(nostack));
        }
    }
}

/// There is no kernel under a host program, so a system call there is a mistake in a test.
#[cfg(not(target_os = "none"))]
mod imp {
    use super::{FastRegisters, Received};

    fn no_kernel(name: &str) -> ! {
        panic!("the system call {name} needs a Microkit system; this is a host program")
    }

    pub(crate) fn call(_: u64, _: u64, _: FastRegisters) -> (u64, FastRegisters) {
        no_kernel("Call")
    }

    pub(crate) fn send(_: u64, _: u64, _: FastRegisters) {
        no_kernel("Send")
    }

    pub(crate) fn signal(_: u64) {
        no_kernel("Send")
    }

    pub(crate) fn recv(_: u64, _: u64) -> Received {
        no_kernel("Recv")
    }

    pub(crate) fn reply_recv(_: u64, _: u64, _: FastRegisters, _: u64) -> Received {
        no_kernel("ReplyRecv")
    }

    pub(crate) fn nb_send_recv(_: u64, _: u64, _: u64, _: u64) -> Received {
        no_kernel("NBSendRecv")
    }
}

pub(crate) use imp::*;
