//! The places that a request names in the region shared with its client. The client may write there at any time, so what
//! counts is copied once.

use core::sync::atomic::{AtomicU8, Ordering};

use protocols::storage::{Request, code};
use ring::Span;

/// The two places of a request, which lie in the region.
pub(super) struct Buffers<'a> {
    name: &'a [AtomicU8],
    data: &'a [AtomicU8],
}

impl<'a> Buffers<'a> {
    pub fn new(request: &Request, region: &'a [AtomicU8]) -> Result<Self, u32> {
        let place = |span: Span| {
            let (start, bytes) = (span.offset as usize, span.bytes as usize);
            region.get(start..).and_then(|rest| rest.get(..bytes)).ok_or(code::BAD_BUFFER)
        };
        Ok(Self { name: place(request.name)?, data: place(request.data)? })
    }

    /// Bytes of the place for data.
    pub fn data_bytes(&self) -> usize {
        self.data.len()
    }

    /// Copies the name.
    pub fn name<'b>(&self, into: &'b mut [u8]) -> Result<&'b [u8], u32> {
        copy(self.name, into).ok_or(code::BAD_NAME)
    }

    /// Copies the data of the client.
    pub fn take<'b>(&self, into: &'b mut [u8]) -> Result<&'b [u8], u32> {
        copy(self.data, into).ok_or(code::TOO_LARGE)
    }

    /// Copies data to the client, as much as there is room for.
    pub fn put(&self, bytes: &[u8]) {
        for (to, byte) in self.data.iter().zip(bytes) {
            to.store(*byte, Ordering::Relaxed);
        }
    }
}

fn copy<'b>(from: &[AtomicU8], into: &'b mut [u8]) -> Option<&'b [u8]> {
    let into = into.get_mut(..from.len())?;
    for (to, byte) in into.iter_mut().zip(from) {
        *to = byte.load(Ordering::Relaxed);
    }
    Some(into)
}
