//! What a disk does, and the part of one that a partition is.

use crate::error::DiskError;

/// Bytes of a sector.
pub const SECTOR: usize = 512;

/// What a disk is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Sectors of 512 bytes.
    pub sectors: u64,
    /// It cannot be written.
    pub read_only: bool,
}

/// Whole sectors, read and written.
pub trait Sectors {
    /// What the disk is.
    ///
    /// # Errors
    /// When there is none, or it does not say.
    fn facts(&mut self) -> Result<Facts, DiskError>;

    /// Reads sectors from `sector` on; `into` is a whole number of them.
    ///
    /// # Errors
    /// When the disk does not do it; `into` may have changed.
    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError>;

    /// Writes sectors from `sector` on; `from` is a whole number of them. They are durable after the next
    /// [`Sectors::flush`], and until then it is open which of them are, wholly or in part.
    ///
    /// # Errors
    /// When the disk does not do it; what is on these sectors is open then.
    fn write(&mut self, sector: u64, from: &[u8]) -> Result<(), DiskError>;

    /// Makes durable what was written.
    ///
    /// # Errors
    /// When the disk does not do it; which of the writes since the last flush are durable is open then.
    fn flush(&mut self) -> Result<(), DiskError>;
}

/// A range of sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first one.
    pub start: u64,
    /// How many.
    pub sectors: u64,
}

/// The sectors of a range, counted from its start; there are no others.
#[derive(Debug)]
pub struct Part<'a, D> {
    disk: &'a mut D,
    range: Range,
}

impl<'a, D: Sectors> Part<'a, D> {
    /// The sectors `range` of `disk`.
    pub fn new(disk: &'a mut D, range: Range) -> Self {
        Self { disk, range }
    }

    fn locate(&self, sector: u64, bytes: usize) -> Result<u64, DiskError> {
        let end = sector.checked_add((bytes / SECTOR) as u64).filter(|end| *end <= self.range.sectors);
        end.and_then(|_| self.range.start.checked_add(sector)).ok_or(DiskError::OutOfRange)
    }
}

impl<D: Sectors> Sectors for Part<'_, D> {
    fn facts(&mut self) -> Result<Facts, DiskError> {
        Ok(Facts { sectors: self.range.sectors, ..self.disk.facts()? })
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        self.disk.read(self.locate(sector, into.len())?, into)
    }

    fn write(&mut self, sector: u64, from: &[u8]) -> Result<(), DiskError> {
        self.disk.write(self.locate(sector, from.len())?, from)
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        self.disk.flush()
    }
}

/// A disk that may not be there.
impl<D: Sectors> Sectors for Option<D> {
    fn facts(&mut self) -> Result<Facts, DiskError> {
        self.as_mut().ok_or(DiskError::NoDisk)?.facts()
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        self.as_mut().ok_or(DiskError::NoDisk)?.read(sector, into)
    }

    fn write(&mut self, sector: u64, from: &[u8]) -> Result<(), DiskError> {
        self.as_mut().ok_or(DiskError::NoDisk)?.write(sector, from)
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        self.as_mut().ok_or(DiskError::NoDisk)?.flush()
    }
}
