//! What is stored: the device's secrets, the publisher keys, the counters.

use rot_protocol::data::{Counter, Digest, Key, Kid};
use rot_protocol::{MAX_COUNTERS, MAX_KEYS};
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::sha256;

/// First bytes of a record; the last one is the version of its layout.
const MAGIC: [u8; 8] = *b"KLROTST\x01";
/// Bytes of a record.
pub const RECORD_BYTES: usize = size_of::<Record>();
const CHECKED_BYTES: usize = RECORD_BYTES - size_of::<Digest>();

/// A record as it lies in the flash, and as it is used.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Record {
    magic: [u8; 8],
    /// Which one is newer.
    pub sequence: U64,
    /// Secret from which the device's signing key is made (Ed25519).
    pub device_seed: [u8; 32],
    /// Secret from which keys for sealing are derived.
    pub seal_secret: [u8; 32],
    /// What the random generator starts from, together with fresh entropy; another one at each start.
    pub random_seed: [u8; 32],
    /// How often the device has started.
    pub starts: U32,
    key_count: U16,
    counter_count: U16,
    keys: [Key; MAX_KEYS],
    counters: [Counter; MAX_COUNTERS],
    check: Digest,
}

const _: () = assert!(RECORD_BYTES <= crate::storage::SLOT_BYTES);

/// There is no place for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSpace;

impl core::fmt::Debug for Record {
    /// Secrets are not shown.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Record")
            .field("sequence", &self.sequence)
            .field("starts", &self.starts)
            .field("keys", &self.keys())
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

impl Record {
    /// A record with nothing in it.
    pub fn blank() -> Self {
        Record { magic: MAGIC, ..Record::new_zeroed() }
    }

    /// The record in these bytes, if they are one and whole.
    pub fn parse(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let record = Record::read_from_bytes(bytes).ok()?;
        let whole = record.magic == MAGIC && record.check == sha256(&[&bytes[..CHECKED_BYTES]]);
        let counts = usize::from(record.key_count.get()) <= MAX_KEYS
            && usize::from(record.counter_count.get()) <= MAX_COUNTERS
            && record.sequence.get() > 0;
        (whole && counts).then_some(record)
    }

    /// Sets the checksum.
    pub(crate) fn finish(&mut self) {
        self.check = sha256(&[&self.as_bytes()[..CHECKED_BYTES]]);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    /// The publisher keys, revoked ones included.
    pub fn keys(&self) -> &[Key] {
        &self.keys[..usize::from(self.key_count.get()).min(MAX_KEYS)]
    }

    /// The publisher key with this kid.
    pub fn key(&self, kid: &Kid) -> Option<&Key> {
        self.keys().iter().find(|key| bundle::key_id(&key.public) == *kid)
    }

    /// Adds a publisher key.
    ///
    /// # Errors
    /// When there is no room.
    pub fn add_key(&mut self, public: [u8; 32]) -> Result<(), NoSpace> {
        let count = self.keys().len();
        *self.keys.get_mut(count).ok_or(NoSpace)? = Key { public, revoked: 0 };
        self.key_count = U16::new(count as u16 + 1);
        Ok(())
    }

    /// Revokes the publisher key with this kid. False if there is none.
    pub fn revoke_key(&mut self, kid: &Kid) -> bool {
        let index = self.keys().iter().position(|key| bundle::key_id(&key.public) == *kid);
        index.map(|index| self.keys[index].revoked = 1).is_some()
    }

    /// All counters.
    pub fn counters(&self) -> &[Counter] {
        &self.counters[..usize::from(self.counter_count.get()).min(MAX_COUNTERS)]
    }

    /// The value of a counter: 0 if there is no such one.
    pub fn counter(&self, id: &Digest) -> u64 {
        self.counters().iter().find(|counter| counter.id == *id).map_or(0, |counter| counter.value.get())
    }

    /// Sets a counter, which comes to exist if it did not.
    ///
    /// # Errors
    /// When there is no room for another counter.
    pub fn set_counter(&mut self, id: &Digest, value: u64) -> Result<(), NoSpace> {
        let count = self.counters().len();
        let index = self.counters().iter().position(|counter| counter.id == *id).unwrap_or(count);
        *self.counters.get_mut(index).ok_or(NoSpace)? = Counter { id: *id, value: U64::new(value) };
        self.counter_count = U16::new(count.max(index + 1) as u16);
        Ok(())
    }
}
