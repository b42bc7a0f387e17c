//! Where things lie on a FAT partition: what its boot sector says.

use super::folder::Folder;
use crate::error::Error;
use crate::sectors::{SECTOR, Sectors};

/// The size of clusters and where tables, root folder and data lie, in sectors of the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// 12, 16 or 32.
    pub bits: u32,
    /// Sectors of a cluster.
    pub cluster_sectors: u32,
    /// The first table.
    pub table_start: u64,
    /// Sectors of one table.
    pub table_sectors: u64,
    /// Tables that are written.
    pub tables: u64,
    /// The root folder.
    pub root: Folder,
    /// The first cluster, which has number 2.
    pub data_start: u64,
    /// How many clusters there are.
    pub clusters: u32,
    /// Where FAT32 keeps the number of free clusters.
    pub summary: Option<u64>,
}

fn word(sector: &[u8; SECTOR], at: usize) -> u32 {
    u32::from(u16::from_le_bytes([sector[at], sector[at + 1]]))
}

fn long(sector: &[u8; SECTOR], at: usize) -> u32 {
    word(sector, at) | word(sector, at + 2) << 16
}

/// Whether a sector is the first one of a FAT file system, rather than a partition table.
pub fn is_boot_sector(sector: &[u8; SECTOR]) -> bool {
    // A jump, and fields that no table has in its place (section "Boot Sector and BPB").
    matches!((sector[0], sector[2]), (0xeb, 0x90) | (0xe9, _))
        && word(sector, 11) == SECTOR as u32
        && sector[13].is_power_of_two()
        && word(sector, 14) != 0
        && matches!(sector[16], 1..=4)
}

impl Geometry {
    /// Of no file system.
    pub const NONE: Geometry = Geometry {
        bits: 0,
        cluster_sectors: 0,
        table_start: 0,
        table_sectors: 0,
        tables: 0,
        root: Folder::Fixed { start: 0, sectors: 0 },
        data_start: 0,
        clusters: 0,
        summary: None,
    };

    /// Reads the boot sector of a partition of `sectors` sectors; `None` if it makes no sense.
    pub fn parse(sector: &[u8; SECTOR], sectors: u64) -> Option<Geometry> {
        if !is_boot_sector(sector) {
            return None;
        }
        let cluster_sectors = u32::from(sector[13]);
        let reserved = u64::from(word(sector, 14));
        let tables = u64::from(sector[16]);
        let root_sectors = u64::from((word(sector, 17) * 32).div_ceil(SECTOR as u32));
        let short = |at: usize, long_at: usize| match word(sector, at) {
            0 => u64::from(long(sector, long_at)),
            number => u64::from(number),
        };
        let (all, table_sectors) = (short(19, 32), short(22, 36));
        let root_start = reserved + tables * table_sectors;
        let data_start = root_start + root_sectors;
        let data_sectors = all.checked_sub(data_start)?;
        let clusters = (data_sectors / u64::from(cluster_sectors)) as u32;
        if all > sectors || clusters == 0 || table_sectors == 0 {
            return None;
        }
        // The number of clusters alone decides (section "FAT Type Determination").
        let bits = match clusters {
            ..4085 => 12,
            4085..65525 => 16,
            65525..0x0fff_fff5 => 32,
            _ => return None,
        };
        // A table that is too short for them has no place for the last ones.
        if table_sectors * SECTOR as u64 * 8 < (u64::from(clusters) + 2) * u64::from(bits) {
            return None;
        }
        let mut geometry = Geometry {
            bits,
            cluster_sectors,
            table_start: reserved,
            table_sectors,
            tables,
            root: Folder::Fixed { start: root_start, sectors: root_sectors as u32 },
            data_start,
            clusters,
            summary: None,
        };
        if bits == 32 {
            let root = long(sector, 44);
            if root_sectors != 0 || !geometry.has(root) {
                return None;
            }
            geometry.root = Folder::Chain { first: root };
            geometry.summary = Some(u64::from(word(sector, 48))).filter(|at| *at != 0 && *at < reserved);
            // Tables need not be copies of each other (BPB_ExtFlags).
            let flags = word(sector, 40);
            if flags & 0x80 != 0 {
                let active = u64::from(flags & 0xf);
                if active >= tables {
                    return None;
                }
                geometry.table_start += active * table_sectors;
                geometry.tables = 1;
            }
        } else if root_sectors == 0 {
            return None;
        }
        Some(geometry)
    }

    /// Whether there is a cluster of this number.
    pub fn has(&self, cluster: u32) -> bool {
        (2..self.clusters + 2).contains(&cluster)
    }

    /// The first sector of a cluster.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if there is no such cluster.
    pub fn sector_of(&self, cluster: u32) -> Result<u64, Error> {
        if !self.has(cluster) {
            return Err(Error::Corrupt);
        }
        Ok(self.data_start + u64::from(cluster - 2) * u64::from(self.cluster_sectors))
    }
}

/// Says in the sector of the summary (section "FAT32 FSInfo Sector Structure") that neither the number of free clusters nor a
/// place to look for them is known.
pub fn forget_summary(disk: &mut impl Sectors, at: u64) -> Result<(), Error> {
    let mut sector = [0; SECTOR];
    disk.read(at, &mut sector)?;
    if long(&sector, 0) == 0x4161_5252 && long(&sector, 484) == 0x6141_7272 {
        sector[488..496].fill(0xff);
        disk.write(at, &sector)?;
    }
    Ok(())
}
