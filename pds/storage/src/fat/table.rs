//! The table: which cluster follows which.

use heapless::Vec;

use super::geometry::Geometry;
use crate::error::Error;
use crate::sectors::{SECTOR, Sectors};

/// Sectors of the table that are in memory.
const WINDOW: usize = 8;
/// Clusters that are allocated at once, at most: for 32 KiB in clusters of one sector, and one more.
pub const MAX_ALLOCATION: usize = 66;

/// What the table says of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Nothing has it.
    Free,
    /// This one follows.
    Next(u32),
    /// It is the last.
    End,
}

/// A part of the table in memory, which may be newer than on the disk.
#[derive(Debug)]
pub struct Table {
    window: [u8; WINDOW * SECTOR],
    /// The first sector in the window, counted from the table's start.
    start: Option<u64>,
    /// A bit for each sector in the window that the disk does not have.
    dirty: u8,
    /// Where the search for a free cluster begins.
    hint: u32,
    free: Option<u32>,
}

impl Table {
    pub const fn new() -> Self {
        Self { window: [0; WINDOW * SECTOR], start: None, dirty: 0, hint: 0, free: None }
    }

    /// Forgets everything, what was not written out too.
    pub fn forget(&mut self) {
        (self.start, self.dirty, self.hint, self.free) = (None, 0, 0, None);
    }

    /// Writes all copies of what changed.
    pub fn write_back(&mut self, disk: &mut impl Sectors, geometry: &Geometry) -> Result<(), Error> {
        let Some(start) = self.start else { return Ok(()) };
        for (index, sector) in self.window.as_chunks::<SECTOR>().0.iter().enumerate() {
            if self.dirty & 1 << index == 0 {
                continue;
            }
            for copy in 0..geometry.tables {
                let table = geometry.table_start + copy * geometry.table_sectors;
                disk.write(table + start + index as u64, sector)?;
            }
            self.dirty &= !(1 << index);
        }
        Ok(())
    }

    /// Brings the byte at `offset` of the table into the window; gives where.
    fn load(&mut self, disk: &mut impl Sectors, geometry: &Geometry, offset: u64) -> Result<usize, Error> {
        let sector = offset / SECTOR as u64;
        let start = sector - sector % WINDOW as u64;
        if self.start != Some(start) {
            self.write_back(disk, geometry)?;
            self.start = None;
            let sectors = geometry.table_sectors.saturating_sub(start).min(WINDOW as u64) as usize;
            disk.read(geometry.table_start + start, &mut self.window[..sectors * SECTOR])?;
            self.start = Some(start);
        }
        Ok((offset - start * SECTOR as u64) as usize)
    }

    fn byte(&mut self, disk: &mut impl Sectors, geometry: &Geometry, offset: u64) -> Result<u32, Error> {
        let at = self.load(disk, geometry, offset)?;
        Ok(self.window[at].into())
    }

    fn set_byte(&mut self, disk: &mut impl Sectors, geometry: &Geometry, offset: u64, byte: u32) -> Result<(), Error> {
        let at = self.load(disk, geometry, offset)?;
        self.window[at] = byte as u8;
        self.dirty |= 1 << (at / SECTOR);
        Ok(())
    }

    /// Where a cluster's entry lies, and in how many bytes.
    fn entry(geometry: &Geometry, cluster: u32) -> (u64, u64) {
        let cluster = u64::from(cluster);
        match geometry.bits {
            12 => (cluster + cluster / 2, 2),
            16 => (2 * cluster, 2),
            _ => (4 * cluster, 4),
        }
    }

    /// An entry as it stands there; of 12 bits, with those of its neighbour.
    fn raw(&mut self, disk: &mut impl Sectors, geometry: &Geometry, cluster: u32) -> Result<u32, Error> {
        let (offset, bytes) = Self::entry(geometry, cluster);
        let mut value = 0;
        for index in 0..bytes {
            value |= self.byte(disk, geometry, offset + index)? << (8 * index);
        }
        Ok(value)
    }

