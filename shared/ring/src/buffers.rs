//! Who owns which part of a shared data region.
//!
//! Bulk data is not copied through rings: an entry names a [`Span`] of a region that both sides map. A span belongs to one
//! side at a time. Each side keeps its own [`Buffers`]: the client of the spans it has lent, the server of those it was
//! given. Neither table lies in shared memory, so neither side can be talked into aliasing or into using a span twice.

use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A part of a data region, as an entry names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Span {
    /// Bytes from the region's start.
    pub offset: u32,
    /// Length in bytes.
    pub bytes: u32,
}

impl Span {
    fn end(self) -> u64 {
        u64::from(self.offset) + u64::from(self.bytes)
    }

    fn overlaps(self, other: Span) -> bool {
        u64::from(self.offset) < other.end() && u64::from(other.offset) < self.end()
    }

    /// The span as a range of offsets, for a slice of the region. Only a checked span is sure to fit.
    pub fn range(self) -> core::ops::Range<usize> {
        self.offset as usize..self.offset as usize + self.bytes as usize
    }
}

/// Why a span cannot change hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferError {
    /// It has no bytes.
    Empty,
    /// It starts at an offset that is not a multiple of the region's alignment.
    Misaligned,
    /// It ends behind the region.
    OutOfBounds,
    /// Some of it is in use already.
    InUse,
    /// No more spans can be in use at once.
    TooMany,
    /// Exactly this span is not in use.
    NotInUse,
}

impl fmt::Display for BufferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BufferError::Empty => "buffer: empty",
            BufferError::Misaligned => "buffer: misaligned",
            BufferError::OutOfBounds => "buffer: ends behind its region",
            BufferError::InUse => "buffer: in use already",
            BufferError::TooMany => "buffer: too many in use",
            BufferError::NotInUse => "buffer: not in use",
        })
    }
}

impl core::error::Error for BufferError {}

/// The spans of one region that are with one side: at most `N`, never two that overlap.
#[derive(Clone, Debug)]
pub struct Buffers<const N: usize> {
    region_bytes: u64,
    align: u32,
    spans: [Option<Span>; N],
}

impl<const N: usize> Buffers<N> {
    /// No spans yet, of a region of `region_bytes`; each must start at a multiple of `align` bytes (0 counts as 1).
    pub const fn new(region_bytes: usize, align: u32) -> Self {
        Self { region_bytes: region_bytes as u64, align: if align == 0 { 1 } else { align }, spans: [None; N] }
    }

    /// Takes a span over: lends it (client), or accepts it (server).
    ///
    /// # Errors
    /// When it is empty, misaligned or out of bounds, when some of it is in use, or when `N` spans are.
    pub fn take(&mut self, span: Span) -> Result<(), BufferError> {
        if span.bytes == 0 {
            return Err(BufferError::Empty);
        }
        if !span.offset.is_multiple_of(self.align) {
            return Err(BufferError::Misaligned);
        }
        if span.end() > self.region_bytes {
            return Err(BufferError::OutOfBounds);
        }
        if self.spans.iter().flatten().any(|used| used.overlaps(span)) {
            return Err(BufferError::InUse);
        }
        let free = self.spans.iter_mut().find(|slot| slot.is_none()).ok_or(BufferError::TooMany)?;
        *free = Some(span);
        Ok(())
    }

    /// Takes several spans over, all or none.
    ///
    /// # Errors
    /// As [`Buffers::take`], of the first that fails.
    pub fn take_all(&mut self, spans: &[Span]) -> Result<(), BufferError> {
        for (index, span) in spans.iter().enumerate() {
            if let Err(error) = self.take(*span) {
                self.spans.iter_mut().filter(|used| used.is_some_and(|used| spans[..index].contains(&used))).for_each(
                    |used| {
                        *used = None;
                    },
                );
                return Err(error);
            }
        }
        Ok(())
    }

    /// Gives a span back.
    ///
    /// # Errors
    /// [`BufferError::NotInUse`] unless exactly this span is in use.
    pub fn give_back(&mut self, span: Span) -> Result<(), BufferError> {
        let slot = self.spans.iter_mut().find(|used| **used == Some(span)).ok_or(BufferError::NotInUse)?;
        *slot = None;
        Ok(())
    }

    /// Gives everything back: the other side began anew.
    pub fn clear(&mut self) {
        self.spans = [None; N];
    }

    /// How many spans are in use.
    pub fn in_use(&self) -> usize {
        self.spans.iter().flatten().count()
    }
}
