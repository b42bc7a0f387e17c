//! Sound: blocks of samples from the driver of an audio source to whoever listens.
//!
//! The client starts the source; from then on blocks come by themselves, one each 20 ms, whether or not they are taken: a
//! microphone cannot wait. What finds no room is lost and counted, and so is what the device overwrote before the
//! driver came ([`Block::dropped`], [`Block::overrun`]); the number of a block's first sample tells where the gap is.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Names this protocol in a link.
pub const PROTOCOL: u32 = u32::from_le_bytes(*b"AUDI");
/// Version of the layouts below.
pub const VERSION: u32 = 1;
/// Samples in a second.
pub const SAMPLE_RATE: u32 = 16_000;
/// Samples in a block.
pub const BLOCK: usize = 320;
/// Nanoseconds from one sample to the next.
pub const SAMPLE_NS: u64 = 1_000_000_000 / SAMPLE_RATE as u64;
/// Nanoseconds that a block lasts.
pub const BLOCK_NS: u64 = BLOCK as u64 * SAMPLE_NS;

/// Kinds of requests.
pub mod request {
    /// Begin. `number` is the sample from which a source that can choose begins, if it is not under way already; a
    /// microphone counts from there.
    pub const START: u64 = 1;
    /// Stop until the next start.
    pub const STOP: u64 = 2;
}

/// Kinds of blocks.
pub mod kind {
    /// Samples.
    pub const SAMPLES: u32 = 1;
    /// No samples: the source has come to its end, or never had any, and is stopped.
    pub const END: u32 = 2;
}

/// From the listener to the driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Request {
    /// One of [`request`].
    pub kind: u64,
    /// What `kind` says.
    pub number: u64,
}

/// From the driver to the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Block {
    /// One of [`kind`].
    pub kind: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Number of the first sample; at the end, of the one that would have been next.
    pub first: u64,
    /// When the last of the samples was taken, by the timer's clock, in nanoseconds.
    pub taken_ns: u64,
    /// Samples that the device overwrote before they were read, since the driver started.
    pub overrun: u64,
    /// Samples that found no room on their way to this client, since the driver started.
    pub dropped: u64,
    /// Samples, signed.
    pub samples: [i16; BLOCK],
}

impl Block {
    /// A block without samples.
    pub const fn new(kind: u32, first: u64, taken_ns: u64) -> Self {
        Block { kind, reserved: 0, first, taken_ns, overrun: 0, dropped: 0, samples: [0; BLOCK] }
    }
}
