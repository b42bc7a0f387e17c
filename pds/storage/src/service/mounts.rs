//! The two partitions, opened when they are first needed, and again after the disk failed.

use protocols::storage::{DiskInfo, Volume as Place, code};

use crate::error::Error;
use crate::fat::Volume;
use crate::kv::Store;
use crate::kv::block::PAYLOAD;
use crate::partition;
use crate::sectors::{Facts, Part, Range, Sectors};

/// File system and key-value store of the disk.
pub struct Mounts {
    volume: Volume,
    store: Store,
    /// Where they lie, while they are open.
    files: Option<Range>,
    keys: Option<Range>,
}

impl Mounts {
    /// Nothing is open. All zeros but for some constants, so it is best a static: it is larger than a usual stack.
    pub const fn new() -> Self {
        Self { volume: Volume::new(), store: Store::new(), files: None, keys: None }
    }

    /// Does something with the file system.
    ///
    /// # Errors
    /// The disk's; [`Error::NotFormatted`]; or what `act` gives.
    pub fn files<D: Sectors, T>(
        &mut self,
        disk: &mut D,
        act: impl FnOnce(&mut Volume, &mut Part<'_, D>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let range = match self.files {
            Some(range) => range,
            None => {
                let Facts { sectors, .. } = disk.facts()?;
                let range = partition::find(disk, sectors)?.files.ok_or(Error::NotFormatted)?;
                self.volume.open(&mut Part::new(disk, range), range.sectors)?;
                self.files = Some(range);
                range
            }
        };
        let result = act(&mut self.volume, &mut Part::new(disk, range));
        // What is in memory may be ahead of the disk then.
        if matches!(result, Err(Error::Disk(_) | Error::Corrupt)) {
            self.files = None;
        }
        result
    }

    /// Does something with the key-value store.
    ///
    /// # Errors
    /// As [`Mounts::files`].
    pub fn keys<D: Sectors, T>(
        &mut self,
        disk: &mut D,
        act: impl FnOnce(&mut Store, &mut Part<'_, D>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let range = match self.keys {
            Some(range) => range,
            None => {
                let Facts { sectors, read_only } = disk.facts()?;
                let range = partition::find(disk, sectors)?.keys.ok_or(Error::NotFormatted)?;
                self.store.open(&mut Part::new(disk, range), range.sectors, read_only)?;
                self.keys = Some(range);
                range
            }
        };
        let result = act(&mut self.store, &mut Part::new(disk, range));
        if matches!(result, Err(Error::Disk(_) | Error::Corrupt)) {
            self.keys = None;
        }
        result
    }

    /// Makes a folder and those above it, where there are none.
    ///
    /// # Errors
    /// As [`Mounts::files`].
    pub fn make_folders(&mut self, disk: &mut impl Sectors, path: &str) -> Result<(), Error> {
        let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([path.len()]);
        for end in ends {
            match self.files(disk, |volume, part| volume.make_folder(part, &path[..end])) {
                Ok(()) | Err(Error::Exists) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// How the disk is, and how full.
    pub fn disk_info(&mut self, disk: &mut impl Sectors) -> DiskInfo {
        let facts = disk.facts();
        let Facts { sectors, read_only } = facts.unwrap_or_default();
        let place = |result: Result<(u32, u64, u64), Error>| match result {
            Ok((unit_bytes, bytes, free)) => Place { code: code::DONE, unit_bytes, bytes, free },
            Err(error) => Place { code: error.code(), ..Place::default() },
        };
        let files = self.files(disk, |volume, part| {
            let (bytes, free) = volume.capacity(part)?;
            Ok((volume.cluster_bytes(), bytes, free))
        });
        let keys = self.keys(disk, |store, _| {
            let (bytes, free) = store.capacity();
            Ok((PAYLOAD as u32, bytes, free))
        });
        DiskInfo {
            disk_bytes: sectors.saturating_mul(crate::sectors::SECTOR as u64),
            read_only: read_only.into(),
            fat_bits: if files.is_ok() { self.volume.bits() } else { 0 },
            files: place(files),
            keys: place(keys),
        }
    }

    /// What is wrong with the disk, if something is: files, then keys.
    pub fn look(&mut self, disk: &mut impl Sectors) -> Result<(), Error> {
        self.files(disk, |_, _| Ok(()))?;
        self.keys(disk, |_, _| Ok(()))
    }
}

impl Default for Mounts {
    fn default() -> Self {
        Self::new()
    }
}
