//! The numbers of the seL4 MCS calling convention on 64-bit RISC-V that a Microkit protection domain depends on.

/// The IPC buffer's address in every protection domain.
#[cfg(target_os = "none")]
pub(crate) const IPC_BUFFER_VADDR: usize = 0x3f_ffff_e000;
/// How many message registers a message can have.
pub(crate) const MAX_MESSAGE_REGISTERS: usize = 120;
/// How many message registers travel in processor registers.
pub(crate) const FAST_REGISTERS: usize = 4;

/// Bits of a message's label.
pub(crate) const LABEL_WIDTH: usize = 52;
/// Where the label begins in the message word.
pub(crate) const LABEL_SHIFT: u32 = 12;
/// Where the number of extra capabilities lies in the message word.
pub(crate) const EXTRA_CAPS_SHIFT: u32 = 7;
/// Mask of the number of message registers in the message word.
pub(crate) const COUNT_MASK: u64 = 0x7f;

/// Set in the badge of a protected call.
pub(crate) const CALL_BADGE: u64 = 1 << 63;
/// Set in the badge of a child's fault.
pub(crate) const FAULT_BADGE: u64 = 1 << 62;
/// Channel and interrupt ids are below this.
pub(crate) const MAX_CHANNELS: usize = 62;

/// Capability pointers that every protection domain has.
pub(crate) mod slot {
    /// What the protection domain receives from.
    pub(crate) const INPUT: u64 = 1;
    /// The reply object.
    pub(crate) const REPLY: u64 = 4;
    /// The default handler, which takes back the scheduling context of a passive protection domain.
    pub(crate) const MONITOR: u64 = 5;
    /// First of the channels' notifications.
    pub(crate) const BASE_NOTIFICATION: u64 = 10;
    /// First of the channels' endpoints.
    pub(crate) const BASE_ENDPOINT: u64 = 74;
    /// First of the interrupt handlers.
    pub(crate) const BASE_IRQ: u64 = 138;
    /// First of the children's threads.
    pub(crate) const BASE_CHILD_TCB: u64 = 202;
    /// A shared capability's root slot, in the highest bits of its capability pointer.
    pub(crate) const ROOT_SHIFT: u32 = 58;
}

/// Labels of the kernel invocations used here.
pub(crate) mod label {
    pub(crate) const TCB_READ_REGISTERS: u64 = 2;
    pub(crate) const TCB_WRITE_REGISTERS: u64 = 3;
    pub(crate) const TCB_SUSPEND: u64 = 12;
    pub(crate) const TCB_RESUME: u64 = 13;
    pub(crate) const IRQ_ACK: u64 = 27;
    pub(crate) const SCHED_CONTEXT_BIND: u64 = 34;
    pub(crate) const SCHED_CONTEXT_UNBIND: u64 = 35;
    pub(crate) const SCHED_CONTEXT_CONSUMED: u64 = 37;
}

/// The message word of an invocation.
pub(crate) const fn message_word(label: u64, extra_caps: u64, count: u64) -> u64 {
    label << LABEL_SHIFT | extra_caps << EXTRA_CAPS_SHIFT | count
}
