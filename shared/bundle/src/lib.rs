//! Signed app bundles: what an app is, who says so, and whether it fits the device.
//!
//! A bundle is a file of these parts, back to back:
//!
//! 1. the [`Envelope`]: a COSE_Sign1 structure (RFC 9052) of [`ENVELOPE_BYTES`] bytes, by which the publisher signs the
//!    SHA-256 of the manifest;
//! 2. the [`Manifest`], CBOR (RFC 8949) in deterministic encoding, wrapped in a byte string;
//! 3. the program, an ELF file;
//! 4. models, if the manifest lists any.
//!
//! The manifest has size and SHA-256 of each part behind it, so the signature covers every byte. There is exactly one
//! encoding of everything: whatever differs from it by a bit is refused, and each fault has an [`Error`] of its own.
//!
//! Whoever runs apps reads a bundle in two steps. [`Envelope::read`] needs the first parts only and gives what the root of trust is
//! asked about; once it says that the signature is good, [`Bundle::read`] checks all the rest.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod cbor;
mod contents;
mod envelope;
mod error;
mod manifest;
mod program;

pub use contents::{Bundle, Limits};
pub use envelope::{ENVELOPE_BYTES, Envelope, KEY_ID_BYTES, SIGNED_BYTES, key_id, sig_structure};
pub use error::{Error, ManifestError, ProgramError};
pub use manifest::{Digest, MAX_MODELS, Manifest, Name, Part, Restart, Version, is_name, sha256};
pub use program::{MAX_SEGMENTS, Program, Segment};

/// Bytes of the longest manifest.
pub const MAX_MANIFEST_BYTES: usize = 4096;
/// Bytes of the longest bundle.
pub const MAX_BUNDLE_BYTES: usize = 0x10_0000;

#[cfg(test)]
mod tests;