    /// What follows a cluster.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if there is no such cluster, or the table names none; or the disk's.
    pub fn next(&mut self, disk: &mut impl Sectors, geometry: &Geometry, cluster: u32) -> Result<Link, Error> {
        if !geometry.has(cluster) {
            return Err(Error::Corrupt);
        }
        let raw = self.raw(disk, geometry, cluster)?;
        let (value, end) = match geometry.bits {
            12 if cluster % 2 == 1 => (raw >> 4, 0xff8),
            12 => (raw & 0xfff, 0xff8),
            16 => (raw, 0xfff8),
            _ => (raw & 0x0fff_ffff, 0x0fff_fff8),
        };
        match value {
            0 => Ok(Link::Free),
            value if geometry.has(value) => Ok(Link::Next(value)),
            value if value >= end => Ok(Link::End),
            _ => Err(Error::Corrupt),
        }
    }

    /// Says what follows a cluster.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if there is no such cluster; or the disk's.
    pub fn set(&mut self, disk: &mut impl Sectors, geometry: &Geometry, cluster: u32, link: Link) -> Result<(), Error> {
        if !geometry.has(cluster) {
            return Err(Error::Corrupt);
        }
        let value = match link {
            Link::Free => 0,
            Link::Next(next) => next,
            Link::End => 0x0fff_ffff,
        };
        let old = self.raw(disk, geometry, cluster)?;
        let new = match geometry.bits {
            12 if cluster % 2 == 1 => old & 0xf | (value & 0xfff) << 4,
            12 => old & 0xf000 | value & 0xfff,
            16 => value & 0xffff,
            // The upper four bits are not the table's.
            _ => old & 0xf000_0000 | value,
        };
        let (offset, bytes) = Self::entry(geometry, cluster);
        for index in 0..bytes {
            self.set_byte(disk, geometry, offset + index, new >> (8 * index) & 0xff)?;
        }
        Ok(())
    }

    /// Finds free clusters and makes a chain of them.
    ///
    /// # Errors
    /// [`Error::Full`] if there are not as many, and then nothing has changed; or the disk's.
    pub fn allocate(
        &mut self,
        disk: &mut impl Sectors,
        geometry: &Geometry,
        count: usize,
    ) -> Result<Vec<u32, MAX_ALLOCATION>, Error> {
        let mut found = Vec::new();
        let end = geometry.clusters + 2;
        let start = if geometry.has(self.hint) { self.hint } else { 2 };
        for cluster in (start..end).chain(2..start) {
            if found.len() == count {
                break;
            }
            // An entry that makes no sense is not free.
            match self.next(disk, geometry, cluster) {
                Ok(Link::Free) => found.push(cluster).map_err(|_| Error::TooLarge)?,
                Ok(_) | Err(Error::Corrupt) => {}
                Err(error) => return Err(error),
            }
        }
        if found.len() < count {
            return Err(Error::Full);
        }
        for (index, cluster) in found.iter().enumerate() {
            let link = found.get(index + 1).map_or(Link::End, |next| Link::Next(*next));
            self.set(disk, geometry, *cluster, link)?;
        }
        if let Some(last) = found.last() {
            self.hint = last + 1;
        }
        self.free = self.free.map(|free| free.saturating_sub(count as u32));
        Ok(found)
    }

    /// Frees a chain from `first` on, as far as it is in order.
    ///
    /// # Errors
    /// The disk's.
    pub fn release(&mut self, disk: &mut impl Sectors, geometry: &Geometry, first: u32) -> Result<(), Error> {
        let mut cluster = first;
        // A chain that bites its tail ends at a cluster that was freed already.
        for _ in 0..geometry.clusters {
            let link = match self.next(disk, geometry, cluster) {
                Ok(Link::Free) | Err(Error::Corrupt) => return Ok(()),
                Ok(link) => link,
                Err(error) => return Err(error),
            };
            self.set(disk, geometry, cluster, Link::Free)?;
            self.free = self.free.map(|free| free + 1);
            match link {
                Link::Next(next) => cluster = next,
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// How many clusters are free.
    ///
    /// # Errors
    /// The disk's.
    pub fn count_free(&mut self, disk: &mut impl Sectors, geometry: &Geometry) -> Result<u32, Error> {
        if let Some(free) = self.free {
            return Ok(free);
        }
        let mut free = 0;
        for cluster in 2..geometry.clusters + 2 {
            match self.next(disk, geometry, cluster) {
                Ok(Link::Free) => free += 1,
                Ok(_) | Err(Error::Corrupt) => {}
                Err(error) => return Err(error),
            }
        }
        self.free = Some(free);
        Ok(free)
    }
}
