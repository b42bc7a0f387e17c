//! The FAT file system (12, 16 and 32 bits) with long names, read and written.
//!
//! Source: Microsoft, "FAT: General Overview of On-Disk Format", version 1.03, 6 December 2000; its sections are named where they
//! matter.
//!
//! It is the project's own because no crate of the field does all of this: long names written, no heap, and an end to
//! every walk whatever is on the disk. `embedded-sdmmc` does not write long names nor read 12 bits; `fatfs` as it is
//! released needs `std`; both follow a chain of clusters for as long as it goes on. On the host, `fatfs` makes the images
//! and checks in the tests what is written here.
//!
//! # What power loss leaves
//! Data comes first, then the table, then a flush, then the folder's entry; what is freed is freed after the entry was flushed.
//! So a file has its old length or its new one, and an entry never names clusters that are free. What may be left are
//! clusters that no file has: `fsck.fat` on a host finds them. A file that is replaced has its old content or its new one.
//!
//! # Limits
//! Sectors of 512 bytes; folders of at most 65,536 entries. There is no time of day, so files are made in 1980.

mod file;
mod folder;
mod geometry;
mod name;
mod table;

pub use folder::{Entry, Folder};
pub use geometry::{Geometry, is_boot_sector};
pub use name::{MAX_NAME, Name};

use crate::error::Error;
use crate::sectors::{SECTOR, Sectors};
use table::Table;

/// What a file or folder is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Bytes of the file.
    pub bytes: u64,
    /// It is a folder.
    pub folder: bool,
}

/// How a write treats what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// Make the file if there is none.
    pub create: bool,
    /// There must be none.
    pub new: bool,
    /// Write at the end.
    pub append: bool,
    /// Have nothing but what is written.
    pub replace: bool,
}

/// A file system. After an error of the disk it is to be opened anew: it may know of changes that the disk does not have.
#[derive(Debug)]
pub struct Volume {
    geometry: Geometry,
    table: Table,
    /// Where the walk along a chain last was: its first cluster, a place in it, and the cluster there.
    place: (u32, u32, u32),
    /// The sector in which the kept number of free clusters is, until it was made unknown.
    summary: Option<u64>,
}

impl Volume {
    /// Without a file system; it has no clusters.
    pub const fn new() -> Self {
        Self { geometry: Geometry::NONE, table: Table::new(), place: (0, 0, 0), summary: None }
    }

    /// Opens the file system on a partition of `sectors` sectors.
    ///
    /// # Errors
    /// [`Error::NotFormatted`], or the disk's.
    pub fn open(&mut self, disk: &mut impl Sectors, sectors: u64) -> Result<(), Error> {
        self.table.forget();
        (self.geometry, self.place) = (Geometry::NONE, (0, 0, 0));
        if sectors == 0 {
            return Err(Error::NotFormatted);
        }
        let mut first = [0; SECTOR];
        disk.read(0, &mut first)?;
        self.geometry = Geometry::parse(&first, sectors).ok_or(Error::NotFormatted)?;
        self.summary = self.geometry.summary;
        Ok(())
    }

    /// 12, 16 or 32.
    pub fn bits(&self) -> u32 {
        self.geometry.bits
    }

    /// Bytes of a cluster.
    pub fn cluster_bytes(&self) -> u32 {
        self.geometry.cluster_sectors * SECTOR as u32
    }

    /// Bytes of all clusters, and of the free ones. Reads the whole table the first time.
    ///
    /// # Errors
    /// The disk's.
    pub fn capacity(&mut self, disk: &mut impl Sectors) -> Result<(u64, u64), Error> {
        let free = self.table.count_free(disk, &self.geometry)?;
        let bytes = |clusters: u32| u64::from(clusters) * u64::from(self.cluster_bytes());
        Ok((bytes(self.geometry.clusters), bytes(free)))
    }

    /// Writes the table out, and says first that nobody knows how many clusters are free.
    fn sync(&mut self, disk: &mut impl Sectors) -> Result<(), Error> {
        if let Some(sector) = self.summary.take() {
            geometry::forget_summary(disk, sector)?;
        }
        self.table.write_back(disk, &self.geometry)?;
        Ok(disk.flush()?)
    }
}

impl Default for Volume {
    fn default() -> Self {
        Self::new()
    }
}
