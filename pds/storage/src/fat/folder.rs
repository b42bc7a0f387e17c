//! Folders: entries looked for, made and removed.

use core::ops::ControlFlow;

use super::Volume;
use super::name::{self, Aliases, Gathered, Name, Short};
use super::table::Link;
use crate::error::Error;
use crate::sectors::{SECTOR, Sectors};

/// Bytes of an entry.
const SLOT: usize = 32;
/// Entries of a folder, of all kinds.
const MAX_SLOTS: u32 = 65_536;
/// Entries in a sector.
const PER_SECTOR: u32 = (SECTOR / SLOT) as u32;

/// First byte of an entry that is free, and of one behind which there are only free ones.
const REMOVED: u8 = 0xe5;
const END: u8 = 0;

/// Attributes (section "FAT Directory Structure").
const VOLUME_LABEL: u8 = 0x08;
pub(super) const FOLDER: u8 = 0x10;
pub(super) const FILE: u8 = 0x20;
/// Of an entry that holds a part of a long name.
pub(super) const LONG_NAME: u8 = 0x0f;
/// The first of January 1980, for want of a clock.
const DATE: u16 = 0x21;

/// Where a folder's entries lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// The root folder of 12 and 16 bits: sectors of the partition.
    Fixed {
        /// The first one.
        start: u64,
        /// How many.
        sectors: u32,
    },
    /// A chain of clusters.
    Chain {
        /// The first one.
        first: u32,
    },
}

/// An entry: a file or folder.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name: the long one, if it has one that can be shown.
    pub name: Name,
    /// Its short name.
    pub short_name: Name,
    /// It is a folder.
    pub is_folder: bool,
    /// The first cluster; 0 if it has none.
    pub cluster: u32,
    /// Bytes of a file.
    pub bytes: u32,
    pub(super) folder: Folder,
    /// The first of the slots that are this entry's, and the last, which has its short name.
    pub(super) first_slot: u32,
    pub(super) slot: u32,
}

impl Entry {
    /// What it has to say of itself.
    pub fn info(&self) -> super::Info {
        super::Info { bytes: if self.is_folder { 0 } else { self.bytes.into() }, folder: self.is_folder }
    }
}

/// Reads slots one after the other.
struct Reader {
    folder: Folder,
    sector: [u8; SECTOR],
    /// The sector's number, once it is read.
    at: Option<u64>,
    place: (u32, u32, u32),
}

impl Volume {
    /// Where slot `index` of a folder lies: the sector. `None` behind the folder's end.
    fn slot_sector(&mut self, disk: &mut impl Sectors, folder: Folder, index: u32) -> Result<Option<u64>, Error> {
        if index >= MAX_SLOTS {
            return Ok(None);
        }
        let sector = index / PER_SECTOR;
        match folder {
            Folder::Fixed { start, sectors } => Ok((sector < sectors).then(|| start + u64::from(sector))),
            Folder::Chain { first } => {
                let per_cluster = self.geometry.cluster_sectors;
                let Some(cluster) = self.seek(disk, first, sector / per_cluster)? else { return Ok(None) };
                Ok(Some(self.geometry.sector_of(cluster)? + u64::from(sector % per_cluster)))
            }
        }
    }

    /// The cluster at place `index` of a chain; `None` behind its end.
    pub(super) fn seek(&mut self, disk: &mut impl Sectors, first: u32, index: u32) -> Result<Option<u32>, Error> {
        if !self.geometry.has(first) {
            return Err(Error::Corrupt);
        }
        let (known, known_index, known_cluster) = self.place;
        let (mut at, mut cluster) =
            if known == first && known_index <= index { (known_index, known_cluster) } else { (0, first) };
        // A chain has at most all clusters, so one that is longer goes round in a circle.
        if index >= self.geometry.clusters {
            return Err(Error::Corrupt);
        }
        self.place = (first, at, cluster);
        while at < index {
            match self.table.next(disk, &self.geometry, cluster)? {
                Link::Next(next) => (at, cluster) = (at + 1, next),
                Link::End => return Ok(None),
                Link::Free => return Err(Error::Corrupt),
            }
            self.place = (first, at, cluster);
        }
        Ok(Some(cluster))
    }

    fn read_slot(
        &mut self,
        disk: &mut impl Sectors,
        reader: &mut Reader,
        index: u32,
    ) -> Result<Option<[u8; SLOT]>, Error> {
        if index.is_multiple_of(PER_SECTOR) || reader.at.is_none() {
            // Other walks may have moved the place meanwhile.
            let kept = core::mem::replace(&mut self.place, reader.place);
            let found = self.slot_sector(disk, reader.folder, index);
            reader.place = core::mem::replace(&mut self.place, kept);
            let Some(sector) = found? else { return Ok(None) };
            disk.read(sector, &mut reader.sector)?;
            reader.at = Some(sector);
        }
        Ok(Some(reader.sector.as_chunks::<SLOT>().0[(index % PER_SECTOR) as usize]))
    }

