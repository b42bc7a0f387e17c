//! What can be wrong with a bundle. Each fault has its own name and its own line of text.

use app_abi::API_VERSION;
use core::fmt;

use crate::manifest::{Name, Version};

/// Why a bundle is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It ends too early.
    Truncated {
        /// Bytes that there are.
        bytes: usize,
        /// Bytes that there must be, at least.
        needed: usize,
    },
    /// It goes on behind its last part.
    TrailingBytes {
        /// How many bytes too many there are.
        bytes: usize,
    },
    /// It is larger than a bundle may be.
    TooBig {
        /// Its bytes.
        bytes: usize,
        /// The most bytes.
        most: usize,
    },
    /// It does not begin as a bundle does.
    NotABundle {
        /// Offset of the first byte that is different.
        at: usize,
    },
    /// Its manifest is too short or too long to be one.
    ManifestSize {
        /// Bytes of the manifest.
        bytes: usize,
    },
    /// Its manifest is not the one that was signed.
    ManifestChanged,
    /// Its program is not the one that the manifest speaks of.
    ProgramChanged,
    /// One of its models is not the one that the manifest speaks of.
    ModelChanged(Name),
    /// Nobody has enrolled the key that it is signed with.
    UnknownPublisher {
        /// The key's id.
        kid: [u8; 8],
    },
    /// The key that it names did not sign it.
    BadSignature,
    /// A newer version was installed before.
    OldVersion {
        /// The bundle's version.
        version: Version,
        /// The newest that was ever installed.
        newest: Version,
    },
    /// It was built for a newer device.
    ApiTooNew {
        /// The version of the interface that it needs.
        needed: u32,
    },
    /// It asks for a permission that this device does not offer.
    NotOffered(&'static str),
    /// It wants more memory than a slot has.
    TooMuchMemory {
        /// Bytes that it wants.
        wanted: u64,
        /// Bytes that there are.
        most: u64,
    },
    /// It wants more processor time than a slot has.
    TooMuchTime {
        /// What it wants: microseconds in a period.
        wanted: (u32, u32),
        /// What there is.
        most: (u32, u32),
    },
    /// It brings a model with it, and the device runs only those of its own.
    ModelsNotAccepted,
    /// Its manifest is wrong.
    Manifest(ManifestError),
    /// Its program is wrong.
    Program(ProgramError),
}

/// What can be wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestError {
    /// It is not CBOR, or ends too early.
    NotCbor {
        /// Offset in the manifest.
        at: usize,
    },
    /// Its format is not the one that is known.
    UnknownFormat {
        /// What it says.
        format: u64,
    },
    /// A field is missing, in another place, or not one that is known.
    UnexpectedField {
        /// The field's key that should come.
        expected: u32,
    },
    /// A field has another type, or a value that it cannot have.
    BadField(&'static str),
    /// It is encoded in another way than the one that there is.
    NotCanonical {
        /// Offset in the manifest of the first byte that is different.
        at: usize,
    },
    /// A permission that is not known at all.
    UnknownPermission(Name),
    /// It lists too many models.
    TooManyModels,
}

/// What can be wrong with a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramError {
    /// It is no ELF file.
    NotElf,
    /// It is an ELF file of another machine or kind than a 64-bit RISC-V executable.
    WrongKind,
    /// A header or a segment's contents lie outside of the file.
    OutsideFile,
    /// It has nothing to load.
    Empty,
    /// It has too many segments.
    TooManySegments,
    /// It needs a dynamic linker.
    Dynamic,
    /// A segment is both writable and executable.
    WritableAndExecutable {
        /// The segment's address.
        address: u64,
    },
    /// A segment does not lie where segments of its rights may lie.
    OutOfRange {
        /// The segment's address.
        address: u64,
        /// Bytes of it.
        bytes: u64,
    },
    /// Two segments overlap.
    Overlap {
        /// Address of one.
        one: u64,
        /// Address of the other.
        other: u64,
    },
    /// Its entry is not in code, or not the one that the manifest says.
    BadEntry {
        /// The entry.
        entry: u64,
    },
}

