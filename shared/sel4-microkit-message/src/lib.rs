//! Typed messages over protected calls.
//!
//! A message is a value with a fixed layout (zerocopy's traits say which types have one), laid in the message registers
//! from the first byte on. Label 0 says that a value follows; any other label says that none does, and
//! [`UNSPECIFIED_ERROR_MESSAGE_LABEL`] is the one for "something went wrong". The receiver takes nothing on trust: label,
//! length and, for types with invalid bit patterns, every byte are checked.
//!
//! ```ignore
//! // The client:
//! let sum: Sum = call(ADDER, Terms { a: 1, b: 2 })?;
//! // The server, in `Handler::protected`:
//! Ok(match recv::<Terms>(msg_info) {
//!     Ok(terms) => send(Sum(terms.a + terms.b)),
//!     Err(_) => send_unspecified_error(),
//! })
//! ```
#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

use core::fmt;

use sel4_microkit::{Channel, MessageInfo, MessageLabel, with_msg_bytes, with_msg_bytes_mut};
use zerocopy::{Immutable, IntoBytes, TryFromBytes};

/// The most bytes a value can have: 120 message registers.
pub const MAX_VALUE_BYTES: usize = 960;

/// The label of an error without details: the highest there is.
pub const UNSPECIFIED_ERROR_MESSAGE_LABEL: MessageLabel = (1 << MessageInfo::label_width()) - 1;

const REGISTER_BYTES: usize = 8;

/// A message that says that something went wrong.
pub fn send_unspecified_error() -> MessageInfo {
    MessageInfo::new(UNSPECIFIED_ERROR_MESSAGE_LABEL, 0)
}

/// Puts `val` in the message registers. Unused bytes of the last one are zero.
///
/// # Errors
/// When the value is longer than [`MAX_VALUE_BYTES`]; nothing is written then.
#[inline]
pub fn try_send<T: IntoBytes + Immutable>(val: T) -> Result<MessageInfo, SendError> {
    let value = val.as_bytes();
    if value.len() > MAX_VALUE_BYTES {
        return Err(SendError { bytes: value.len() });
    }
    let count = value.len().div_ceil(REGISTER_BYTES);
    with_msg_bytes_mut(|message| {
        message[..value.len()].copy_from_slice(value);
        message[value.len()..count * REGISTER_BYTES].fill(0);
    });
    Ok(MessageInfo::new(0, count))
}

/// [`try_send`] for a type that the compiler can see to fit; it does not compile for others.
#[inline]
pub fn send<T: IntoBytes + Immutable>(val: T) -> MessageInfo {
    const { assert!(size_of::<T>() <= MAX_VALUE_BYTES, "a message has at most 960 bytes") };
    match try_send(val) {
        Ok(msg_info) => msg_info,
        Err(_) => unreachable!("the size was checked when this was compiled"),
    }
}

/// Takes a value from the message registers.
///
/// # Errors
/// When the message has another label than 0, another length than a `T`, or bytes that no `T` has.
#[inline]
pub fn recv<T: TryFromBytes>(msg_info: MessageInfo) -> Result<T, RecvError> {
    let label = msg_info.label();
    if label != 0 {
        return Err(RecvError::UnexpectedLabel { label });
    }
    let expected = size_of::<T>().div_ceil(REGISTER_BYTES);
    if msg_info.count() != expected || size_of::<T>() > MAX_VALUE_BYTES {
        return Err(RecvError::UnexpectedLength { count: msg_info.count(), expected });
    }
    with_msg_bytes(|message| T::try_read_from_bytes(&message[..size_of::<T>()]).map_err(|_| RecvError::InvalidValue))
}

/// Calls `channel` with `val` and takes the value that it replies.
///
/// # Errors
/// When `val` is too long, or the reply is not a `U`.
#[inline]
pub fn try_call<T: IntoBytes + Immutable, U: TryFromBytes>(channel: Channel, val: T) -> Result<U, TryCallError> {
    let request = try_send(val).map_err(TryCallError::SendError)?;
    recv(channel.pp_call(request)).map_err(TryCallError::RecvError)
}

/// [`try_call`] for a type that the compiler can see to fit.
///
/// # Errors
/// When the reply is not a `U`.
#[inline]
pub fn call<T: IntoBytes + Immutable, U: TryFromBytes>(channel: Channel, val: T) -> Result<U, RecvError> {
    recv(channel.pp_call(send(val)))
}

