//! Invocations of kernel objects: a call whose reply carries an error code.

use core::fmt;

use crate::abi::{LABEL_SHIFT, message_word};
use crate::ipc_buffer;
use crate::sys::{self, FastRegisters};

/// Why the kernel refused an invocation. The numbers are seL4's error codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum InvocationError {
    /// An argument has a value that it cannot have here.
    InvalidArgument = 1,
    /// A capability of the wrong kind.
    InvalidCapability = 2,
    /// The object's state forbids this.
    IllegalOperation = 3,
    /// An argument is out of range.
    RangeError = 4,
    /// An address is not aligned.
    AlignmentError = 5,
    /// A capability pointer names nothing.
    FailedLookup = 6,
    /// The message is too short.
    TruncatedMessage = 7,
    /// Something must be deleted first.
    DeleteFirst = 8,
    /// Something must be revoked first.
    RevokeFirst = 9,
    /// Not enough memory.
    NotEnoughMemory = 10,
    /// A code that seL4 does not have.
    Unknown = 11,
}

impl InvocationError {
    fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            0 => return None,
            1 => Self::InvalidArgument,
            2 => Self::InvalidCapability,
            3 => Self::IllegalOperation,
            4 => Self::RangeError,
            5 => Self::AlignmentError,
            6 => Self::FailedLookup,
            7 => Self::TruncatedMessage,
            8 => Self::DeleteFirst,
            9 => Self::RevokeFirst,
            10 => Self::NotEnoughMemory,
            _ => Self::Unknown,
        })
    }
}

impl fmt::Display for InvocationError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl core::error::Error for InvocationError {}

/// Invokes `label` on `cptr` with `count` message registers: the first four are given here, more lie in the IPC buffer.
/// The reply's first message registers are returned, more lie in the IPC buffer.
#[inline(always)]
pub(crate) fn invoke(
    cptr: u64,
    label: u64,
    extra_caps: u64,
    count: u64,
    registers: FastRegisters,
) -> Result<FastRegisters, InvocationError> {
    ipc_buffer::assert_unborrowed();
    let (reply, registers) = sys::call(cptr, message_word(label, extra_caps, count), registers);
    match InvocationError::from_code(reply >> LABEL_SHIFT) {
        None => Ok(registers),
        Some(error) => Err(error),
    }
}

/// Invokes `label` on `cptr` without arguments.
#[inline(always)]
pub(crate) fn invoke_plain(cptr: u64, label: u64) -> Result<FastRegisters, InvocationError> {
    invoke(cptr, label, 0, 0, [0; 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_map_to_errors() {
        assert_eq!(InvocationError::from_code(0), None);
        for code in 1..=10 {
            assert_eq!(InvocationError::from_code(code).map(|error| error as u64), Some(code));
        }
        assert_eq!(InvocationError::from_code(99), Some(InvocationError::Unknown));
    }
}
