//! What can be done with a path.

use core::ops::ControlFlow;

use super::folder::{self, Entry, FILE, FOLDER, Folder};
use super::name::{self};
use super::table::{Link, MAX_ALLOCATION};
use super::{Info, Mode, Volume};
use crate::error::Error;
use crate::sectors::{SECTOR, Sectors};

/// Bytes of a file that are written at once, at most.
const MAX_WRITE: usize = (MAX_ALLOCATION - 2) * SECTOR;

/// What a path names.
enum Found<'a> {
    Root,
    Entry(Entry),
    /// Nothing, in this folder, by this name.
    Nothing(Folder, &'a str),
}

/// The parts of a path.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

impl Volume {
    fn look_up<'a>(&mut self, disk: &mut impl Sectors, path: &'a str) -> Result<Found<'a>, Error> {
        let mut found = Found::Root;
        for part in parts(path) {
            if matches!(part, "." | "..") {
                return Err(Error::BadName);
            }
            let folder = match &found {
                Found::Root => self.geometry.root,
                Found::Entry(entry) => self.inside(entry)?,
                Found::Nothing(..) => return Err(Error::NotFound),
            };
            found = match self.find(disk, folder, part)? {
                Some(entry) => Found::Entry(entry),
                None => Found::Nothing(folder, part),
            };
        }
        Ok(found)
    }

    /// The entry of a path that is not the root.
    fn existing(&mut self, disk: &mut impl Sectors, path: &str) -> Result<Entry, Error> {
        match self.look_up(disk, path)? {
            Found::Entry(entry) => Ok(entry),
            Found::Root => Err(Error::IsAFolder),
            Found::Nothing(..) => Err(Error::NotFound),
        }
    }

    fn file(&mut self, disk: &mut impl Sectors, path: &str) -> Result<Entry, Error> {
        let entry = self.existing(disk, path)?;
        if entry.is_folder { Err(Error::IsAFolder) } else { Ok(entry) }
    }

    /// What a path names.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the disk's; as for all that follow.
    pub fn stat(&mut self, disk: &mut impl Sectors, path: &str) -> Result<Info, Error> {
        match self.look_up(disk, path)? {
            Found::Root => Ok(Info { bytes: 0, folder: true }),
            Found::Entry(entry) => Ok(entry.info()),
            Found::Nothing(..) => Err(Error::NotFound),
        }
    }

    /// Gives the entries of a folder from place `from` on, until `each` returns false for one. The place to go on at, or 0 if
    /// that was all.
    ///
    /// # Errors
    /// [`Error::NotAFolder`] among others.
    pub fn list(
        &mut self,
        disk: &mut impl Sectors,
        path: &str,
        from: u64,
        mut each: impl FnMut(&Entry) -> bool,
    ) -> Result<u64, Error> {
        let folder = match self.look_up(disk, path)? {
            Found::Root => self.geometry.root,
            Found::Entry(entry) => self.inside(&entry)?,
            Found::Nothing(..) => return Err(Error::NotFound),
        };
        let from = u32::try_from(from).unwrap_or(u32::MAX);
        let rest = self.scan(disk, folder, from, |entry, _| {
            if folder::is_dots(entry) || each(entry) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(entry.first_slot)
            }
        })?;
        Ok(rest.unwrap_or(0).into())
    }

    /// Reads a file from `offset` on; how many bytes there were, and what the file is.
    ///
    /// # Errors
    /// [`Error::BeyondEnd`] among others.
    pub fn read(
        &mut self,
        disk: &mut impl Sectors,
        path: &str,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(usize, Info), Error> {
        let entry = self.file(disk, path)?;
        let offset = u32::try_from(offset).ok().filter(|offset| *offset <= entry.bytes).ok_or(Error::BeyondEnd)?;
        let length = into.len().min((entry.bytes - offset) as usize);
        self.read_at(disk, entry.cluster, offset, &mut into[..length])?;
        Ok((length, entry.info()))
    }

    /// Writes to a file; what it is then.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::BeyondEnd`], [`Error::TooLarge`] and others; then nothing has changed, unless it is the disk's.
    pub fn write(
        &mut self,
        disk: &mut impl Sectors,
        path: &str,
        offset: u64,
        bytes: &[u8],
        mode: Mode,
    ) -> Result<Info, Error> {
        if bytes.len() > MAX_WRITE {
            return Err(Error::TooLarge);
        }
        let entry = match self.look_up(disk, path)? {
            Found::Root => return Err(Error::IsAFolder),
            Found::Entry(entry) if entry.is_folder => return Err(Error::IsAFolder),
            Found::Entry(_) if mode.new => return Err(Error::Exists),
            Found::Entry(entry) => entry,
            Found::Nothing(folder, name) if mode.create || mode.new => {
                return if offset == 0 { self.create(disk, folder, name, bytes) } else { Err(Error::BeyondEnd) };
            }
            Found::Nothing(..) => return Err(Error::NotFound),
        };
        let length = if mode.replace {
            let cluster = self.chain_with(disk, bytes)?;
            self.sync(disk)?;
            self.set_entry(disk, &entry, cluster, bytes.len() as u32)?;
            self.release(disk, entry.cluster)?;
            bytes.len() as u32
        } else {
            let offset = if mode.append { entry.bytes.into() } else { offset };
            let offset = u32::try_from(offset).ok().filter(|offset| *offset <= entry.bytes).ok_or(Error::BeyondEnd)?;
            let end = u32::try_from(bytes.len()).ok().and_then(|length| offset.checked_add(length));
            let length = end.ok_or(Error::TooLarge)?.max(entry.bytes);
            let cluster = self.lengthen(disk, entry.cluster, length)?;
            self.write_at(disk, cluster, offset, bytes)?;
            self.sync(disk)?;
            if (cluster, length) != (entry.cluster, entry.bytes) {
                self.set_entry(disk, &entry, cluster, length)?;
            }
            length
        };
        Ok(Info { bytes: length.into(), folder: false })
    }

    /// Cuts a file down to `length` bytes.
    ///
    /// # Errors
    /// [`Error::BeyondEnd`] if it is shorter, among others.
    pub fn truncate(&mut self, disk: &mut impl Sectors, path: &str, length: u64) -> Result<Info, Error> {
        let entry = self.file(disk, path)?;
        let length = u32::try_from(length).ok().filter(|length| *length <= entry.bytes).ok_or(Error::BeyondEnd)?;
        let keep = length.div_ceil(self.cluster_bytes());
        let last = match keep.checked_sub(1) {
            Some(last) => Some(self.seek(disk, entry.cluster, last)?.ok_or(Error::Corrupt)?),
            None => None,
        };
        self.set_entry(disk, &entry, if last.is_some() { entry.cluster } else { 0 }, length)?;
        match last {
            None => self.release(disk, entry.cluster)?,
            Some(last) => {
                if let Link::Next(next) = self.table.next(disk, &self.geometry, last)? {
                    self.table.set(disk, &self.geometry, last, Link::End)?;
                    self.sync(disk)?;
                    self.release(disk, next)?;
                }
            }
        }
        Ok(Info { bytes: length.into(), folder: false })
    }

    /// Removes a file or an empty folder.
    ///
    /// # Errors
    /// [`Error::NotEmpty`] among others.
    pub fn remove(&mut self, disk: &mut impl Sectors, path: &str) -> Result<(), Error> {
        let entry = self.existing(disk, path)?;
        if entry.is_folder {
            let folder = self.inside(&entry)?;
            if !self.is_empty(disk, folder)? {
                return Err(Error::NotEmpty);
            }
        }
        self.remove_entry(disk, &entry)?;
        self.release(disk, entry.cluster)
    }

    /// Gives a file or folder another name, perhaps in another folder. Power loss in between leaves both names.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is something of the new name; [`Error::BadName`] for a folder that would be moved into itself.
    pub fn rename(&mut self, disk: &mut impl Sectors, path: &str, to: &str) -> Result<(), Error> {
        let entry = self.existing(disk, path)?;
        if entry.is_folder && self.leads_through(disk, to, entry.cluster)? {
            return Err(Error::BadName);
        }
        let (folder, name) = match self.look_up(disk, to)? {
            Found::Nothing(folder, name) => (folder, name),
            // Another way to write the same name.
            Found::Entry(found) if (found.folder, found.slot) == (entry.folder, entry.slot) => {
                (found.folder, parts(to).last().unwrap_or(""))
            }
            Found::Root | Found::Entry(_) => return Err(Error::Exists),
        };
        let attributes = if entry.is_folder { FOLDER } else { FILE };
        self.add(disk, folder, name, attributes, entry.cluster, entry.bytes)?;
        self.sync(disk)?;
        if entry.is_folder && folder != entry.folder {
            // Its `..` leads to the folder above; 0 stands for the root.
            let parent = match folder {
                Folder::Chain { first } if folder != self.geometry.root => first,
                _ => 0,
            };
            let dots = self.scan(disk, Folder::Chain { first: entry.cluster }, 0, |entry, _| {
                if entry.name.as_str() == ".." { ControlFlow::Break(entry.clone()) } else { ControlFlow::Continue(()) }
            })?;
            if let Some(dots) = dots {
                self.change(disk, &dots, |slot| folder::set_place(slot, parent, 0))?;
            }
        }
        self.remove_entry(disk, &entry)
    }

    /// Whether what a path names lies inside the folder that begins at `cluster`.
    fn leads_through(&mut self, disk: &mut impl Sectors, path: &str, cluster: u32) -> Result<bool, Error> {
        let mut at = self.geometry.root;
        for part in parts(path).take(parts(path).count().saturating_sub(1)) {
            match self.find(disk, at, part)? {
                Some(entry) if entry.is_folder && entry.cluster == cluster => return Ok(true),
                Some(entry) if entry.is_folder => at = self.inside(&entry)?,
                _ => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Makes a folder.
    ///
    /// # Errors
    /// [`Error::Exists`] among others.
    pub fn make_folder(&mut self, disk: &mut impl Sectors, path: &str) -> Result<(), Error> {
        let (folder, name) = match self.look_up(disk, path)? {
            Found::Nothing(folder, name) => (folder, name),
            Found::Root | Found::Entry(_) => return Err(Error::Exists),
        };
        if !name::is_valid(name) {
            return Err(Error::BadName);
        }
        let cluster = self.new_folder_cluster(disk)?;
        let parent = match folder {
            Folder::Chain { first } if folder != self.geometry.root => first,
            _ => 0,
        };
        let dots = [(b".          ", cluster), (b"..         ", parent)];
        self.write_slots(disk, Folder::Chain { first: cluster }, 0, 1, |index| {
            let (name, cluster) = dots[index as usize & 1];
            folder::slot(name, FOLDER, cluster, 0)
        })?;
        self.sync(disk)?;
        self.add_or_release(disk, folder, name, FOLDER, cluster, 0)
    }

    fn create(&mut self, disk: &mut impl Sectors, folder: Folder, name: &str, bytes: &[u8]) -> Result<Info, Error> {
        if !name::is_valid(name) {
            return Err(Error::BadName);
        }
        let cluster = self.chain_with(disk, bytes)?;
        self.sync(disk)?;
        self.add_or_release(disk, folder, name, FILE, cluster, bytes.len() as u32)?;
        Ok(Info { bytes: bytes.len() as u64, folder: false })
    }

    /// Adds an entry, or gives its clusters back when there is no room for it.
    fn add_or_release(
        &mut self,
        disk: &mut impl Sectors,
        folder: Folder,
        name: &str,
        attributes: u8,
        cluster: u32,
        bytes: u32,
    ) -> Result<(), Error> {
        let added = self.add(disk, folder, name, attributes, cluster, bytes);
        if let Err(Error::Full) = added {
            self.release(disk, cluster)?;
        }
        added?;
        Ok(disk.flush()?)
    }

    /// Says in a file's entry where it lies and how long it is.
    fn set_entry(&mut self, disk: &mut impl Sectors, entry: &Entry, cluster: u32, bytes: u32) -> Result<(), Error> {
        self.change(disk, entry, |slot| folder::set_place(slot, cluster, bytes))?;
        Ok(disk.flush()?)
    }

    /// Frees a chain, if there is one.
    fn release(&mut self, disk: &mut impl Sectors, first: u32) -> Result<(), Error> {
        self.place = (0, 0, 0);
        if first == 0 {
            return Ok(());
        }
        self.table.release(disk, &self.geometry, first)?;
        self.sync(disk)
    }

    /// A new chain with these bytes; 0 if there are none.
    fn chain_with(&mut self, disk: &mut impl Sectors, bytes: &[u8]) -> Result<u32, Error> {
        let cluster = self.lengthen(disk, 0, bytes.len() as u32)?;
        self.write_at(disk, cluster, 0, bytes)?;
        Ok(cluster)
    }

    /// Makes a chain long enough for so many bytes, where it is not; gives its first cluster.
    fn lengthen(&mut self, disk: &mut impl Sectors, first: u32, bytes: u32) -> Result<u32, Error> {
        let needed = bytes.div_ceil(self.cluster_bytes().max(1));
        if needed == 0 {
            return Ok(first);
        }
        if needed > self.geometry.clusters {
            return Err(Error::Full);
        }
        if first == 0 {
            let chain = self.table.allocate(disk, &self.geometry, needed as usize)?;
            return Ok(chain[0]);
        }
        if self.seek(disk, first, needed - 1)?.is_some() {
            return Ok(first);
        }
        // The walk ended at the chain's last cluster.
        let (_, last_index, last) = self.place;
        let missing = (needed - 1 - last_index) as usize;
        // A file that lacks more than is written now is shorter than its entry says.
        if missing > MAX_ALLOCATION {
            return Err(Error::Corrupt);
        }
        let chain = self.table.allocate(disk, &self.geometry, missing)?;
        self.table.set(disk, &self.geometry, last, Link::Next(chain[0]))?;
        Ok(first)
    }

    /// The sectors of a chain that lie in a row from place `offset`, a multiple of a sector, on: the first one, and how many, at most
    /// `wanted`.
    fn run(&mut self, disk: &mut impl Sectors, first: u32, offset: u32, wanted: u32) -> Result<(u64, u32), Error> {
        let (cluster_bytes, per_cluster) = (self.cluster_bytes(), self.geometry.cluster_sectors);
        let index = offset / cluster_bytes;
        let mut cluster = self.seek(disk, first, index)?.ok_or(Error::Corrupt)?;
        let within = offset % cluster_bytes / SECTOR as u32;
        let start = self.geometry.sector_of(cluster)? + u64::from(within);
        let mut sectors = per_cluster - within;
        let mut next_index = index + 1;
        while sectors < wanted {
            match self.seek(disk, first, next_index)? {
                Some(next) if next == cluster + 1 => cluster = next,
                _ => break,
            }
            sectors += per_cluster;
            next_index += 1;
        }
        Ok((start, sectors.min(wanted)))
    }

    fn read_at(&mut self, disk: &mut impl Sectors, first: u32, offset: u32, into: &mut [u8]) -> Result<(), Error> {
        let mut done = 0;
        while done < into.len() {
            let at = offset + done as u32;
            let (within, rest) = (at as usize % SECTOR, into.len() - done);
            let start = at - within as u32;
            if within == 0 && rest >= SECTOR {
                let (sector, count) = self.run(disk, first, start, (rest / SECTOR) as u32)?;
                let bytes = count as usize * SECTOR;
                disk.read(sector, &mut into[done..done + bytes])?;
                done += bytes;
            } else {
                let (sector, _) = self.run(disk, first, start, 1)?;
                let mut buffer = [0; SECTOR];
                disk.read(sector, &mut buffer)?;
                let bytes = rest.min(SECTOR - within);
                into[done..done + bytes].copy_from_slice(&buffer[within..within + bytes]);
                done += bytes;
            }
        }
        Ok(())
    }

    fn write_at(&mut self, disk: &mut impl Sectors, first: u32, offset: u32, from: &[u8]) -> Result<(), Error> {
        let mut done = 0;
        while done < from.len() {
            let at = offset + done as u32;
            let (within, rest) = (at as usize % SECTOR, from.len() - done);
            let start = at - within as u32;
            if within == 0 && rest >= SECTOR {
                let (sector, count) = self.run(disk, first, start, (rest / SECTOR) as u32)?;
                let bytes = count as usize * SECTOR;
                disk.write(sector, &from[done..done + bytes])?;
                done += bytes;
            } else {
                let (sector, _) = self.run(disk, first, start, 1)?;
                let mut buffer = [0; SECTOR];
                disk.read(sector, &mut buffer)?;
                let bytes = rest.min(SECTOR - within);
                buffer[within..within + bytes].copy_from_slice(&from[done..done + bytes]);
                disk.write(sector, &buffer)?;
                done += bytes;
            }
        }
        Ok(())
    }
}
