//! System calls without any care, for tests of what the kernel does with nonsense.

use core::arch::asm;

/// Numbers of the system calls.
pub mod number {
    /// Call.
    pub const CALL: i64 = -1;
    /// ReplyRecv.
    pub const REPLY_RECV: i64 = -2;
    /// NBSendRecv.
    pub const NB_SEND_RECV: i64 = -3;
    /// NBSendWait.
    pub const NB_SEND_WAIT: i64 = -4;
    /// Send.
    pub const SEND: i64 = -5;
    /// NBSend.
    pub const NB_SEND: i64 = -6;
    /// Recv.
    pub const RECV: i64 = -7;
    /// NBRecv.
    pub const NB_RECV: i64 = -8;
    /// Wait.
    pub const WAIT: i64 = -9;
    /// NBWait.
    pub const NB_WAIT: i64 = -10;
    /// Yield.
    pub const YIELD: i64 = -11;
}

/// The registers of a system call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// `a0..=a6`.
    pub a: [u64; 7],
    /// `t0`.
    pub t0: u64,
}

/// Any system call with any registers; returns what they are afterwards.
///
/// # Safety
/// The kernel must not be asked to write where this program has references: the message registers.
pub unsafe fn syscall(number: i64, call: Call) -> Call {
    let [mut a0, mut a1, mut a2, mut a3, mut a4, mut a5, mut a6] = call.a;
    let mut t0 = call.t0;
    // SAFETY: every register that the kernel may write is an output.
    unsafe {
        asm!("ecall", in("a7") number, inlateout("a0") a0, inlateout("a1") a1, inlateout("a2") a2, inlateout("a3") a3,
            inlateout("a4") a4, inlateout("a5") a5, inlateout("a6") a6, inlateout("t0") t0, options(nostack));
    }
    Call { a: [a0, a1, a2, a3, a4, a5, a6], t0 }
}

/// The message word with every field.
pub const fn message_word(label: u64, caps_unwrapped: u64, extra_caps: u64, count: u64) -> u64 {
    label << 12 | caps_unwrapped << 9 | extra_caps << 7 | count
}

/// The badge of what lies at this protection domain's input, without waiting; 0 if nothing does.
pub fn poll_input() -> (u64, u64, [u64; 4]) {
    const INPUT: u64 = 1;
    const REPLY: u64 = 4;
    // SAFETY: the message goes to the IPC buffer, to which this crate keeps no reference.
    let after = unsafe { syscall(number::NB_RECV, Call { a: [INPUT, 0, 0, 0, 0, 0, REPLY], t0: 0 }) };
    (after.a[0], after.a[1], [after.a[2], after.a[3], after.a[4], after.a[5]])
}

/// Waits for what comes to this protection domain's input, and gives its badge. A test that does one thing after the other
/// is written so in `init`, instead of as a handler.
pub fn wait_input() -> u64 {
    const INPUT: u64 = 1;
    const REPLY: u64 = 4;
    // SAFETY: the message goes to the IPC buffer, to which this crate keeps no reference.
    unsafe { syscall(number::RECV, Call { a: [INPUT, 0, 0, 0, 0, 0, REPLY], t0: 0 }) }.a[0]
}

/// One word of this protection domain's IPC buffer, 0..=127, written behind the runtime's back.
///
/// # Safety
/// No reference to the message registers may exist.
pub unsafe fn poke_ipc_buffer(word: usize, value: u64) {
    const IPC_BUFFER: usize = 0x3f_ffff_e000;
    assert!(word < 128, "the IPC buffer has 128 words");
    // SAFETY: the page is mapped, and the caller promises that nobody looks.
    unsafe { core::ptr::with_exposed_provenance_mut::<u64>(IPC_BUFFER).add(word).write_volatile(value) };
}
