//! A disk in memory, with a cache that power loss empties in every way that it may, and with faults.
#![allow(dead_code, reason = "each test uses a part of it")]

use storage::DiskError;
use storage::sectors::{Facts, SECTOR, Sectors};

/// The disk. What was written since the last flush is in `pending` alone.
#[derive(Clone)]
pub struct Disk {
    pub durable: Vec<u8>,
    pub pending: Vec<(u64, Vec<u8>)>,
    current: Vec<u8>,
    /// Writes and flushes that still work; then everything fails.
    pub operations_left: Option<usize>,
    pub writes: usize,
    pub reads: usize,
    pub read_only: bool,
    pub absent: bool,
    /// Writes of each sector.
    pub wear: Vec<u32>,
}

impl Disk {
    pub fn new(bytes: Vec<u8>) -> Self {
        let wear = vec![0; bytes.len() / SECTOR];
        Disk {
            current: bytes.clone(),
            durable: bytes,
            pending: Vec::new(),
            operations_left: None,
            writes: 0,
            reads: 0,
            read_only: false,
            absent: false,
            wear,
        }
    }

    pub fn zeroed(sectors: usize) -> Self {
        Disk::new(vec![0; sectors * SECTOR])
    }

    /// What the disk's user sees.
    pub fn bytes(&self) -> &[u8] {
        &self.current
    }

    /// How many sectors there are.
    pub fn sectors(&self) -> u64 {
        (self.current.len() / SECTOR) as u64
    }

    fn works(&mut self) -> Result<(), DiskError> {
        match &mut self.operations_left {
            Some(0) => Err(DiskError::Failed),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The disk after power came back: of what was written since the last flush, some sectors are there, some are not, some
    /// are torn, at the word of `random`.
    pub fn after_power_loss(&self, mut random: impl FnMut() -> u64) -> Disk {
        let mut bytes = self.durable.clone();
        for (sector, data) in &self.pending {
            for (index, new) in data.chunks(SECTOR).enumerate() {
                let at = (*sector as usize + index) * SECTOR;
                let old = &mut bytes[at..at + SECTOR];
                match random() % 6 {
                    0 | 1 => {}
                    2 | 3 => old.copy_from_slice(new),
                    4 => {
                        let cut = random() as usize % SECTOR;
                        old[..cut].copy_from_slice(&new[..cut]);
                    }
                    _ => {
                        let cut = random() as usize % SECTOR;
                        old[cut..].copy_from_slice(&new[cut..]);
                    }
                }
            }
        }
        Disk::new(bytes)
    }
}

impl Sectors for Disk {
    fn facts(&mut self) -> Result<Facts, DiskError> {
        if self.absent {
            return Err(DiskError::NoDisk);
        }
        Ok(Facts { sectors: Disk::sectors(self), read_only: self.read_only })
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        if self.operations_left == Some(0) {
            return Err(DiskError::Failed);
        }
        self.reads += 1;
        let from = usize::try_from(sector).ok().and_then(|sector| sector.checked_mul(SECTOR));
        let from = from.and_then(|from| self.current.get(from..)?.get(..into.len()));
        into.copy_from_slice(from.ok_or(DiskError::OutOfRange)?);
        Ok(())
    }

    fn write(&mut self, sector: u64, from: &[u8]) -> Result<(), DiskError> {
        assert!(from.len().is_multiple_of(SECTOR) && !from.is_empty());
        if self.read_only {
            return Err(DiskError::ReadOnly);
        }
        let at = usize::try_from(sector).ok().and_then(|sector| sector.checked_mul(SECTOR));
        let to = at.and_then(|at| self.current.get_mut(at..)?.get_mut(..from.len())).ok_or(DiskError::OutOfRange)?;
        let works = match self.operations_left {
            Some(0) => false,
            _ => true,
        };
        // A write that fails may have been done all the same.
        if works {
            to.copy_from_slice(from);
        }
        self.pending.push((sector, from.to_vec()));
        self.writes += 1;
        for index in 0..from.len() / SECTOR {
            self.wear[sector as usize + index] += 1;
        }
        self.works()
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        self.works()?;
        self.durable.copy_from_slice(&self.current);
        self.pending.clear();
        Ok(())
    }
}

/// A small generator of numbers that repeats (xorshift64*).
pub fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
}