impl From<ManifestError> for Error {
    fn from(error: ManifestError) -> Self {
        Error::Manifest(error)
    }
}

impl From<ProgramError> for Error {
    fn from(error: ProgramError) -> Self {
        Error::Program(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Truncated { bytes, needed } => {
                write!(f, "the bundle is truncated: it has {bytes} bytes and needs at least {needed}")
            }
            Error::TrailingBytes { bytes } => write!(f, "the bundle has {bytes} bytes behind its end"),
            Error::TooBig { bytes, most } => write!(f, "the bundle is too big: {bytes} bytes, at most {most}"),
            Error::NotABundle { at } => write!(f, "this is not a bundle, or its envelope was altered (byte {at})"),
            Error::ManifestSize { bytes } => write!(f, "a manifest cannot have {bytes} bytes"),
            Error::ManifestChanged => f.write_str("the manifest was altered: it is not what was signed"),
            Error::ProgramChanged => f.write_str("the program was altered: it is not what the manifest says"),
            Error::ModelChanged(name) => write!(f, "model {name} was altered: it is not what the manifest says"),
            Error::UnknownPublisher { kid } => {
                f.write_str("unknown publisher: no enrolled key has the id ")?;
                kid.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Error::BadSignature => f.write_str("the signature is wrong: the publisher's key did not make it"),
            Error::OldVersion { version, newest } => {
                write!(f, "old version: {version}, and {newest} was installed already")
            }
            Error::ApiTooNew { needed } => {
                write!(f, "the app needs version {needed} of the app interface; this device has {API_VERSION}")
            }
            Error::NotOffered(name) => write!(f, "the app wants permission '{name}', which this device does not offer"),
            Error::TooMuchMemory { wanted, most } => {
                write!(f, "the app wants {wanted} bytes of memory; a slot has {most}")
            }
            Error::TooMuchTime { wanted: (budget, period), most: (most, of) } => {
                write!(f, "the app wants {budget} us of processor time every {period} us; a slot has {most} every {of}")
            }
            Error::ModelsNotAccepted => {
                f.write_str("the app brings models with it; this device runs only those of its own image")
            }
            Error::Manifest(error) => write!(f, "manifest: {error}"),
            Error::Program(error) => write!(f, "program: {error}"),
        }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ManifestError::NotCbor { at } => write!(f, "not CBOR at byte {at}"),
            ManifestError::UnknownFormat { format } => write!(f, "its format {format} is not known here"),
            ManifestError::UnexpectedField { expected } => write!(f, "field {expected} is missing or misplaced"),
            ManifestError::BadField(name) => write!(f, "its {name} is not what it must be"),
            ManifestError::NotCanonical { at } => write!(f, "not in its one canonical encoding (byte {at})"),
            ManifestError::UnknownPermission(name) => write!(f, "there is no permission '{name}'"),
            ManifestError::TooManyModels => f.write_str("it lists too many models"),
        }
    }
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProgramError::NotElf => f.write_str("not an ELF file"),
            ProgramError::WrongKind => f.write_str("not an executable for 64-bit little-endian RISC-V"),
            ProgramError::OutsideFile => f.write_str("a header or segment lies outside of the file"),
            ProgramError::Empty => f.write_str("it has nothing to load"),
            ProgramError::TooManySegments => f.write_str("it has too many segments"),
            ProgramError::Dynamic => f.write_str("it needs a dynamic linker; link it statically"),
            ProgramError::WritableAndExecutable { address } => {
                write!(f, "the segment at {address:#x} is writable and executable")
            }
            ProgramError::OutOfRange { address, bytes } => {
                write!(f, "the segment at {address:#x} ({bytes} bytes) lies outside of where apps are loaded")
            }
            ProgramError::Overlap { one, other } => {
                write!(f, "the segments at {one:#x} and {other:#x} overlap")
            }
            ProgramError::BadEntry { entry } => {
                write!(f, "its entry {entry:#x} is not in its code, or not the manifest's")
            }
        }
    }
}

impl core::error::Error for Error {}
impl core::error::Error for ManifestError {}
impl core::error::Error for ProgramError {}