    /// Gives the entries of a folder from slot `from` on, until `each` breaks.
    pub(super) fn scan<T>(
        &mut self,
        disk: &mut impl Sectors,
        folder: Folder,
        from: u32,
        mut each: impl FnMut(&Entry, &Short) -> ControlFlow<T>,
    ) -> Result<Option<T>, Error> {
        let mut reader = Reader { folder, sector: [0; SECTOR], at: None, place: (0, 0, 0) };
        let mut long = Gathered::new();
        for index in from..MAX_SLOTS {
            let Some(slot) = self.read_slot(disk, &mut reader, index)? else { return Ok(None) };
            match slot[0] {
                END => return Ok(None),
                REMOVED => long.clear(),
                _ if slot[11] & 0x3f == LONG_NAME => long.add(&slot),
                _ if slot[11] & VOLUME_LABEL != 0 => long.clear(),
                _ => {
                    let (entry, short) = self.entry(folder, index, &slot, &long);
                    long.clear();
                    if let ControlFlow::Break(result) = each(&entry, &short) {
                        return Ok(Some(result));
                    }
                }
            }
        }
        Ok(None)
    }

    fn entry(&self, folder: Folder, index: u32, slot: &[u8; SLOT], long: &Gathered) -> (Entry, Short) {
        let word = |at: usize| u32::from(u16::from_le_bytes([slot[at], slot[at + 1]]));
        let mut short = [0; 11];
        short.copy_from_slice(&slot[..11]);
        let long_name = long.name(&short);
        let parts = if long_name.is_some() { long.parts() } else { 0 };
        // The upper half means something else to 12 and 16 bits.
        let upper = if self.geometry.bits == 32 { word(20) << 16 } else { 0 };
        // (Section "FAT Directory Structure": a name that begins with the byte of removed ones.)
        if short[0] == 0x05 {
            short[0] = REMOVED;
        }
        let short_name = name::show_short(&short, slot[12]);
        let entry = Entry {
            name: long_name.unwrap_or_else(|| short_name.clone()),
            short_name,
            is_folder: slot[11] & FOLDER != 0,
            cluster: upper | word(26),
            bytes: word(28) | word(30) << 16,
            folder,
            first_slot: index - parts.min(index),
            slot: index,
        };
        (entry, short)
    }

    /// The entry of this name in a folder. `.` and `..` are no names.
    pub(super) fn find(
        &mut self,
        disk: &mut impl Sectors,
        folder: Folder,
        wanted: &str,
    ) -> Result<Option<Entry>, Error> {
        self.scan(disk, folder, 0, |entry, _| {
            let found = !is_dots(entry) && (name::same(&entry.name, wanted) || name::same(&entry.short_name, wanted));
            if found { ControlFlow::Break(entry.clone()) } else { ControlFlow::Continue(()) }
        })
    }

    /// The folder that an entry is.
    pub(super) fn inside(&self, entry: &Entry) -> Result<Folder, Error> {
        if !entry.is_folder {
            return Err(Error::NotAFolder);
        }
        if !self.geometry.has(entry.cluster) {
            return Err(Error::Corrupt);
        }
        Ok(Folder::Chain { first: entry.cluster })
    }

