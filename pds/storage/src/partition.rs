//! Where on a disk files and keys lie.
//!
//! A disk has a partition table in its first sector (the PC's "MBR"): the first partition of a FAT type holds the files, the
//! first of type 0xDA ("data without file system") the keys. A disk whose first sector is a FAT boot sector has files only.

use crate::error::Error;
use crate::fat::is_boot_sector;
use crate::sectors::{Range, SECTOR, Sectors};

/// Partition type of the key-value store.
pub const TYPE_KV: u8 = 0xda;
/// Partition types that hold a FAT file system, as mkfs and others name them.
pub const TYPES_FAT: [u8; 6] = [0x01, 0x04, 0x06, 0x0b, 0x0c, 0x0e];
/// Where the table lies in the sector; four entries of 16 bytes.
const TABLE: usize = 446;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The files.
    pub files: Option<Range>,
    /// The keys.
    pub keys: Option<Range>,
}

/// Reads the table of a disk of `sectors` sectors. A partition that does not fit on the disk is left out.
///
/// # Errors
/// When the disk cannot be read.
pub fn find(disk: &mut impl Sectors, sectors: u64) -> Result<Layout, Error> {
    if sectors == 0 {
        return Ok(Layout::default());
    }
    let mut first = [0; SECTOR];
    disk.read(0, &mut first)?;
    if is_boot_sector(&first) {
        return Ok(Layout { files: Some(Range { start: 0, sectors }), keys: None });
    }
    let mut layout = Layout::default();
    if first[510..] != [0x55, 0xaa] {
        return Ok(layout);
    }
    for entry in first[TABLE..510].chunks_exact(16) {
        let number =
            |at: usize| u64::from(u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]));
        let range = Range { start: number(8), sectors: number(12) };
        if range.start == 0 || range.sectors == 0 || range.start + range.sectors > sectors {
            continue;
        }
        if TYPES_FAT.contains(&entry[4]) {
            layout.files = layout.files.or(Some(range));
        } else if entry[4] == TYPE_KV {
            layout.keys = layout.keys.or(Some(range));
        }
    }
    Ok(layout)
}
