//! How a request went: [`Reply::status`](crate::ring::Reply::status).

use core::ffi::CStr;

/// As it should.
pub const OK: u32 = 0;
/// There is no such call, or an argument that must be 0 is not.
pub const BAD_REQUEST: u32 = 1;
/// The manifest does not ask for the permission.
pub const NOT_PERMITTED: u32 = 2;
/// Memory that it names is not the app's, or may not be written.
pub const BAD_ADDRESS: u32 = 3;
/// Something is longer than it may be.
pub const TOO_LONG: u32 = 4;
/// An argument has a value that it cannot have.
pub const BAD_ARGUMENT: u32 = 5;
/// Too many requests are without a reply.
pub const BUSY: u32 = 6;
/// The line was dropped: the console has no room.
pub const DROPPED: u32 = 7;
/// There is no such thing.
pub const NOT_FOUND: u32 = 8;
/// There is no room left, or the app has used what it may use.
pub const NO_SPACE: u32 = 9;
/// The service is not there, or began anew meanwhile.
pub const UNAVAILABLE: u32 = 10;
/// The service tried and failed.
pub const FAILED: u32 = 11;
/// It took too long.
pub const TIMED_OUT: u32 = 12;
/// The app cancelled it.
pub const CANCELLED: u32 = 13;

/// A status in words.
pub fn text(status: u32) -> &'static str {
    c_text(status).to_str().unwrap_or_default()
}

/// The same, as C has it.
pub fn c_text(status: u32) -> &'static CStr {
    match status {
        OK => c"done",
        BAD_REQUEST => c"not a request",
        NOT_PERMITTED => c"not permitted by the manifest",
        BAD_ADDRESS => c"memory that is not the app's",
        TOO_LONG => c"too long",
        BAD_ARGUMENT => c"an argument that cannot be",
        BUSY => c"too many requests at once",
        DROPPED => c"dropped: the console has no room",
        NOT_FOUND => c"not found",
        NO_SPACE => c"no space",
        UNAVAILABLE => c"the service is not there",
        FAILED => c"failed",
        TIMED_OUT => c"timed out",
        CANCELLED => c"cancelled",
        _ => c"unknown status",
    }
}
