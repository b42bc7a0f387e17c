//! A disk in memory.

use storage::DiskError;
use storage::sectors::{Facts, SECTOR, Sectors};

/// Its bytes: whole sectors.
pub struct Disk(pub Vec<u8>);

impl Disk {
    /// A disk that begins with these bytes, of at most so many sectors.
    pub fn new(bytes: &[u8], most_sectors: usize) -> Self {
        let mut disk = bytes[..bytes.len().min(most_sectors * SECTOR)].to_vec();
        disk.resize(disk.len().next_multiple_of(SECTOR), 0);
        Disk(disk)
    }

    fn range(&self, sector: u64, bytes: usize) -> Result<std::ops::Range<usize>, DiskError> {
        let start = usize::try_from(sector).ok().and_then(|sector| sector.checked_mul(SECTOR));
        let range = start.and_then(|start| Some(start..start.checked_add(bytes)?));
        range.filter(|range| range.end <= self.0.len()).ok_or(DiskError::OutOfRange)
    }
}

impl Sectors for Disk {
    fn facts(&mut self) -> Result<Facts, DiskError> {
        Ok(Facts { sectors: (self.0.len() / SECTOR) as u64, read_only: false })
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        into.copy_from_slice(&self.0[self.range(sector, into.len())?]);
        Ok(())
    }

    fn write(&mut self, sector: u64, from: &[u8]) -> Result<(), DiskError> {
        let range = self.range(sector, from.len())?;
        self.0[range].copy_from_slice(from);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        Ok(())
    }
}
