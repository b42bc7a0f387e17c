//! The page at [`map::INFO`](crate::map::INFO): what the app manager says of the app and the device.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// First word of the page while an app is there.
pub const MAGIC: u64 = u64::from_le_bytes(*b"KLAPP\0\0\x01");
/// Bytes of a name, filled up with zeros.
pub const NAME_BYTES: usize = 32;
/// Names of models.
pub const MODELS: usize = 4;

/// The page's contents.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Info {
    /// [`MAGIC`].
    pub magic: u64,
    /// Version of the interface that the device has.
    pub api_version: u32,
    /// Version of the interface that the app was built for.
    pub app_api: u32,
    /// Where the app begins.
    pub entry: u64,
    /// Where its stack begins, growing down.
    pub stack_top: u64,
    /// End of the last writable segment: what follows is free, up to `memory_end`.
    pub memory_start: u64,
    /// End of the memory that the manifest asks for.
    pub memory_end: u64,
    /// Bytes of the memory shared with the model runner; 0 if there is none.
    pub tensors_bytes: u64,
    /// Ticks of the `time` register in a second. It counts from the machine's start.
    pub timebase_hz: u64,
    /// How often the app was started since the machine's start, this time included.
    pub starts: u64,
    /// Bytes of the stack that the sandbox's own start-up code uses.
    pub sandbox_stack_bytes: u64,
    /// [`Permissions`](crate::Permissions).
    pub permissions: u32,
    /// The slot that the app is in.
    pub slot: u32,
    /// Microseconds of processor time that the slot has in each period.
    pub budget_us: u32,
    /// The period, in microseconds.
    pub period_us: u32,
    /// The app's version: major, minor, patch, 0.
    pub version: [u16; 4],
    /// The app's name.
    pub name: [u8; NAME_BYTES],
    /// Its publisher.
    pub publisher: [u8; NAME_BYTES],
    /// The models of the manifest, in order; unused ones are zeros.
    pub models: [[u8; NAME_BYTES]; MODELS],
}

const _: () = assert!(size_of::<Info>() <= crate::map::PAGE_BYTES as usize);

/// The text of a name that is filled up with zeros.
pub fn text(padded: &[u8]) -> &str {
    let end = padded.iter().position(|byte| *byte == 0).unwrap_or(padded.len());
    core::str::from_utf8(&padded[..end]).unwrap_or("")
}

/// A name filled up with zeros; what is too long is cut off.
pub fn padded(text: &str) -> [u8; NAME_BYTES] {
    let mut bytes = [0; NAME_BYTES];
    let length = text.len().min(NAME_BYTES);
    bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
    bytes
}
