//! Why a call failed.

use app_abi::status;
use core::fmt;

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The app manager does not know the call: it is of another version.
    BadRequest,
    /// The manifest does not ask for the permission.
    NotPermitted,
    /// Memory that is not the app's, or may not be written.
    BadAddress,
    /// Something is longer than it may be.
    TooLong,
    /// An argument has a value that it cannot have.
    BadArgument,
    /// Too many requests are without a reply.
    Busy,
    /// The line was dropped: the console has no room.
    Dropped,
    /// There is no such thing.
    NotFound,
    /// There is no room left, or the app has used what it may use.
    NoSpace,
    /// The service is not there, or began anew meanwhile.
    Unavailable,
    /// The service tried and failed.
    Failed,
    /// It took too long.
    TimedOut,
    /// The app cancelled it.
    Cancelled,
    /// A status that this SDK does not know.
    Unknown(u32),
}

impl Error {
    /// The error that a status stands for, if it is one.
    pub(crate) fn of(number: u32) -> Option<Error> {
        Some(match number {
            status::OK => return None,
            status::BAD_REQUEST => Error::BadRequest,
            status::NOT_PERMITTED => Error::NotPermitted,
            status::BAD_ADDRESS => Error::BadAddress,
            status::TOO_LONG => Error::TooLong,
            status::BAD_ARGUMENT => Error::BadArgument,
            status::BUSY => Error::Busy,
            status::DROPPED => Error::Dropped,
            status::NOT_FOUND => Error::NotFound,
            status::NO_SPACE => Error::NoSpace,
            status::UNAVAILABLE => Error::Unavailable,
            status::FAILED => Error::Failed,
            status::TIMED_OUT => Error::TimedOut,
            status::CANCELLED => Error::Cancelled,
            number => Error::Unknown(number),
        })
    }

    /// Its number in the interface: one of [`app_abi::status`].
    pub fn status(self) -> u32 {
        match self {
            Error::BadRequest => status::BAD_REQUEST,
            Error::NotPermitted => status::NOT_PERMITTED,
            Error::BadAddress => status::BAD_ADDRESS,
            Error::TooLong => status::TOO_LONG,
            Error::BadArgument => status::BAD_ARGUMENT,
            Error::Busy => status::BUSY,
            Error::Dropped => status::DROPPED,
            Error::NotFound => status::NOT_FOUND,
            Error::NoSpace => status::NO_SPACE,
            Error::Unavailable => status::UNAVAILABLE,
            Error::Failed => status::FAILED,
            Error::TimedOut => status::TIMED_OUT,
            Error::Cancelled => status::CANCELLED,
            Error::Unknown(number) => number,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(status::text(self.status()))
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_error() {
        assert_eq!(Error::of(0), None);
        for number in 1..20 {
            let error = Error::of(number).unwrap();
            assert_eq!((error.status(), matches!(error, Error::Unknown(_))), (number, number > status::CANCELLED));
        }
    }
}
