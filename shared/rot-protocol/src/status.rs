//! The status word of a reply. Those below [`FIRST_OF_DRIVER`] come from the root of trust, the others from the driver
//! that stands between it and its clients.

/// Done.
pub const OK: u32 = 0;
/// There is no such command.
pub const BAD_COMMAND: u32 = 1;
/// The data has a length that the command does not take.
pub const BAD_LENGTH: u32 = 2;
/// A value in the data is out of range.
pub const BAD_ARGUMENT: u32 = 3;
/// Not in this phase: the boot has ended, or the provisioning strap is not set.
pub const NOT_NOW: u32 = 4;
/// The device has no key yet; `kinglet rot provision` makes one.
pub const NOT_PROVISIONED: u32 = 5;
/// Neither copy of the stored state is whole. No new key is made in its place.
pub const STATE_CORRUPT: u32 = 6;
/// The stored state could not be written; nothing was changed, and nothing is changed until the next start.
pub const STORAGE_FAILED: u32 = 7;
/// All places for keys or counters are taken.
pub const NO_SPACE: u32 = 8;
/// No publisher key with this kid is enrolled.
pub const UNKNOWN_KEY: u32 = 9;
/// The publisher key with this kid is revoked.
pub const REVOKED_KEY: u32 = 10;
/// The signature is not the publisher's over this digest.
pub const BAD_SIGNATURE: u32 = 11;
/// The counter is beyond this value already.
pub const ROLLBACK: u32 = 12;
/// What was to be unsealed was altered, or comes from another device, or the registers differ.
pub const NOT_UNSEALED: u32 = 13;
/// The counter has reached its end.
pub const COUNTER_AT_END: u32 = 14;
/// A self test has failed, so nothing that needs cryptography is done.
pub const SELF_TEST_FAILED: u32 = 15;

/// The first status that the root of trust does not give.
pub const FIRST_OF_DRIVER: u32 = 0x100;
/// The board has no line to a root of trust, or not the one that the driver is for.
pub const NO_DEVICE: u32 = 0x100;
/// The root of trust did not answer in time. Whether it has executed the command is not known.
pub const TIMED_OUT: u32 = 0x101;
/// It answered with something that is not an answer to this request.
pub const GARBLED: u32 = 0x102;
/// The request is malformed, or not one for clients.
pub const BAD_REQUEST: u32 = 0x103;
/// The root of trust is not there: it has not answered for a while.
pub const DOWN: u32 = 0x104;

/// What a status says, in words.
pub fn text(status: u32) -> &'static str {
    match status {
        OK => "done",
        BAD_COMMAND => "the root of trust does not know this command",
        BAD_LENGTH => "the data has the wrong length",
        BAD_ARGUMENT => "a value is out of range",
        NOT_NOW => "not allowed now: the boot has ended, or the provisioning strap is not set",
        NOT_PROVISIONED => "the root of trust has no key yet; provision it",
        STATE_CORRUPT => "the root of trust's stored state is damaged",
        STORAGE_FAILED => "the root of trust cannot write its state",
        NO_SPACE => "the root of trust has no room for more",
        UNKNOWN_KEY => "the publisher is unknown",
        REVOKED_KEY => "the publisher's key is revoked",
        BAD_SIGNATURE => "the signature is wrong",
        ROLLBACK => "the counter is beyond that value already",
        NOT_UNSEALED => "altered, from another device, or sealed to another state",
        COUNTER_AT_END => "the counter is at its end",
        SELF_TEST_FAILED => "the root of trust failed its self test",
        NO_DEVICE => "the board has no root of trust",
        TIMED_OUT => "the root of trust did not answer in time",
        GARBLED => "the root of trust answered nonsense",
        BAD_REQUEST => "not a request",
        DOWN => "the root of trust is not there",
        _ => "unknown status",
    }
}