    /// Whether a folder has nothing in it.
    pub(super) fn is_empty(&mut self, disk: &mut impl Sectors, folder: Folder) -> Result<bool, Error> {
        let found = self.scan(disk, folder, 0, |entry, _| {
            if is_dots(entry) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(found.is_none())
    }

    /// Adds an entry. There is none of that name.
    pub(super) fn add(
        &mut self,
        disk: &mut impl Sectors,
        folder: Folder,
        name: &str,
        attributes: u8,
        cluster: u32,
        bytes: u32,
    ) -> Result<(), Error> {
        if !name::is_valid(name) {
            return Err(Error::BadName);
        }
        let mut aliases = Aliases::new(name);
        self.scan(disk, folder, 0, |_, short| {
            aliases.take(short);
            ControlFlow::<()>::Continue(())
        })?;
        let exact = name::exact_short(name);
        let parts = if exact.is_some() { 0 } else { name::parts_of(name) };
        let short = exact.or_else(|| aliases.choose()).ok_or(Error::Full)?;
        let first = self.make_room(disk, folder, parts as u32 + 1)?;
        let sum = name::checksum(&short);
        let last = first + parts as u32;
        self.write_slots(disk, folder, first, last, |index| {
            if index < last {
                name::part(name, (last - index) as usize, sum)
            } else {
                slot(&short, attributes, cluster, bytes)
            }
        })
    }

    /// Finds `count` free slots in a row, or makes the folder longer; gives the first one.
    fn make_room(&mut self, disk: &mut impl Sectors, folder: Folder, count: u32) -> Result<u32, Error> {
        let mut reader = Reader { folder, sector: [0; SECTOR], at: None, place: (0, 0, 0) };
        let (mut first, mut run, mut ended) = (0, 0, false);
        let mut index = 0;
        while index < MAX_SLOTS {
            let Some(slot) = self.read_slot(disk, &mut reader, index)? else {
                self.grow(disk, folder, index)?;
                ended = true;
                continue;
            };
            ended |= slot[0] == END;
            if !ended && slot[0] != REMOVED {
                (first, run) = (index + 1, 0);
            } else {
                run += 1;
                if run == count {
                    // What lies behind the end is nothing, whatever it looks like.
                    if ended && self.slot_sector(disk, folder, index + 1)?.is_some() {
                        self.write_slots(disk, folder, index + 1, index + 1, |_| [0; SLOT])?;
                    }
                    return Ok(first);
                }
            }
            index += 1;
        }
        Err(Error::Full)
    }

    /// Adds an empty cluster to a folder that has `slots` slots.
    fn grow(&mut self, disk: &mut impl Sectors, folder: Folder, slots: u32) -> Result<(), Error> {
        let Folder::Chain { first } = folder else { return Err(Error::Full) };
        let per_cluster = self.geometry.cluster_sectors * PER_SECTOR;
        let last = (slots / per_cluster).checked_sub(1).ok_or(Error::Corrupt)?;
        let last = self.seek(disk, first, last)?.ok_or(Error::Corrupt)?;
        let new = self.new_folder_cluster(disk)?;
        // It is empty and ends the chain on the disk before the chain leads there.
        self.sync(disk)?;
        self.table.set(disk, &self.geometry, last, Link::Next(new))?;
        self.sync(disk)
    }

    /// A cluster with nothing but free slots.
    pub(super) fn new_folder_cluster(&mut self, disk: &mut impl Sectors) -> Result<u32, Error> {
        let new = self.table.allocate(disk, &self.geometry, 1)?[0];
        let start = self.geometry.sector_of(new)?;
        for sector in 0..u64::from(self.geometry.cluster_sectors) {
            disk.write(start + sector, &[0; SECTOR])?;
        }
        Ok(new)
    }

    /// Writes the slots from `first` to `last` of a folder, the last ones last.
    pub(super) fn write_slots(
        &mut self,
        disk: &mut impl Sectors,
        folder: Folder,
        first: u32,
        last: u32,
        content: impl Fn(u32) -> [u8; SLOT],
    ) -> Result<(), Error> {
        let mut index = first;
        while index <= last {
            let sector_at = self.slot_sector(disk, folder, index)?.ok_or(Error::Corrupt)?;
            let mut sector = [0; SECTOR];
            disk.read(sector_at, &mut sector)?;
            let end = (index - index % PER_SECTOR + PER_SECTOR).min(last + 1);
            for at in index..end {
                sector.as_chunks_mut::<SLOT>().0[(at % PER_SECTOR) as usize] = content(at);
            }
            disk.write(sector_at, &sector)?;
            index = end;
        }
        Ok(())
    }

    /// Changes the slot with an entry's short name.
    pub(super) fn change(
        &mut self,
        disk: &mut impl Sectors,
        entry: &Entry,
        change: impl Fn(&mut [u8; SLOT]),
    ) -> Result<(), Error> {
        let sector_at = self.slot_sector(disk, entry.folder, entry.slot)?.ok_or(Error::Corrupt)?;
        let mut sector = [0; SECTOR];
        disk.read(sector_at, &mut sector)?;
        change(&mut sector.as_chunks_mut::<SLOT>().0[(entry.slot % PER_SECTOR) as usize]);
        Ok(disk.write(sector_at, &sector)?)
    }

    /// Removes an entry: its short name first, since the rest is nothing without that.
    pub(super) fn remove_entry(&mut self, disk: &mut impl Sectors, entry: &Entry) -> Result<(), Error> {
        self.change(disk, entry, |slot| slot[0] = REMOVED)?;
        let mut removed = [0; SLOT];
        removed[0] = REMOVED;
        if entry.first_slot < entry.slot {
            disk.flush()?;
            self.write_slots(disk, entry.folder, entry.first_slot, entry.slot, |_| removed)?;
        }
        Ok(disk.flush()?)
    }
}

/// `.` and `..`, which each folder but the root has.
pub(super) fn is_dots(entry: &Entry) -> bool {
    matches!(entry.name.as_str(), "." | "..")
}

/// The slot with a short name.
pub(super) fn slot(short: &Short, attributes: u8, cluster: u32, bytes: u32) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[..11].copy_from_slice(short);
    slot[11] = attributes;
    for at in [16, 18, 24] {
        slot[at..at + 2].copy_from_slice(&DATE.to_le_bytes());
    }
    set_place(&mut slot, cluster, bytes);
    slot
}

/// Says in a slot where its file lies.
pub(super) fn set_place(slot: &mut [u8; SLOT], cluster: u32, bytes: u32) {
    slot[20..22].copy_from_slice(&((cluster >> 16) as u16).to_le_bytes());
    slot[26..28].copy_from_slice(&(cluster as u16).to_le_bytes());
    slot[28..32].copy_from_slice(&bytes.to_le_bytes());
}