/// The value to be sent is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendError {
    /// Length of the value.
    pub bytes: usize,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "a message of {} bytes is longer than the {MAX_VALUE_BYTES} that fit", self.bytes)
    }
}

impl core::error::Error for SendError {}

/// What was received is not the value expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvError {
    /// The label is not 0: the message is an error or of another protocol.
    UnexpectedLabel {
        /// The label.
        label: MessageLabel,
    },
    /// The value expected has another length.
    UnexpectedLength {
        /// Message registers received.
        count: usize,
        /// Message registers of the value expected.
        expected: usize,
    },
    /// The bytes are not those of any value of the type.
    InvalidValue,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::UnexpectedLabel { label: UNSPECIFIED_ERROR_MESSAGE_LABEL } => {
                f.write_str("the peer reports an error")
            }
            Self::UnexpectedLabel { label } => write!(f, "unexpected label {label}"),
            Self::UnexpectedLength { count, expected } => {
                write!(f, "a message of {count} registers where {expected} were expected")
            }
            Self::InvalidValue => f.write_str("the message is not a valid value of its type"),
        }
    }
}

impl core::error::Error for RecvError {}

/// A call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryCallError {
    /// The request is too long; nothing was sent.
    SendError(SendError),
    /// The reply is not the value expected.
    RecvError(RecvError),
}

impl fmt::Display for TryCallError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::SendError(error) => write!(f, "request: {error}"),
            Self::RecvError(error) => write!(f, "reply: {error}"),
        }
    }
}

impl core::error::Error for TryCallError {}

#[cfg(test)]
mod tests {
    use super::*;
    use sel4_microkit::{get_mr, set_mr};

    #[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, TryFromBytes, Immutable)]
    #[repr(C)]
    struct Request {
        kind: Kind,
        flags: [u8; 3],
        length: u32,
        tail: [u8; 4],
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, TryFromBytes, Immutable)]
    #[repr(u8)]
    enum Kind {
        Read = 1,
        Write = 2,
    }

    const REQUEST: Request = Request { kind: Kind::Write, flags: [1, 2, 3], length: 0x0102_0304, tail: [9; 4] };

    #[test]
    fn a_value_comes_back() {
        set_mr(1, u64::MAX);
        let info = send(REQUEST);
        assert_eq!((info.label(), info.count()), (0, 2));
        assert_eq!(get_mr(1), 0x0909_0909, "the rest of the last register is zero");
        assert_eq!(recv::<Request>(info), Ok(REQUEST));
        let other = Request { kind: Kind::Read, ..REQUEST };
        assert_eq!(recv::<Request>(send(other)), Ok(other));
    }

    #[test]
    fn labels_lengths_and_bytes_are_checked() {
        send(REQUEST);
        assert_eq!(recv::<Request>(MessageInfo::new(7, 2)), Err(RecvError::UnexpectedLabel { label: 7 }));
        for count in [0, 1, 3, 120] {
            let expected = Err(RecvError::UnexpectedLength { count, expected: 2 });
            assert_eq!(recv::<Request>(MessageInfo::new(0, count)), expected);
        }
        set_mr(0, get_mr(0) & !0xff | 3);
        assert_eq!(recv::<Request>(MessageInfo::new(0, 2)), Err(RecvError::InvalidValue));
        let error = recv::<Request>(send_unspecified_error()).unwrap_err();
        assert_eq!(error.to_string(), "the peer reports an error");
    }

    #[test]
    fn the_longest_value_fits_and_no_longer_one() {
        let longest = [0x5a_u8; MAX_VALUE_BYTES];
        assert_eq!(recv::<[u8; MAX_VALUE_BYTES]>(send(longest)), Ok(longest));
        assert_eq!(try_send([0_u8; MAX_VALUE_BYTES + 1]), Err(SendError { bytes: 961 }));
        assert!(recv::<[u8; MAX_VALUE_BYTES + 8]>(MessageInfo::new(0, 120)).is_err());
    }

    #[test]
    fn the_empty_value_is_an_empty_message() {
        let info = send(());
        assert_eq!(info.count(), 0);
        assert_eq!(recv::<()>(info), Ok(()));
    }
}
