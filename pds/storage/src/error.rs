//! What can go wrong.

use core::fmt;

use protocols::storage::code;

/// Why a disk did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// There is none.
    NoDisk,
    /// It failed.
    Failed,
    /// It, or its driver, does not answer.
    TimedOut,
    /// It cannot be written.
    ReadOnly,
    /// The sectors are not on it.
    OutOfRange,
}

/// Why a request was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// No such file, folder, key or space.
    NotFound,
    /// There is something of that name.
    Exists,
    /// A part of the path is a file.
    NotAFolder,
    /// It is a folder.
    IsAFolder,
    /// The folder has something in it.
    NotEmpty,
    /// Not a name.
    BadName,
    /// No room on the partition, or in a folder that cannot grow.
    Full,
    /// More keys or bytes than the space may have.
    Quota,
    /// More bytes than a value, a file or a buffer can have.
    TooLarge,
    /// An offset beyond the file's end.
    BeyondEnd,
    /// No partition, or not of a known kind.
    NotFormatted,
    /// The disk's content contradicts itself.
    Corrupt,
    /// The disk did not do it.
    Disk(DiskError),
}

impl From<DiskError> for Error {
    fn from(error: DiskError) -> Self {
        match error {
            // What is on the disk points beyond its end.
            DiskError::OutOfRange => Error::Corrupt,
            error => Error::Disk(error),
        }
    }
}

impl Error {
    /// The code of `protocols::storage` for it.
    pub fn code(self) -> u32 {
        match self {
            Error::NotFound => code::NOT_FOUND,
            Error::Exists => code::EXISTS,
            Error::NotAFolder => code::NOT_A_FOLDER,
            Error::IsAFolder => code::IS_A_FOLDER,
            Error::NotEmpty => code::NOT_EMPTY,
            Error::BadName => code::BAD_NAME,
            Error::Full => code::FULL,
            Error::Quota => code::QUOTA,
            Error::TooLarge => code::TOO_LARGE,
            Error::BeyondEnd => code::BEYOND_END,
            Error::NotFormatted => code::NOT_FORMATTED,
            Error::Corrupt | Error::Disk(DiskError::OutOfRange) => code::CORRUPT,
            Error::Disk(DiskError::NoDisk) => code::NO_DISK,
            Error::Disk(DiskError::Failed) => code::IO_ERROR,
            Error::Disk(DiskError::TimedOut) => code::TIMED_OUT,
            Error::Disk(DiskError::ReadOnly) => code::READ_ONLY,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(code::text(self.code()))
    }
}

impl core::error::Error for Error {}
