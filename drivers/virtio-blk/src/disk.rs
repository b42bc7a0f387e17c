//! What the device can do: be reset, and read, write and flush sectors.

use core::fmt;

use tock_registers::fields::FieldValue;

use crate::queue::{Data, Nonsense, Queue, SIZE, Used};
use crate::registers::{DeviceFeatures, DiskFeatures, Interrupt, Registers, Status};

/// The letters `virt`.
const MAGIC: u32 = u32::from_le_bytes(*b"virt");
/// The transport's version that this driver speaks.
const VERSION: u32 = 2;
/// A disk among the kinds of devices (section 5).
const DISK: u32 = 2;
/// How often a bit is looked at before the driver gives up; a look takes some ten nanoseconds at least.
const LOOKS: usize = 100_000;
/// How often the size is read again because it changed meanwhile.
const TRIES: usize = 8;

/// Operations in a request's head (5.2.6).
mod operation {
    pub const READ: u32 = 0;
    pub const WRITE: u32 = 1;
    pub const FLUSH: u32 = 4;
}

/// The status of a request that was done (5.2.6).
const STATUS_OK: u8 = 0;

/// Why there is no disk to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// What lies there is no virtio device, or one of another version.
    NotVirtio,
    /// There is nothing behind the transport, or it is no disk.
    NoDisk,
    /// It does not end its reset.
    NoReset,
    /// It does not take the features that this driver needs.
    Features,
    /// Its queue is too short.
    Queue,
    /// Its size is not to be had.
    Size,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StartError::NotVirtio => "there is no virtio device of version 2 (virtio-mmio.force-legacy=false)",
            StartError::NoDisk => "no disk is attached",
            StartError::NoReset => "the disk does not end its reset",
            StartError::Features => "the disk does not take the features that are needed",
            StartError::Queue => "the disk's queue is too short",
            StartError::Size => "the disk does not tell its size",
        })
    }
}

impl core::error::Error for StartError {}

/// What a disk is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Sectors of 512 bytes.
    pub sectors: u64,
    /// It cannot be written.
    pub read_only: bool,
    /// It has a cache that a flush empties.
    pub has_cache: bool,
}

/// An operation on sectors; memory is as the device sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// From the disk to memory.
    Read {
        /// The first sector.
        sector: u64,
        /// Where to.
        address: u64,
        /// How much.
        bytes: u32,
    },
    /// From memory to the disk.
    Write {
        /// The first sector.
        sector: u64,
        /// Where from.
        address: u64,
        /// How much.
        bytes: u32,
    },
    /// Empty the cache.
    Flush,
}

/// The device.
#[derive(Debug)]
pub struct Disk<'a, R> {
    registers: R,
    queue: Queue<'a>,
    facts: Facts,
    /// Bytes that each request under way is to write to memory, at least.
    expected: [u32; crate::queue::SLOTS],
}

impl<'a, R: Registers> Disk<'a, R> {
    /// A disk that is not started; the device is left alone.
    pub fn new(registers: R, queue: Queue<'a>) -> Self {
        Self { registers, queue, facts: Facts::default(), expected: [0; crate::queue::SLOTS] }
    }

    /// Resets the device and sets it up (3.1.1). Requests that were under way are gone, and none of them touches memory any more.
    ///
    /// # Errors
    /// When there is no disk, or none that can be used.
    pub fn start(&mut self) -> Result<Facts, StartError> {
        self.facts = Facts::default();
        let identity = self.registers.identity();
        if (identity.magic, identity.version) != (MAGIC, VERSION) {
            return Err(StartError::NotVirtio);
        }
        if identity.device != DISK {
            return Err(StartError::NoDisk);
        }
        self.registers.set_status(FieldValue::<u32, Status::Register>::new(0, 0, 0));
        // A device may still finish requests until it says that it is reset (2.4.2).
        if !(0..LOOKS).any(|_| self.registers.status().get() == 0) {
            return Err(StartError::NoReset);
        }
        self.queue.clear();
        let result = self.set_up();
        if result.is_err() {
            self.registers.set_status(Status::FAILED::SET);
        }
        result
    }

    fn set_up(&mut self) -> Result<Facts, StartError> {
        let known = Status::ACKNOWLEDGE::SET + Status::DRIVER::SET;
        self.registers.set_status(Status::ACKNOWLEDGE::SET);
        self.registers.set_status(known);
        let offered = self.registers.disk_features();
        if !self.registers.device_features().is_set(DeviceFeatures::VERSION_1) {
            return Err(StartError::Features);
        }
        let read_only = offered.is_set(DiskFeatures::READ_ONLY);
        let has_cache = offered.is_set(DiskFeatures::FLUSH);
        self.registers.set_features(
            DiskFeatures::READ_ONLY.val(read_only.into()) + DiskFeatures::FLUSH.val(has_cache.into()),
            DeviceFeatures::VERSION_1::SET,
        );
        self.registers.set_status(known + Status::FEATURES_OK::SET);
        if !self.registers.status().is_set(Status::FEATURES_OK) {
            return Err(StartError::Features);
        }
        if self.registers.queue_size_max() < SIZE as u32 {
            return Err(StartError::Queue);
        }
        self.registers.set_queue(SIZE as u32, self.queue.addresses());
        let sectors = self.read_size().ok_or(StartError::Size)?;
        self.registers.set_status(known + Status::FEATURES_OK::SET + Status::DRIVER_OK::SET);
        self.facts = Facts { sectors, read_only, has_cache };
        Ok(self.facts)
    }

    /// Both halves of the size from one generation of the configuration (4.2.2.2).
    fn read_size(&self) -> Option<u64> {
        (0..TRIES).find_map(|_| {
            let before = self.registers.generation();
            let sectors = u64::from(self.registers.capacity(1)) << 32 | u64::from(self.registers.capacity(0));
            (self.registers.generation() == before).then_some(sectors)
        })
    }

    /// What the disk is; nothing before [`Disk::start`] succeeded.
    pub fn facts(&self) -> Facts {
        self.facts
    }

    /// Gives the device a request. False if the slot is in use.
    pub fn submit(&mut self, slot: usize, operation: Operation) -> bool {
        let (expected, given) = match operation {
            Operation::Read { sector, address, bytes } => {
                (bytes, self.queue.give(slot, operation::READ, sector, Data::Writes(address, bytes)))
            }
            Operation::Write { sector, address, bytes } => {
                (0, self.queue.give(slot, operation::WRITE, sector, Data::Reads(address, bytes)))
            }
            Operation::Flush => (0, self.queue.give(slot, operation::FLUSH, 0, Data::None)),
        };
        if given {
            self.expected[slot] = expected;
            self.registers.notify();
        }
        given
    }

    /// The next request that is done: its slot, and whether it was done well.
    ///
    /// # Errors
    /// When the device makes no sense, or says itself that it must be reset.
    pub fn take(&mut self) -> Result<Option<(usize, bool)>, Nonsense> {
        if let Some(Used { slot, status, written }) = self.queue.take()? {
            return Ok(Some((slot, status == STATUS_OK && written >= self.expected[slot])));
        }
        if self.registers.status().is_set(Status::NEEDS_RESET) { Err(Nonsense) } else { Ok(None) }
    }

    /// Takes the interrupt back, and the disk's size anew if that is why it came.
    pub fn acknowledge(&mut self) {
        let reasons = self.registers.interrupt();
        self.registers.acknowledge(reasons);
        if reasons.is_set(Interrupt::CONFIGURATION)
            && let Some(sectors) = self.read_size()
        {
            self.facts.sectors = sectors;
        }
    }
}
