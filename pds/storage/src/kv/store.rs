//! Keys in memory, records on the disk.

use heapless::Vec;
use protocols::storage::{MAX_KEY, MAX_SPACE_NAME, MAX_VALUE};
use zerocopy::IntoBytes;

use super::block::{self, Head, NO_BLOCK, Names, PAYLOAD, blocks_of};
use crate::error::Error;
use crate::sectors::{SECTOR, Sectors};

/// Keys of all spaces.
pub const MAX_KEYS: usize = 512;
/// Spaces that have keys, at once.
pub const MAX_SPACES: usize = 32;
/// Blocks that are used of a partition: 32 MiB.
pub const MAX_BLOCKS: usize = 65_536;
/// Blocks of the longest record.
const MAX_CHAIN: usize = (size_of::<Names>() + MAX_SPACE_NAME + MAX_KEY + MAX_VALUE).div_ceil(PAYLOAD);
/// Sectors that are read at once when the store is opened.
const WINDOW: usize = 8;

const _: () = assert!(size_of::<Names>() + MAX_SPACE_NAME + MAX_KEY <= PAYLOAD, "names lie in the first block");

/// How much a space may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Keys.
    pub keys: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

/// How much a space holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Keys.
    pub keys: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

/// What was found when the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// Keys.
    pub keys: usize,
    /// Records that were unfinished or broken, which do not count.
    pub broken: u64,
    /// Older records of keys that have a newer one.
    pub stale: u64,
    /// Records that are whole, and more than [`MAX_KEYS`] or [`MAX_SPACES`] allow. They stay on the disk.
    pub ignored: u64,
}

/// A key.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u32,
    /// The record's first block.
    first: u32,
    /// Bytes of key and value.
    bytes: u16,
    space: u8,
}

type Space = Vec<u8, MAX_SPACE_NAME>;
type Sector = [u8; SECTOR];

/// The store's memory. [`Store::open`] comes before everything else.
pub struct Store {
    entries: [Option<Entry>; MAX_KEYS],
    spaces: [Space; MAX_SPACES],
    /// A bit for each block that a record has.
    used: [u64; MAX_BLOCKS / 64],
    blocks: u32,
    blocks_used: u32,
    /// The next record's number.
    next_record: u64,
    /// Where the search for free blocks begins.
    cursor: u32,
    /// Old records were zeroed since the last flush.
    zeroed: bool,
    opened: Open,
}

impl Store {
    /// A store without blocks.
    pub const fn new() -> Self {
        Self {
            entries: [None; MAX_KEYS],
            spaces: [const { Vec::new() }; MAX_SPACES],
            used: [0; MAX_BLOCKS / 64],
            blocks: 0,
            blocks_used: 0,
            next_record: 0,
            cursor: 0,
            zeroed: false,
            opened: Open::default_const(),
        }
    }

    /// Reads the partition of `sectors` sectors and learns the keys; what an interrupted write left of older records is removed,
    /// unless the disk is read-only. Each block is read at most twice, and each record's blocks twice more.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn open(&mut self, disk: &mut impl Sectors, sectors: u64, read_only: bool) -> Result<Open, Error> {
        // In place: copies of these would be most of a stack.
        self.entries.fill(None);
        self.spaces.iter_mut().for_each(Vec::clear);
        self.used.fill(0);
        self.blocks = sectors.min(MAX_BLOCKS as u64) as u32;
        (self.blocks_used, self.next_record, self.cursor, self.zeroed) = (0, 1, 0, false);
        self.opened = Open::default();

