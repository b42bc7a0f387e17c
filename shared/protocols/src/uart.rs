//! A serial line: bytes out, and bytes in with what was lost of them.
//!
//! The link's two ends are the driver, which sends [`Received`], and its one client, which sends [`Transmit`]. Neither
//! direction has answers. The driver takes entries in order and sends their bytes as fast as the line goes. Bytes that
//! arrive while the ring to the client is full stay in the device; what the device then loses, it reports as an overrun.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Names this protocol in a link.
pub const PROTOCOL: u32 = u32::from_le_bytes(*b"UART");
/// Version of the layouts below.
pub const VERSION: u32 = 1;
/// Bytes in one entry.
pub const CHUNK: usize = 56;

/// [`Received::errors`]: bytes were lost because the device's own memory was full.
pub const ERROR_OVERRUN: u8 = 1 << 0;
/// [`Received::errors`]: a byte with wrong parity.
pub const ERROR_PARITY: u8 = 1 << 1;
/// [`Received::errors`]: a byte without a valid stop bit.
pub const ERROR_FRAMING: u8 = 1 << 2;
/// [`Received::errors`]: the line was held low; the other side sent a break.
pub const ERROR_BREAK: u8 = 1 << 3;

/// An entry from the client: bytes to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Transmit {
    /// Valid bytes in `bytes`, at most [`CHUNK`]; a larger number counts as [`CHUNK`].
    pub length: u8,
    /// Must be 0.
    pub reserved: [u8; 7],
    /// The bytes.
    pub bytes: [u8; CHUNK],
}

/// An entry from the driver: bytes that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Received {
    /// Valid bytes in `bytes`, at most [`CHUNK`]; 0 if the entry only tells of errors.
    pub length: u8,
    /// `ERROR_*`: what happened since the previous entry.
    pub errors: u8,
    /// Must be 0.
    pub reserved: [u8; 2],
    /// Errors of any kind that the driver has counted since it started.
    pub error_count: u32,
    /// The bytes. Those with errors are among them.
    pub bytes: [u8; CHUNK],
}

impl Transmit {
    /// An entry with the first bytes of `bytes`, as many as fit: see [`Transmit::data`].
    pub fn new(bytes: &[u8]) -> Self {
        let (length, bytes) = fill(bytes);
        Self { length, reserved: [0; 7], bytes }
    }

    /// The valid bytes.
    pub fn data(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length).min(CHUNK)]
    }
}

impl Received {
    /// An entry with the first bytes of `bytes`, as many as fit, and these errors.
    pub fn new(bytes: &[u8], errors: u8) -> Self {
        let (length, bytes) = fill(bytes);
        Self { length, errors, reserved: [0; 2], error_count: 0, bytes }
    }

    /// The valid bytes.
    pub fn data(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length).min(CHUNK)]
    }
}

fn fill(from: &[u8]) -> (u8, [u8; CHUNK]) {
    let (length, mut bytes) = (from.len().min(CHUNK), [0; CHUNK]);
    bytes[..length].copy_from_slice(&from[..length]);
    (length as u8, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_take_what_fits_and_a_wrong_length_is_cut() {
        let bytes: Vec<u8> = (0..100).collect();
        assert_eq!(Transmit::new(&bytes).data(), &bytes[..CHUNK]);
        assert_eq!(Transmit::new(&bytes[..3]).data(), &bytes[..3]);
        let received = Received::new(b"ab", ERROR_PARITY);
        assert_eq!((received.data(), received.errors), (&b"ab"[..], ERROR_PARITY));
        assert_eq!(Received { length: 255, ..received }.data().len(), CHUNK);
        assert_eq!(Transmit { length: 255, ..Transmit::new(b"") }.data().len(), CHUNK);
        assert_eq!((size_of::<Transmit>(), size_of::<Received>()), (64, 64));
    }
}
