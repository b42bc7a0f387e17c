//! Receives a file over a line of bytes by XMODEM-CRC, XMODEM-1K or YMODEM: what every terminal program can send.
//!
//! The caller owns the line, the clock and the storage: it gives bytes to [`Receiver::accept`], tells of silence by
//! [`Receiver::silence`], and does what the [`Step`] says. Nothing here waits or allocates.
//!
//! The sender begins with block 0 (YMODEM: name and size) or block 1 (XMODEM: neither is known); the receiver tells the two
//! apart by that, so one command serves both. XMODEM fills the last block up with [`PADDING`], and nothing says how much of
//! it belongs to the file: [`Outcome::padded`] tells the caller.
//!
//! Source: Chuck Forsberg, "XMODEM/YMODEM Protocol Reference", 1988 (blocks §7.1, CRC §7.3, YMODEM batch §5, cancel §7.3.3).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod receiver;
#[cfg(test)]
mod tests;

pub use receiver::{Outcome, Receiver, Step};

use core::fmt;

/// A block of 128 bytes follows.
pub const SOH: u8 = 0x01;
/// A block of 1024 bytes follows.
pub const STX: u8 = 0x02;
/// The file ends.
pub const EOT: u8 = 0x04;
/// The block has arrived.
pub const ACK: u8 = 0x06;
/// The block must be sent again.
pub const NAK: u8 = 0x15;
/// Twice in a row: the other side gives up.
pub const CAN: u8 = 0x18;
/// The receiver's invitation to send blocks with a CRC.
pub const INVITE: u8 = b'C';
/// Fills the last block.
pub const PADDING: u8 = 0x1a;
/// The interrupt key of a person at the terminal, who may change their mind before the first block.
pub const INTERRUPT: u8 = 0x03;

/// Bytes of data in the longest block.
pub const MAX_DATA: usize = 1024;
/// The longest name that is taken over; a longer one is cut.
pub const MAX_NAME: usize = 64;
/// Errors in a row after which the transfer ends.
pub const MAX_ERRORS: u32 = 10;
/// Invitations that nobody answers before the transfer ends.
pub const MAX_INVITATIONS: u32 = 20;
/// Silence in milliseconds after which [`Receiver::silence`] is due.
pub const SILENCE_MS: u64 = 3_000;
/// What tells the sender that the receiver gives up. The backspaces remove the rest from a terminal that shows it.
pub const CANCEL: &[u8] = &[CAN, CAN, CAN, CAN, CAN, 8, 8, 8, 8, 8];

/// The checksum of a block: CRC-16 with polynomial 0x1021 and initial value 0.
pub const CRC: crc::Crc<u16> = crc::Crc::<u16>::new(&crc::CRC_16_XMODEM);

/// Why a transfer ended without the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Nobody began to send.
    NoSender,
    /// The sender fell silent, or what it sent was damaged, [`MAX_ERRORS`] times in a row.
    LineTooBad,
    /// The sender gave up.
    CancelledBySender,
    /// The interrupt key was typed before the first block.
    Interrupted,
    /// A block that is neither the next one nor the last one again.
    OutOfOrder {
        /// The number that was due, modulo 256.
        expected: u8,
        /// The number that came.
        got: u8,
    },
    /// The file ended before the size that the sender had announced.
    TooShort {
        /// Bytes that were announced.
        announced: u64,
        /// Bytes that came.
        got: u64,
    },
    /// YMODEM's first block has no name, or a size that is not a number.
    BadHeader,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoSender => f.write_str("nobody sent: start the terminal program's XMODEM or YMODEM upload"),
            Error::LineTooBad => write!(f, "the line is too bad: {MAX_ERRORS} errors in a row"),
            Error::CancelledBySender => f.write_str("the sender gave up"),
            Error::Interrupted => f.write_str("interrupted"),
            Error::OutOfOrder { expected, got } => {
                write!(f, "block {got} came where block {expected} was due: the sender has lost its place")
            }
            Error::TooShort { announced, got } => {
                write!(f, "the sender announced {announced} bytes and sent {got}")
            }
            Error::BadHeader => f.write_str("the sender's first block names no file, or its size is not a number"),
        }
    }
}
