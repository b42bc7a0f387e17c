//! What commands carry. All structures are plain bytes without padding.

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A SHA-256.
pub type Digest = [u8; 32];
/// The name of a publisher key: the first bytes of the SHA-256 of the public key.
pub type Kid = [u8; 8];

/// Bytes of a measurement's name.
pub const NAME_BYTES: usize = 30;

/// [`Info::phase`]: booting; the boot registers are open.
pub const PHASE_BOOT: u8 = 0;
/// [`Info::phase`]: the boot has ended.
pub const PHASE_RUN: u8 = 1;
/// [`Info::flags`]: the provisioning strap is set.
pub const FLAG_STRAP: u8 = 1 << 0;
/// [`Info::flags`]: the device has a key.
pub const FLAG_PROVISIONED: u8 = 1 << 1;
/// [`Info::flags`]: the stored state is damaged.
pub const FLAG_CORRUPT: u8 = 1 << 2;
/// [`Info::flags`]: the self test at the start failed.
pub const FLAG_SELF_TEST_FAILED: u8 = 1 << 3;
/// [`Info::flags`]: the state could not be written since the start.
pub const FLAG_STORAGE_FAILED: u8 = 1 << 4;

/// Answer to `INFO`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Info {
    /// Version of this protocol: [`crate::frame::VERSION`].
    pub protocol: u8,
    /// `PHASE_*`.
    pub phase: u8,
    /// `FLAG_*`.
    pub flags: u8,
    /// Publisher keys, revoked ones included.
    pub keys: u8,
    /// Version of the firmware: major, minor, patch.
    pub firmware: [u8; 3],
    /// Counters.
    pub counters: u8,
    /// How often the device has started, this time included.
    pub starts: U32,
    /// Entries in the log.
    pub log_entries: U16,
    /// Must be 0.
    pub reserved: U16,
    /// Measurements since the start that are in the registers but not in the log, because it was full.
    pub log_lost: U32,
    /// Requests executed since the start.
    pub executed: U32,
    /// Requests answered from memory, because they came again.
    pub repeated: U32,
    /// Frames dropped because they were damaged.
    pub bad_frames: U32,
    /// Times that the state was written since the start.
    pub state_writes: U32,
    /// The device's public key (Ed25519); zeros if it has none.
    pub public_key: [u8; 32],
    /// SHA-256 of the firmware.
    pub implementation_id: Digest,
}

/// Answer to `TEST`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SelfTest {
    /// How many tests there are; their names are [`SELF_TESTS`].
    pub tests: U32,
    /// A bit for each that failed, lowest first.
    pub failed: U32,
}

/// What the self test tries, in the order of the bits.
pub const SELF_TESTS: [&str; 6] = ["sha-256", "ed25519", "hkdf", "xchacha20-poly1305", "random", "stored state"];

/// Data of `EXTD`, and an entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Measurement {
    /// Which register.
    pub register: u8,
    /// Bytes of the name.
    pub name_length: u8,
    /// Name of what was measured, for people; it is part of the log, not of the register. Zeros behind its end.
    pub name: [u8; NAME_BYTES],
    /// Its SHA-256.
    pub digest: Digest,
}

impl Measurement {
    /// A measurement with this name, of which as much is kept as fits.
    pub fn new(register: usize, name: &str, digest: Digest) -> Self {
        let length = (0..=NAME_BYTES.min(name.len())).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
        let mut bytes = [0; NAME_BYTES];
        bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
        Self { register: register as u8, name_length: length as u8, name: bytes, digest }
    }

    /// The name.
    pub fn name(&self) -> &str {
        let bytes = self.name.get(..usize::from(self.name_length)).unwrap_or(&[]);
        core::str::from_utf8(bytes).unwrap_or("?")
    }

    /// Whether the register exists and the name is text of that length.
    pub fn is_valid(&self) -> bool {
        let name = self.name.split_at_checked(usize::from(self.name_length));
        usize::from(self.register) < crate::REGISTERS
            && name.is_some_and(|(name, rest)| {
                core::str::from_utf8(name).is_ok_and(|name| !name.chars().any(char::is_control))
                    && rest.iter().all(|byte| *byte == 0)
            })
    }
}

/// Before the entries of an answer to `MLOG`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct LogHead {
    /// Entries in the whole log.
    pub total: U16,
    /// Must be 0.
    pub reserved: U16,
    /// Measurements that are missing because the log was full.
    pub lost: U32,
}

/// Data of `VRFY`. What is signed is the COSE `Sig_structure` of RFC 9052, section 4.4, for a `COSE_Sign1` with the
/// protected header `{1: -8, 4: kid}` and the digest as its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Verify {
    /// Whose signature.
    pub kid: Kid,
    /// The payload.
    pub digest: Digest,
    /// The signature.
    pub signature: [u8; 64],
}

/// An entry of the answer to `KEYS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Key {
    /// The public key (Ed25519).
    pub public: [u8; 32],
    /// 1 if it is revoked.
    pub revoked: u8,
}

/// Data of `CTAD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Advance {
    /// Which counter.
    pub id: Digest,
    /// Its new value.
    pub value: U64,
}

/// An entry of the answer to `CTLS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Counter {
    /// Its id.
    pub id: Digest,
    /// Its value.
    pub value: U64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MAX_KEYS, MAX_REPLY_DATA, MAX_REQUEST_DATA};

    #[test]
    fn everything_fits() {
        assert!(size_of::<Verify>() <= MAX_REQUEST_DATA && size_of::<Info>() <= MAX_REPLY_DATA);
        assert_eq!((size_of::<Measurement>(), size_of::<Verify>(), size_of::<Info>()), (64, 104, 100));
        assert!(MAX_KEYS * size_of::<Key>() <= MAX_REPLY_DATA);
    }

    #[test]
    fn names_are_cut_at_characters() {
        let long = Measurement::new(7, "äääääääääääääääää", [1; 32]);
        assert_eq!(long.name(), "äääääääääääääää");
        assert!(long.is_valid());
        assert!(!Measurement { name_length: 31, ..long }.is_valid());
        assert!(!Measurement { name_length: 29, ..long }.is_valid());
        assert!(!Measurement { register: 8, ..long }.is_valid());
        assert!(!Measurement::new(0, "a\nb", [0; 32]).is_valid());
        assert_eq!(Measurement { name_length: 200, ..long }.name(), "");
    }
}
