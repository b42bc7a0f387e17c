//! Where things lie in a region.

use crate::error::{Header, LinkError};
use crate::words::{WORD, Words};

/// Bytes of the index page; the slots follow.
#[cfg(not(loom))]
pub const INDEX_BYTES: usize = 4096;
/// The model checker tracks every word, so there are no more than needed.
#[cfg(loom)]
pub const INDEX_BYTES: usize = 16 * WORD;

/// First word of a region.
pub(crate) const MAGIC_VALUE: u64 = u64::from_le_bytes(*b"KLLINK\0\x01");

// Words of the index page. All are written by the region's owner alone.
pub(crate) const MAGIC: usize = 0;
pub(crate) const PROTOCOL: usize = 1;
pub(crate) const VERSION: usize = 2;
/// Entries that the owner's outgoing ring holds.
pub(crate) const CAPACITY: usize = 3;
/// Bytes of an entry in it.
pub(crate) const ENTRY_BYTES: usize = 4;
/// Changes at each start of the owner; 0 until its first.
pub(crate) const EPOCH: usize = 5;
/// The peer's epoch that the owner has joined; 0 if none. Only then do the words below mean anything to that peer.
pub(crate) const JOINED: usize = 6;
/// How many entries the owner has pushed in this session.
pub(crate) const PRODUCER: usize = 7;
/// How many of the peer's entries the owner has popped in this session.
pub(crate) const CONSUMER: usize = 8;
/// Not 0: the owner sleeps until the peer pushes; each sleep has another number.
pub(crate) const WANTS_ENTRIES: usize = 9;
/// Not 0: the owner sleeps until the peer pops; each sleep has another number.
pub(crate) const WANTS_ROOM: usize = 10;
/// The peer's epoch that the owner looked at last, whether it joined that or not. A peer that starts takes another one.
pub(crate) const LOOKED_AT: usize = 11;
/// First word of the slots.
pub(crate) const SLOTS: usize = INDEX_BYTES / WORD;

/// Bytes that a region needs so that its writer's ring holds `entries` entries of `entry_bytes` each, before rounding up
/// to pages. Only powers of two are used in full.
pub const fn region_bytes(entries: usize, entry_bytes: usize) -> usize {
    INDEX_BYTES + entries * entry_bytes
}

/// The most entries of `entry_bytes` that a ring in a region of `bytes` can have, or 0.
pub(crate) fn capacity(bytes: usize, entry_bytes: usize) -> u64 {
    match (bytes.saturating_sub(INDEX_BYTES) / entry_bytes) as u64 {
        0 => 0,
        entries => 1 << entries.ilog2(),
    }
}

/// What both sides of a link must agree on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub protocol: u32,
    pub version: u32,
}

impl Terms {
    /// Writes the header of an own region.
    pub fn write(self, own: &Words, capacity: u64, entry_bytes: usize) {
        own.store(MAGIC, MAGIC_VALUE);
        own.store(PROTOCOL, u64::from(self.protocol));
        own.store(VERSION, u64::from(self.version));
        own.store(CAPACITY, capacity);
        own.store(ENTRY_BYTES, entry_bytes as u64);
    }

    /// Checks the header of a peer's region and gives the capacity of its ring.
    pub fn check(self, peer: &Words, entry_bytes: usize) -> Result<u64, LinkError> {
        let words = [
            (Header::Magic, MAGIC, MAGIC_VALUE),
            (Header::Protocol, PROTOCOL, u64::from(self.protocol)),
            (Header::Version, VERSION, u64::from(self.version)),
            (Header::EntryBytes, ENTRY_BYTES, entry_bytes as u64),
        ];
        for (word, index, expected) in words {
            let found = peer.load(index);
            if found != expected {
                return Err(LinkError::WrongHeader { word, found, expected });
            }
        }
        let (found, most) = (peer.load(CAPACITY), capacity(peer.bytes(), entry_bytes));
        if !found.is_power_of_two() || found > most {
            return Err(LinkError::WrongCapacity { found, most });
        }
        Ok(found)
    }
}
