//! A disk: whole sectors read, written and flushed, where they lie in a shared data region.
//!
//! The client of a driver shares a link and a data region with it. A [`Request`] names sectors of the disk and a place in
//! the region; from then on the client leaves that place alone until the [`Reply`] with that number comes. The device
//! reads and writes the region itself: nobody copies.
//!
//! Requests may be answered in another order. Each gets exactly one reply, unless the driver restarts: then the link begins a
//! new session, and it is unknown which of the requests under way were done. All of them may be made again.
//!
//! A write is durable when a [`kind::FLUSH`] that was sent after its reply is answered with [`code::DONE`].

use ring::Span;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// Names this protocol in a link.
pub const PROTOCOL: u32 = u32::from_le_bytes(*b"BLCK");
/// Version of the layouts below.
pub const VERSION: u32 = 1;
/// Bytes of a sector, the unit of all requests.
pub const SECTOR_BYTES: usize = 512;
/// Requests that may be under way at once; one more is answered with [`code::BUSY`].
pub const MAX_REQUESTS: usize = 16;
/// The most sectors of one request: 64 KiB.
pub const MAX_SECTORS: usize = 128;

/// Kinds of requests.
pub mod kind {
    /// Read sectors into the buffer.
    pub const READ: u32 = 1;
    /// Write the buffer to sectors.
    pub const WRITE: u32 = 2;
    /// Make everything durable whose write was answered before this was sent.
    pub const FLUSH: u32 = 3;
    /// What the disk is: [`super::Info`].
    pub const INFO: u32 = 4;
}

/// How a request ended: [`Reply::code`].
pub mod code {
    /// As it should.
    pub const DONE: u32 = 0;
    /// The device failed to do it, or answered what makes no sense.
    pub const IO_ERROR: u32 = 1;
    /// Refused: the sectors are not all on the disk.
    pub const OUT_OF_RANGE: u32 = 2;
    /// Refused: the disk cannot be written.
    pub const READ_ONLY: u32 = 3;
    /// Refused: there is no disk, or none that the driver can use.
    pub const NO_DEVICE: u32 = 4;
    /// The device did not answer in time and was reset; this request was one of those under way.
    pub const TIMED_OUT: u32 = 5;
    /// Refused: the kind is unknown, a reserved field is not 0, or the buffer is not whole sectors, aligned to a sector, in
    /// the data region, and at most [`super::MAX_SECTORS`] long.
    pub const BAD_REQUEST: u32 = 6;
    /// Refused: [`super::MAX_REQUESTS`] requests are under way.
    pub const BUSY: u32 = 7;

    /// What a code says, in words.
    pub fn text(code: u32) -> &'static str {
        match code {
            DONE => "done",
            IO_ERROR => "input/output error",
            OUT_OF_RANGE => "beyond the end of the disk",
            READ_ONLY => "the disk is read-only",
            NO_DEVICE => "there is no disk",
            TIMED_OUT => "the disk did not answer in time",
            BAD_REQUEST => "not a request",
            BUSY => "too many requests at once",
            _ => "unknown answer",
        }
    }
}

/// From the client to the driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Request {
    /// One of [`kind`].
    pub kind: u32,
    /// The client's number for it; the reply repeats it.
    pub id: u32,
    /// The first sector.
    pub sector: u64,
    /// Where the bytes lie in the data region; zeros where there are none.
    pub buffer: Span,
}

/// From the driver to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Reply {
    /// The kind of the request.
    pub kind: u32,
    /// The number of the request.
    pub id: u32,
    /// How it ended, one of [`code`].
    pub code: u32,
    /// 0.
    pub reserved: u32,
    /// An [`Info`] in answer to [`kind::INFO`], otherwise zeros.
    pub info: Info,
}

/// What a disk is, and what its driver has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Info {
    /// Sectors of the disk.
    pub sectors: u64,
    /// 1 if it cannot be written.
    pub read_only: u32,
    /// 1 if it has a cache that flushes empty; otherwise each write is durable when it is answered.
    pub has_cache: u32,
    /// Requests answered.
    pub answered: u64,
    /// Of these, not with [`code::DONE`].
    pub failed: u64,
    /// Times that the device was reset after the start, because it was late or made no sense.
    pub resets: u64,
}

impl Reply {
    /// The reply to `request` with this code and no information.
    pub fn new(request: &Request, code: u32) -> Self {
        Reply { kind: request.kind, id: request.id, code, ..Reply::new_zeroed() }
    }
}