        let mut window = [0; WINDOW * SECTOR];
        for start in (0..self.blocks).step_by(WINDOW) {
            let count = (self.blocks - start).min(WINDOW as u32) as usize;
            let window = &mut window[..count * SECTOR];
            disk.read(start.into(), window)?;
            for (offset, sector) in window.as_chunks::<SECTOR>().0.iter().enumerate() {
                let number = start + offset as u32;
                let Some(head) = block::open(sector, number) else { continue };
                if head.record.get() >= self.next_record {
                    self.next_record = head.record.get() + 1;
                    self.cursor = (number + 1) % self.blocks;
                }
                if head.index == 0 {
                    self.learn(disk, number, sector, &head, read_only)?;
                }
            }
        }
        if self.zeroed && !read_only {
            self.flush(disk)?;
        }
        for at in 0..MAX_KEYS {
            if let Some(entry) = self.entries[at] {
                self.mark(disk, entry.first, true)?;
            }
        }
        self.opened.keys = self.entries.iter().flatten().count();
        Ok(self.opened)
    }

    /// What was found at the last [`Store::open`].
    pub fn opened(&self) -> Open {
        self.opened
    }

    /// Bytes that blocks hold, and how many of them are free.
    pub fn capacity(&self) -> (u64, u64) {
        let bytes = |blocks: u32| u64::from(blocks) * PAYLOAD as u64;
        (bytes(self.blocks), bytes(self.blocks - self.blocks_used))
    }

    /// What a space holds.
    pub fn usage(&self, space: &[u8]) -> Usage {
        let Some(space) = self.space(space) else { return Usage::default() };
        let of_space = self.entries.iter().flatten().filter(|entry| entry.space == space);
        of_space.fold(Usage::default(), |usage, entry| Usage {
            keys: usage.keys + 1,
            bytes: usage.bytes + u64::from(entry.bytes),
        })
    }

    /// Copies a key's value to `into`; gives its length.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::TooLarge`] if it does not fit; [`Error::Corrupt`] if the record changed since the store
    /// was opened; or the disk's.
    pub fn read(&self, disk: &mut impl Sectors, space: &[u8], key: &[u8], into: &mut [u8]) -> Result<usize, Error> {
        let mut sector = [0; SECTOR];
        let at = self.find(disk, space, key, &mut sector)?.ok_or(Error::NotFound)?;
        let entry = self.entries[at].ok_or(Error::NotFound)?;
        let head = block::open(&sector, entry.first).ok_or(Error::Corrupt)?;
        let (_, _, value_bytes) = block::names(&sector, &head).ok_or(Error::Corrupt)?;
        let into = into.get_mut(..value_bytes).ok_or(Error::TooLarge)?;
        // Of the record's bytes, those of the value are the last ones.
        let skip = head.bytes.get() as usize - value_bytes;
        let mut done = 0;
        let mut number = entry.first;
        for index in 0..usize::from(head.count) {
            if index > 0 {
                self.read_block(disk, number, &mut sector)?;
            }
            let next = check(&sector, number, &head, index).ok_or(Error::Corrupt)?;
            let payload = &sector[size_of::<Head>()..];
            let from = if index == 0 { skip } else { 0 };
            let length = (PAYLOAD - from).min(value_bytes - done);
            into[done..done + length].copy_from_slice(&payload[from..from + length]);
            done += length;
            number = next;
        }
        Ok(value_bytes)
    }

    /// Makes `value` the key's value. When this succeeds, that is durable; when it fails by the disk, the store is to be opened
    /// anew, and has the old value or the new one.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::TooLarge`], [`Error::Quota`], [`Error::Full`]: nothing has changed. Otherwise the disk's.
    pub fn write(
        &mut self,
        disk: &mut impl Sectors,
        space: &[u8],
        key: &[u8],
        value: &[u8],
        quota: Quota,
    ) -> Result<(), Error> {
        if key.is_empty() || key.len() > MAX_KEY || space.is_empty() || space.len() > MAX_SPACE_NAME {
            return Err(Error::BadName);
        }
        if value.len() > MAX_VALUE {
            return Err(Error::TooLarge);
        }
        let old = self.find(disk, space, key, &mut [0; SECTOR])?;
        let old_bytes = old.and_then(|at| self.entries[at]).map(|entry| u64::from(entry.bytes));
        let usage = self.usage(space);
        let keys = usage.keys + u64::from(old.is_none());
        let bytes = usage.bytes - old_bytes.unwrap_or(0) + (key.len() + value.len()) as u64;
        if bytes > quota.bytes || keys > quota.keys {
            return Err(Error::Quota);
        }
        let at = old.or_else(|| self.entries.iter().position(Option::is_none)).ok_or(Error::Full)?;
        let space_at = self.space_for(space).ok_or(Error::Full)?;
        let chain = self.free_blocks(size_of::<Names>() + space.len() + key.len() + value.len()).ok_or(Error::Full)?;
        self.write_record(disk, &chain, space, key, value)?;
        self.flush(disk)?;

        let replaced = self.entries[at].replace(Entry {
            hash: hash(key),
            first: chain[0],
            bytes: (key.len() + value.len()) as u16,
            space: space_at,
        });
        for number in &chain {
            self.set_used(*number, true);
        }
        self.cursor = (chain[chain.len() - 1] + 1) % self.blocks;
        if let Some(old) = replaced {
            self.mark(disk, old.first, false)?;
            self.zero(disk, old.first)?;
        }
        Ok(())
    }

    /// Removes a key. When this succeeds, that is durable; when it fails by the disk, the store is to be opened anew.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the disk's.
    pub fn delete(&mut self, disk: &mut impl Sectors, space: &[u8], key: &[u8]) -> Result<(), Error> {
        let at = self.find(disk, space, key, &mut [0; SECTOR])?.ok_or(Error::NotFound)?;
        self.remove(disk, |index, _| index == at)
    }

    /// Removes all keys of a space.
    ///
    /// # Errors
    /// The disk's; the store is to be opened anew then.
    pub fn erase(&mut self, disk: &mut impl Sectors, space: &[u8]) -> Result<(), Error> {
        let Some(space) = self.space(space) else { return Ok(()) };
        self.remove(disk, |_, entry| entry.space == space)
    }

    /// Gives the keys of a space in no particular order, from place `from` on, with the lengths of their values, until `each`
    /// returns false for one. The place to go on at, or 0 if that was all.
    ///
    /// # Errors
    /// The disk's, or [`Error::Corrupt`].
    pub fn list(
        &self,
        disk: &mut impl Sectors,
        space: &[u8],
        from: u64,
        mut each: impl FnMut(&[u8], usize) -> bool,
    ) -> Result<u64, Error> {
        let Some(space) = self.space(space) else { return Ok(0) };
        let mut sector = [0; SECTOR];
        for (at, entry) in self.entries.iter().enumerate().skip(usize::try_from(from).unwrap_or(MAX_KEYS)) {
            let Some(entry) = entry.filter(|entry| entry.space == space) else { continue };
            self.read_block(disk, entry.first, &mut sector)?;
            let head = block::open(&sector, entry.first).ok_or(Error::Corrupt)?;
            let (_, key, value_bytes) = block::names(&sector, &head).ok_or(Error::Corrupt)?;
            if !each(key, value_bytes) {
                return Ok(at as u64);
            }
        }
        Ok(0)
    }

    // ---- Keys in memory --------------------------------------------------------------------------------------------

    fn space(&self, name: &[u8]) -> Option<u8> {
        let found = self.spaces.iter().position(|space| !name.is_empty() && space.as_slice() == name)?;
        Some(found as u8)
    }

    /// The place of a space, which may be one that has no keys any more.
    fn space_for(&mut self, name: &[u8]) -> Option<u8> {
        if let Some(found) = self.space(name) {
            return Some(found);
        }
        let unused = |at: usize| !self.entries.iter().flatten().any(|entry| usize::from(entry.space) == at);
        let free = (0..MAX_SPACES).find(|at| unused(*at))?;
        self.spaces[free] = Vec::from_slice(name).ok()?;
        Some(free as u8)
    }

    /// The place of a key, whose first block is then in `sector`.
    fn find(
        &self,
        disk: &mut impl Sectors,
        space: &[u8],
        key: &[u8],
        sector: &mut Sector,
    ) -> Result<Option<usize>, Error> {
        let Some(space) = self.space(space) else { return Ok(None) };
        let hash = hash(key);
        for (at, entry) in self.entries.iter().enumerate() {
            let Some(entry) = entry.filter(|entry| entry.space == space && entry.hash == hash) else { continue };
            self.read_block(disk, entry.first, sector)?;
            let head = block::open(sector, entry.first).ok_or(Error::Corrupt)?;
            let (_, found, _) = block::names(sector, &head).ok_or(Error::Corrupt)?;
            if found == key {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// A first block was found: if its record is whole, it is a key, or an older or newer value of one.
    fn learn(
        &mut self,
        disk: &mut impl Sectors,
        number: u32,
        sector: &Sector,
        head: &Head,
        read_only: bool,
    ) -> Result<(), Error> {
        let names = block::names(sector, head).filter(|(space, key, value_bytes)| {
            let sane = !space.is_empty() && space.len() <= MAX_SPACE_NAME && !key.is_empty() && key.len() <= MAX_KEY;
            sane && *value_bytes <= MAX_VALUE
        });
        let Some((space, key, value_bytes)) = names else {
            self.opened.broken += 1;
            return Ok(());
        };
        if !self.is_whole(disk, number, sector, head)? {
            self.opened.broken += 1;
            return Ok(());
        }
        let mut other = [0; SECTOR];
        let known = self.find(disk, space, key, &mut other)?;
        if let Some(at) = known {
            self.opened.stale += 1;
            let first = self.entries[at].map_or(number, |entry| entry.first);
            let newer = block::open(&other, first).is_none_or(|other| other.record.get() < head.record.get());
            if !read_only {
                self.zero(disk, if newer { first } else { number })?;
            }
            if !newer {
                return Ok(());
            }
        }
        let at = known.or_else(|| self.entries.iter().position(Option::is_none));
        let (Some(at), Some(space)) = (at, self.space_for(space)) else {
            self.opened.ignored += 1;
            return self.mark(disk, number, true);
        };
        let bytes = (key.len() + value_bytes) as u16;
        self.entries[at] = Some(Entry { hash: hash(key), first: number, bytes, space });
        Ok(())
    }

    /// Whether every block of a record is there.
    fn is_whole(&self, disk: &mut impl Sectors, first: u32, sector: &Sector, head: &Head) -> Result<bool, Error> {
        let mut sector = *sector;
        let mut number = first;
        for index in 0..usize::from(head.count) {
            if index > 0 {
                if number >= self.blocks {
                    return Ok(false);
                }
                self.read_block(disk, number, &mut sector)?;
            }
            match check(&sector, number, head, index) {
                Some(next) => number = next,
                None => return Ok(false),
            }
        }
        Ok(number == NO_BLOCK)
    }

    fn remove(&mut self, disk: &mut impl Sectors, which: impl Fn(usize, &Entry) -> bool) -> Result<(), Error> {
        // An older value that was to be zeroed must not outlive the newer one.
        if self.zeroed {
            self.flush(disk)?;
        }
        for at in 0..MAX_KEYS {
            let Some(entry) = self.entries[at].filter(|entry| which(at, entry)) else { continue };
            self.mark(disk, entry.first, false)?;
            self.zero(disk, entry.first)?;
            self.entries[at] = None;
        }
        self.flush(disk)
    }

    // ---- Blocks ----------------------------------------------------------------------------------------------------

    fn read_block(&self, disk: &mut impl Sectors, number: u32, sector: &mut Sector) -> Result<(), Error> {
        Ok(disk.read(number.into(), sector)?)
    }

    fn flush(&mut self, disk: &mut impl Sectors) -> Result<(), Error> {
        disk.flush()?;
        self.zeroed = false;
        Ok(())
    }

    /// Makes a record's first block no block.
    fn zero(&mut self, disk: &mut impl Sectors, number: u32) -> Result<(), Error> {
        self.zeroed = true;
        Ok(disk.write(number.into(), &[0; SECTOR])?)
    }

    fn set_used(&mut self, number: u32, used: bool) {
        let (word, bit) = (number as usize / 64, 1 << (number % 64));
        let Some(word) = self.used.get_mut(word) else { return };
        if (*word & bit != 0) != used {
            *word ^= bit;
            self.blocks_used = if used { self.blocks_used + 1 } else { self.blocks_used.saturating_sub(1) };
        }
    }

    /// Marks the blocks of a record as used or free, as far as its chain is in order.
    fn mark(&mut self, disk: &mut impl Sectors, first: u32, used: bool) -> Result<(), Error> {
        let mut sector = [0; SECTOR];
        let mut number = first;
        let mut head = None;
        for index in 0..MAX_CHAIN {
            if number >= self.blocks {
                break;
            }
            self.read_block(disk, number, &mut sector)?;
            let Some(own) = block::open(&sector, number) else { break };
            let head = *head.get_or_insert(own);
            let Some(next) = check(&sector, number, &head, index) else { break };
            self.set_used(number, used);
            number = next;
        }
        Ok(())
    }

    /// Free blocks for a record of so many bytes, the next ones in turn.
    fn free_blocks(&self, record_bytes: usize) -> Option<Vec<u32, MAX_CHAIN>> {
        let count = blocks_of(record_bytes);
        if self.blocks - self.blocks_used < count as u32 {
            return None;
        }
        let is_free = |number: &u32| self.used[*number as usize / 64] & 1 << (number % 64) == 0;
        let in_turn = (self.cursor..self.blocks).chain(0..self.cursor);
        let mut chain = Vec::new();
        for number in in_turn.filter(is_free).take(count) {
            chain.push(number).ok()?;
        }
        (chain.len() == count).then_some(chain)
    }

    fn write_record(
        &mut self,
        disk: &mut impl Sectors,
        chain: &[u32],
        space: &[u8],
        key: &[u8],
        value: &[u8],
    ) -> Result<(), Error> {
        let names = Names::new(space.len() as u8, key.len() as u8, value.len() as u32);
        let bytes = size_of::<Names>() + space.len() + key.len() + value.len();
        let record = self.next_record;
        self.next_record += 1;
        let mut rest = value;
        for (index, number) in chain.iter().enumerate() {
            let mut sector = [0; SECTOR];
            let mut room = &mut sector[size_of::<Head>()..];
            if index == 0 {
                for part in [names.as_bytes(), space, key] {
                    let (to, after) = room.split_at_mut(part.len());
                    to.copy_from_slice(part);
                    room = after;
                }
            }
            let (now, later) = rest.split_at(rest.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            rest = later;
            let next = chain.get(index + 1).copied().unwrap_or(NO_BLOCK);
            block::seal(&mut sector, *number, record, next, (index, chain.len()), bytes);
            disk.write((*number).into(), &sector)?;
        }
        Ok(())
    }
}

impl Open {
    const fn default_const() -> Self {
        Self { keys: 0, broken: 0, stale: 0, ignored: 0 }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

/// The next block, if this is the one at place `index` of the record with this head.
fn check(sector: &Sector, number: u32, first: &Head, index: usize) -> Option<u32> {
    let head = block::open(sector, number)?;
    let same = (head.record, head.count, head.bytes) == (first.record, first.count, first.bytes);
    let last = index + 1 == usize::from(first.count);
    let next = head.next.get();
    (same && usize::from(head.index) == index && (next == NO_BLOCK) == last).then_some(next)
}

/// FNV-1a. Who makes keys of equal hashes only makes searches among its own keys longer.
fn hash(key: &[u8]) -> u32 {
    key.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
