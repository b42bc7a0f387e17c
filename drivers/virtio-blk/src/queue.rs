//! The queue of requests (a split virtqueue, section 2.7), in memory that the device reads and writes.
//!
//! The memory is words that may change at any time. What the driver wrote there it never reads back; what the device writes
//! is read once and checked.

use core::sync::atomic::{AtomicU32, Ordering, fence};

use crate::registers::QueueAddresses;

/// Requests that the queue holds.
pub const SLOTS: usize = 16;
/// Descriptors of one request: head, data, status.
const PER_SLOT: usize = 3;
/// Descriptors: a power of two (2.7) that has room for all requests.
pub const SIZE: usize = 64;
/// Bytes of memory that a queue needs, aligned to 16 bytes.
pub const BYTES: usize = 4 * WORDS;

// Places in words of four bytes. A descriptor and a head have four words, an element that the device returns has two.
const DESCRIPTORS: usize = 0;
const DRIVER_RING: usize = DESCRIPTORS + 4 * SIZE;
// Flags and index, then two numbers of descriptors in each word, rounded up to 16 bytes.
const DEVICE_RING: usize = DRIVER_RING + (1 + SIZE / 2 + 1).next_multiple_of(4);
const HEADS: usize = DEVICE_RING + (1 + 2 * SIZE + 1).next_multiple_of(4);
const STATUSES: usize = HEADS + 4 * SLOTS;
const WORDS: usize = STATUSES + SLOTS;

/// Flags of a descriptor (2.7.5).
const NEXT: u32 = 1;
const DEVICE_WRITES: u32 = 2;

/// A status that no device answers with.
const NO_STATUS: u32 = 0xff;

/// The memory is smaller than [`BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSmall;

/// What the device is to do with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Nothing.
    None,
    /// Read this many bytes at this address.
    Reads(u64, u32),
    /// Write this many bytes at this address.
    Writes(u64, u32),
}

/// A request that the device says is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// Which one.
    pub slot: usize,
    /// The device's status, if it wrote any.
    pub status: u8,
    /// Bytes that it says it wrote.
    pub written: u32,
}

/// The device returned what it was not given, or more than it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonsense;

/// The driver's side of the queue.
#[derive(Debug)]
pub struct Queue<'a> {
    memory: &'a [AtomicU32],
    /// Where the memory lies for the device.
    address: u64,
    /// Requests given to the device and not returned.
    busy: [bool; SLOTS],
    /// Requests given to the device, and how many of them it returned, modulo 2¹⁶.
    given: u16,
    returned: u16,
    /// The words of the driver's ring; two numbers share one.
    ring: [u32; SIZE / 2],
}

impl<'a> Queue<'a> {
    /// An empty queue in `memory`, which lies at `address` for the device. The device must not use the memory now.
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn new(memory: &'a [AtomicU32], address: u64) -> Result<Self, TooSmall> {
        let memory = memory.get(..WORDS).ok_or(TooSmall)?;
        let mut queue = Self { memory, address, busy: [false; SLOTS], given: 0, returned: 0, ring: [0; SIZE / 2] };
        queue.clear();
        Ok(queue)
    }

    /// Empties the queue; the device, just reset, does not use the memory.
    pub fn clear(&mut self) {
        self.memory.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        (self.busy, self.given, self.returned, self.ring) = ([false; SLOTS], 0, 0, [0; SIZE / 2]);
    }

    /// What the device must know.
    pub fn addresses(&self) -> QueueAddresses {
        let of = |word: usize| self.address + 4 * word as u64;
        QueueAddresses { descriptors: of(DESCRIPTORS), driver: of(DRIVER_RING), device: of(DEVICE_RING) }
    }

    /// Gives the device a request with this head, if its slot is free; it is to be notified then.
    pub fn give(&mut self, slot: usize, operation: u32, sector: u64, data: Data) -> bool {
        if self.busy.get(slot) != Some(&false) {
            return false;
        }
        self.busy[slot] = true;
        let (head, status) = (HEADS + 4 * slot, STATUSES + slot);
        self.write(head, &[operation, 0, sector as u32, (sector >> 32) as u32]);
        self.write(status, &[NO_STATUS]);
        let first = PER_SLOT * slot;
        let of = |word: usize| self.address + 4 * word as u64;
        self.describe(first, of(head), 16, 0, Some(if data == Data::None { first + 2 } else { first + 1 }));
        match data {
            Data::None => {}
            Data::Reads(address, bytes) => self.describe(first + 1, address, bytes, 0, Some(first + 2)),
            Data::Writes(address, bytes) => self.describe(first + 1, address, bytes, DEVICE_WRITES, Some(first + 2)),
        }
        self.describe(first + 2, of(status), 1, DEVICE_WRITES, None);

        let at = usize::from(self.given) % SIZE;
        let half = 16 * (at % 2);
        let word = &mut self.ring[at / 2];
        *word = *word & !(0xffff << half) | (first as u32) << half;
        // The first word has the flags and the index, so the ring begins in the second half of it.
        self.write(DRIVER_RING + 1 + at / 2, &[self.ring[at / 2]]);
        self.given = self.given.wrapping_add(1);
        // The request is there before the device sees the index (2.7.13), and the index before it is notified.
        fence(Ordering::SeqCst);
        self.write(DRIVER_RING, &[u32::from(self.given) << 16]);
        fence(Ordering::SeqCst);
        true
    }

    /// The next request that the device is done with.
    ///
    /// # Errors
    /// When the device returns more than it was given, or something else.
    pub fn take(&mut self) -> Result<Option<Used>, Nonsense> {
        let index = (self.read(DEVICE_RING) >> 16) as u16;
        let done = index.wrapping_sub(self.returned);
        if done == 0 {
            return Ok(None);
        }
        if done > self.given.wrapping_sub(self.returned) {
            return Err(Nonsense);
        }
        // What the index speaks of was written before it.
        fence(Ordering::SeqCst);
        let element = DEVICE_RING + 1 + 2 * (usize::from(self.returned) % SIZE);
        let (first, written) = (self.read(element) as usize, self.read(element + 1));
        let slot = first / PER_SLOT;
        if !first.is_multiple_of(PER_SLOT) || self.busy.get(slot) != Some(&true) {
            return Err(Nonsense);
        }
        self.busy[slot] = false;
        self.returned = self.returned.wrapping_add(1);
        Ok(Some(Used { slot, status: self.read(STATUSES + slot) as u8, written }))
    }

    fn describe(&self, index: usize, address: u64, bytes: u32, flags: u32, next: Option<usize>) {
        let last = next.map_or(flags, |next| flags | NEXT | (next as u32) << 16);
        self.write(DESCRIPTORS + 4 * index, &[address as u32, (address >> 32) as u32, bytes, last]);
    }

    /// Numbers in the queue are little-endian (2.7).
    fn write(&self, at: usize, values: &[u32]) {
        for (word, value) in self.memory[at..].iter().zip(values) {
            word.store(value.to_le(), Ordering::Relaxed);
        }
    }

    fn read(&self, at: usize) -> u32 {
        u32::from_le(self.memory[at].load(Ordering::Relaxed))
    }
}
