//! What a system is composed of, as a read-only region that the host step which expands `system.xml` makes.
//!
//! A running system cannot list its own threads, priorities or budgets: no kernel call tells them. So the step that
//! expands the description also writes this table, the composer prefills a region with it, and PDs that must name others
//! (shell, console, supervisor) map it read-only.
//!
//! Layout: a [`Header`], then [`PdEntry`]s, [`ChannelEntry`]s and [`RegionEntry`]s, back to back, little-endian.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// First word of the table.
pub const MAGIC: u64 = u64::from_le_bytes(*b"KLTABLE\x01");
/// [`PdEntry::parent`] of a PD without parent.
pub const NO_PARENT: u16 = u16::MAX;
/// [`PdEntry::flags`]: a passive server.
pub const PD_PASSIVE: u16 = 1 << 0;
/// [`PdEntry::flags`]: may use floating point.
pub const PD_FPU: u16 = 1 << 1;
/// [`RegionEntry::paddr`] of a region whose place the composer chooses.
pub const ANYWHERE: u64 = u64::MAX;

/// Start of the table.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: u64,
    /// Ticks per second of the `time` register.
    pub timebase_hz: u64,
    /// How many [`PdEntry`]s.
    pub pds: u32,
    /// How many [`ChannelEntry`]s.
    pub channels: u32,
    /// How many [`RegionEntry`]s.
    pub regions: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The board's name, padded with zeros.
    pub board: [u8; 32],
}

/// One protection domain.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PdEntry {
    /// Name, padded with zeros.
    pub name: [u8; 64],
    /// Budget in microseconds.
    pub budget_us: u64,
    /// Period in microseconds.
    pub period_us: u64,
    /// Bytes of its stack.
    pub stack_bytes: u64,
    /// Bytes of its program's segments in memory.
    pub image_bytes: u64,
    /// 0..=254, higher runs first.
    pub priority: u16,
    /// `PD_*`.
    pub flags: u16,
    /// Index of the parent in this table, or [`NO_PARENT`].
    pub parent: u16,
    /// Its id as a child; meaningless without parent.
    pub child_id: u16,
}

/// One channel between two PDs.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ChannelEntry {
    /// Index of the PD at the first end.
    pub pd_a: u16,
    /// Its id of the channel.
    pub id_a: u16,
    /// Index of the PD at the second end.
    pub pd_b: u16,
    /// Its id of the channel.
    pub id_b: u16,
}

/// One memory region.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RegionEntry {
    /// Name, padded with zeros.
    pub name: [u8; 64],
    /// Length in bytes.
    pub bytes: u64,
    /// Physical address, or [`ANYWHERE`].
    pub paddr: u64,
}

/// A checked view of the table.
#[derive(Clone, Copy, Debug)]
pub struct SystemTable<'a> {
    /// The header.
    pub header: &'a Header,
    /// The protection domains, in the order of the description.
    pub pds: &'a [PdEntry],
    /// The channels.
    pub channels: &'a [ChannelEntry],
    /// The memory regions.
    pub regions: &'a [RegionEntry],
}

/// Why bytes are not a system table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// Shorter than the header or than the header's counts say.
    Truncated,
    /// The first word is another.
    WrongMagic,
    /// The bytes are not aligned to 8.
    Misaligned,
}

impl core::fmt::Display for TableError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            TableError::Truncated => "system table: shorter than its header says",
            TableError::WrongMagic => "system table: wrong first word; was the region prefilled?",
            TableError::Misaligned => "system table: not aligned to 8 bytes",
        })
    }
}

impl<'a> SystemTable<'a> {
    /// Checks `bytes`, which may be longer than the table.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TableError> {
        if !(bytes.as_ptr() as usize).is_multiple_of(8) {
            return Err(TableError::Misaligned);
        }
        let (header, rest) = Header::ref_from_prefix(bytes).map_err(|_| TableError::Truncated)?;
        if header.magic != MAGIC {
            return Err(TableError::WrongMagic);
        }
        fn table<T: FromBytes + KnownLayout + Immutable>(
            bytes: &[u8],
            count: u32,
        ) -> Result<(&[T], &[u8]), TableError> {
            <[T]>::ref_from_prefix_with_elems(bytes, count as usize).map_err(|_| TableError::Truncated)
        }
        let (pds, rest) = table(rest, header.pds)?;
        let (channels, rest) = table(rest, header.channels)?;
        let (regions, _) = table(rest, header.regions)?;
        Ok(SystemTable { header, pds, channels, regions })
    }

    /// Index of the PD with this name.
    pub fn pd_by_name(&self, name: &str) -> Option<usize> {
        self.pds.iter().position(|pd| text(&pd.name) == name)
    }

    /// Whether a channel connects these two PDs.
    pub fn connected(&self, one: usize, two: usize) -> bool {
        self.channels.iter().any(|channel| {
            let ends = (usize::from(channel.pd_a), usize::from(channel.pd_b));
            ends == (one, two) || ends == (two, one)
        })
    }

    /// Index of the PD at the other end of channel `id` of PD `pd`.
    pub fn peer(&self, pd: usize, id: u16) -> Option<usize> {
        self.channels.iter().find_map(|channel| {
            if channel.pd_a as usize == pd && channel.id_a == id {
                Some(channel.pd_b as usize)
            } else if channel.pd_b as usize == pd && channel.id_b == id {
                Some(channel.pd_a as usize)
            } else {
                None
            }
        })
    }
}

/// The text of a zero-padded name; what is not UTF-8 is cut off.
pub fn text(padded: &[u8]) -> &str {
    let end = padded.iter().position(|byte| *byte == 0).unwrap_or(padded.len());
    match core::str::from_utf8(&padded[..end]) {
        Ok(text) => text,
        Err(error) => core::str::from_utf8(&padded[..error.valid_up_to()]).unwrap_or(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<u64> {
        let header =
            Header { magic: MAGIC, timebase_hz: 10, pds: 1, channels: 1, regions: 0, reserved: 0, board: [0; 32] };
        let mut pd = PdEntry::read_from_bytes(&[0; size_of::<PdEntry>()]).unwrap();
        pd.name[..5].copy_from_slice(b"shell");
        let channel = ChannelEntry { pd_a: 0, id_a: 3, pd_b: 7, id_b: 1 };
        let bytes = [header.as_bytes(), pd.as_bytes(), channel.as_bytes()].concat();
        bytes.chunks(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap())).collect()
    }

    #[test]
    fn finds_pds_and_peers() {
        let words = table();
        let table = SystemTable::parse(words.as_bytes()).unwrap();
        assert_eq!(table.pd_by_name("shell"), Some(0));
        assert_eq!(table.pd_by_name("shel"), None);
        assert_eq!(table.peer(0, 3), Some(7));
        assert_eq!(table.peer(7, 1), Some(0));
        assert_eq!(table.peer(7, 3), None);
        assert!(table.connected(0, 7) && table.connected(7, 0) && !table.connected(0, 0));
    }

    #[test]
    fn rejects_what_is_not_a_table() {
        let words = table();
        let bytes = words.as_bytes();
        for cut in (0..bytes.len()).step_by(8) {
            assert_eq!(SystemTable::parse(&bytes[..cut]).unwrap_err(), TableError::Truncated);
        }
        let mut wrong = words.clone();
        wrong[0] ^= 1;
        assert_eq!(SystemTable::parse(wrong.as_bytes()).unwrap_err(), TableError::WrongMagic);
        let mut many = words.clone();
        many[2] = u64::MAX;
        assert_eq!(SystemTable::parse(many.as_bytes()).unwrap_err(), TableError::Truncated);
    }
}
