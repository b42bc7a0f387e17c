//! The flash, and how state in it survives.
//!
//! There are two slots. Each write goes to the slot that does not hold the newest record, so whatever becomes of a write, the
//! record before it stays whole. A record says by its SHA-256 that it is whole, and by its number which one is newer. Nothing is
//! answered before its record is written and read back: what a client was told is what the next start finds.

use core::fmt;

use crate::state::{RECORD_BYTES, Record};

/// Bytes of a slot: a record and room to grow, a multiple of a flash page.
pub const SLOT_BYTES: usize = 4096;
/// Bytes of the part of the flash that is used.
pub const FLASH_BYTES: usize = 2 * SLOT_BYTES;
/// What a byte of flash is after it was erased. Storage that does not exist yet reads as this.
pub const ERASED: u8 = 0xff;

/// The flash could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlashError;

impl fmt::Display for FlashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the flash cannot be read or written")
    }
}

impl core::error::Error for FlashError {}

/// A place for [`FLASH_BYTES`] bytes that keeps them without power.
pub trait Flash {
    /// Reads bytes from `offset` on; those never written are [`ERASED`].
    ///
    /// # Errors
    /// When it cannot.
    fn read(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), FlashError>;

    /// Writes bytes from `offset` on. When it returns they are kept; a power cut before that may leave any part of them
    /// written, and touches nothing else.
    ///
    /// # Errors
    /// When it cannot; then any part may be written.
    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), FlashError>;
}

/// What a start finds in the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A record: the newer of two, or the only whole one.
    Record,
    /// Nothing was ever stored, or the very first writes were cut off, so that nobody was told of what they held.
    Blank,
    /// Something was stored, and no copy is whole. It is left as it is.
    Damaged,
}

/// The two slots.
#[derive(Debug)]
pub struct Store<F> {
    flash: F,
    writes: u32,
}

impl<F: Flash> Store<F> {
    /// The slots of this flash.
    pub fn new(flash: F) -> Self {
        Self { flash, writes: 0 }
    }

    /// Looks for the newest record, which `into` gets.
    pub fn load(&mut self, into: &mut Record) -> Found {
        let mut found = [Found::Damaged; 2];
        let mut record = Record::blank();
        into.sequence = 0.into();
        for (slot, found) in found.iter_mut().enumerate() {
            *found = self.read(slot, &mut record);
            if *found == Found::Record && record.sequence > into.sequence {
                *into = record;
            }
        }
        match found {
            [Found::Record, _] | [_, Found::Record] => Found::Record,
            // Before anybody is told of a key, both slots hold it: see `Store::store_first`.
            [Found::Blank, _] | [_, Found::Blank] => Found::Blank,
            _ => Found::Damaged,
        }
    }

    /// Stores a record as the newest: gives it the next number and its checksum.
    ///
    /// # Errors
    /// When it cannot be written, or does not read back as it was written. The record before stays whole.
    pub fn store(&mut self, record: &mut Record) -> Result<(), FlashError> {
        let sequence = record.sequence.get().checked_add(1).ok_or(FlashError)?;
        record.sequence = sequence.into();
        record.finish();
        let slot = (sequence % 2) as usize;
        self.flash.write(slot * SLOT_BYTES, record.bytes())?;
        self.writes = self.writes.saturating_add(1);
        let mut back = Record::blank();
        match self.read(slot, &mut back) {
            Found::Record if back.bytes() == record.bytes() => Ok(()),
            _ => Err(FlashError),
        }
    }

    /// Stores the first record, in both slots: from then on a blank slot means that somebody tampered.
    ///
    /// # Errors
    /// As [`Store::store`].
    pub fn store_first(&mut self, record: &mut Record) -> Result<(), FlashError> {
        self.store(record)?;
        self.store(record)
    }

    /// How often a record was written.
    pub fn writes(&self) -> u32 {
        self.writes
    }

    /// The flash.
    pub fn flash(&mut self) -> &mut F {
        &mut self.flash
    }

    fn read(&mut self, slot: usize, record: &mut Record) -> Found {
        let mut bytes = [0; RECORD_BYTES];
        if self.flash.read(slot * SLOT_BYTES, &mut bytes).is_err() {
            return Found::Damaged;
        }
        if bytes.iter().all(|byte| *byte == ERASED) {
            return Found::Blank;
        }
        match Record::parse(&bytes) {
            Some(parsed) => {
                *record = parsed;
                Found::Record
            }
            None => Found::Damaged,
        }
    }
}
