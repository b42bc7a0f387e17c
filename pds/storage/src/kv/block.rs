//! One block: a sector of a record.
//!
//! | bytes | |
//! |---|---|
//! | 0–3 | [`MAGIC`] |
//! | 4–7 | CRC-32 (ISO HDLC) of bytes 8 to 511, then of the block's number in the partition, four bytes |
//! | 8–15 | number of the record, below 2⁶³ |
//! | 16–19 | block with the record's next bytes; all ones in the last one |
//! | 20–21 | place of this block in the record, from 0 |
//! | 22–23 | blocks of the record |
//! | 24–27 | bytes of the record |
//! | 28–31 | 0 |
//! | 32–511 | bytes of the record; zeros behind its end |
//!
//! Numbers are little-endian. The record's bytes are: length of the space's name and of the key (a byte each), two zeros,
//! length of the value (four bytes), name of the space, key, value. The first block holds at least both names.

use crc::{CRC_32_ISO_HDLC, Crc};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::sectors::SECTOR;

/// The first word of a block; its last character is the format's version.
pub const MAGIC: u32 = u32::from_le_bytes(*b"KVB1");
/// [`Head::next`] of the last block.
pub const NO_BLOCK: u32 = u32::MAX;
/// Bytes of a block that are the record's.
pub const PAYLOAD: usize = SECTOR - size_of::<Head>();
/// Record numbers are below this.
const END_OF_NUMBERS: u64 = 1 << 63;

static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// The head of a block.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Head {
    magic: U32,
    crc: U32,
    /// Number of the record.
    pub record: U64,
    /// The next block, or [`NO_BLOCK`].
    pub next: U32,
    /// Place in the record.
    pub index: U16,
    /// Blocks of the record.
    pub count: U16,
    /// Bytes of the record.
    pub bytes: U32,
    reserved: U32,
}

/// What stands before the names in a record.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Names {
    /// Bytes of the space's name.
    pub space_bytes: u8,
    /// Bytes of the key.
    pub key_bytes: u8,
    reserved: [u8; 2],
    /// Bytes of the value.
    pub value_bytes: U32,
}

impl Names {
    /// For names and a value of these lengths.
    pub fn new(space_bytes: u8, key_bytes: u8, value_bytes: u32) -> Self {
        Self { space_bytes, key_bytes, reserved: [0; 2], value_bytes: value_bytes.into() }
    }
}

/// Blocks of a record of so many bytes.
pub fn blocks_of(record_bytes: usize) -> usize {
    record_bytes.div_ceil(PAYLOAD)
}

fn crc(sector: &[u8; SECTOR], number: u32) -> u32 {
    let mut digest = CRC.digest();
    digest.update(&sector[8..]);
    digest.update(&number.to_le_bytes());
    digest.finalize()
}

/// Puts the head before the payload that is in `sector`.
pub fn seal(
    sector: &mut [u8; SECTOR],
    number: u32,
    record: u64,
    next: u32,
    (index, count): (usize, usize),
    bytes: usize,
) {
    let mut head = Head {
        magic: MAGIC.into(),
        crc: 0.into(),
        record: record.into(),
        next: next.into(),
        index: (index as u16).into(),
        count: (count as u16).into(),
        bytes: (bytes as u32).into(),
        reserved: 0.into(),
    };
    sector[..size_of::<Head>()].copy_from_slice(head.as_bytes());
    head.crc = crc(sector, number).into();
    sector[..size_of::<Head>()].copy_from_slice(head.as_bytes());
}

/// The head of a block that is whole; `None` for anything else.
pub fn open(sector: &[u8; SECTOR], number: u32) -> Option<Head> {
    let (head, _) = Head::read_from_prefix(sector).ok()?;
    let whole = head.magic == MAGIC && head.crc == crc(sector, number);
    let sane = head.record.get() < END_OF_NUMBERS
        && head.index < head.count
        && usize::from(head.count) == blocks_of(head.bytes.get() as usize);
    (whole && sane).then_some(head)
}

/// Space, key and length of the value of a record, from its first block.
pub fn names<'a>(sector: &'a [u8; SECTOR], head: &Head) -> Option<(&'a [u8], &'a [u8], usize)> {
    let (names, rest) = Names::read_from_prefix(&sector[size_of::<Head>()..]).ok()?;
    let (space_bytes, key_bytes) = (usize::from(names.space_bytes), usize::from(names.key_bytes));
    let value_bytes = names.value_bytes.get() as usize;
    let all = size_of::<Names>().checked_add(space_bytes + key_bytes)?.checked_add(value_bytes)?;
    let (space, rest) = rest.split_at_checked(space_bytes)?;
    let key = rest.get(..key_bytes)?;
    (all == head.bytes.get() as usize).then_some((space, key, value_bytes))
}
