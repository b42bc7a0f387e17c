//! The words of the calling convention: message information, system call numbers, labels and errors.

/// The most words a message has.
pub const MAX_WORDS: u64 = 120;
/// Words of a message that travel in registers.
pub const REGISTER_WORDS: usize = 4;
/// The word of the IPC buffer where the capabilities of a message begin.
pub const EXTRA_CAPS_WORD: usize = 122;

/// The word that describes a message: label, capability counts, length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageInfo(pub u64);

impl MessageInfo {
    /// A message without capabilities.
    pub const fn new(label: u64, words: u64) -> Self {
        Self(label << 12 | words)
    }

    /// What the message is about.
    pub const fn label(self) -> u64 {
        self.0 >> 12
    }

    /// How many words the message has; a sender that claims more than there can be gets as many as there can be.
    pub const fn words(self) -> u64 {
        let words = self.0 & 0x7f;
        if words > MAX_WORDS { MAX_WORDS } else { words }
    }

    /// How many capabilities the message names.
    pub const fn extra_caps(self) -> u64 {
        self.0 >> 7 & 3
    }

    /// What the receiver sees: no capability is ever transferred.
    pub const fn without_caps(self) -> Self {
        Self(self.0 & !0xfff | self.words())
    }
}

/// Numbers of the system calls.
#[allow(missing_docs)]
pub mod number {
    pub const CALL: i64 = -1;
    pub const REPLY_RECV: i64 = -2;
    pub const NB_SEND_RECV: i64 = -3;
    pub const NB_SEND_WAIT: i64 = -4;
    pub const SEND: i64 = -5;
    pub const NB_SEND: i64 = -6;
    pub const RECV: i64 = -7;
    pub const NB_RECV: i64 = -8;
    pub const WAIT: i64 = -9;
    pub const NB_WAIT: i64 = -10;
    pub const YIELD: i64 = -11;
    pub const DEBUG_PUT_CHAR: i64 = -12;
    pub const DEBUG_DUMP_SCHEDULER: i64 = -13;
    pub const DEBUG_HALT: i64 = -14;
    pub const DEBUG_CAP_IDENTIFY: i64 = -15;
    pub const DEBUG_SNAPSHOT: i64 = -16;
    pub const DEBUG_NAME_THREAD: i64 = -17;
}

/// Labels of the invocations that exist here.
#[allow(missing_docs)]
pub mod label {
    pub const TCB_READ_REGISTERS: u64 = 2;
    pub const TCB_WRITE_REGISTERS: u64 = 3;
    pub const TCB_SUSPEND: u64 = 12;
    pub const TCB_RESUME: u64 = 13;
    pub const IRQ_ACK: u64 = 27;
    pub const SCHED_CONTEXT_BIND: u64 = 34;
    pub const SCHED_CONTEXT_UNBIND: u64 = 35;
    pub const SCHED_CONTEXT_CONSUMED: u64 = 37;
}

/// Labels of replies to invocations that failed.
#[allow(missing_docs)]
pub mod error {
    pub const INVALID_CAPABILITY: u64 = 2;
    pub const ILLEGAL_OPERATION: u64 = 3;
    pub const RANGE_ERROR: u64 = 4;
    pub const TRUNCATED_MESSAGE: u64 = 7;
}
