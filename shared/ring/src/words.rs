//! The only unsafe module: shared memory as a slice of atomic 64-bit words.
//!
//! Another protection domain may write the memory at any instant. Atomic accesses make that a race without undefined
//! behaviour: a word is always some value that somebody wrote, and everything above this module copies before it checks.

#[cfg(not(loom))]
use crate::error::OpenError;

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};

/// Bytes of a word.
pub(crate) const WORD: usize = 8;

/// A region that the program shares with another.
#[derive(Clone, Debug)]
pub struct Words {
    #[cfg(not(loom))]
    words: &'static [AtomicU64],
    #[cfg(loom)]
    words: loom::sync::Arc<Vec<AtomicU64>>,
}

impl Words {
    /// The region of `bytes` bytes that is mapped at `address`.
    ///
    /// # Errors
    /// When the address is null or not a multiple of 8.
    ///
    /// # Safety
    /// As long as the program runs, the memory is mapped, readable (and writable, if it is used as a link's own region),
    /// and this program accesses it in no other way than by atomic words. Others may do with it what they like.
    #[cfg(not(loom))]
    pub unsafe fn from_address(address: usize, bytes: usize) -> Result<Self, OpenError> {
        if address == 0 || !address.is_multiple_of(WORD) {
            return Err(OpenError::BadAddress { address });
        }
        let start = core::ptr::with_exposed_provenance::<AtomicU64>(address);
        // SAFETY: the caller vouches for the memory, for ever; it is aligned, as just checked; the length is rounded down
        // to whole words; every bit pattern is an AtomicU64, and atomics allow others to write. Memory that is mapped
        // read-only is only loaded from, with `Relaxed` 8-byte loads, which core::sync::atomic allows there.
        Ok(Self { words: unsafe { core::slice::from_raw_parts(start, bytes / WORD) } })
    }

    /// A region that is an ordinary array, for tests and for use within one program.
    #[cfg(not(loom))]
    pub fn from_static(words: &'static [AtomicU64]) -> Self {
        Self { words }
    }

    /// A region that the model checker watches.
    #[cfg(loom)]
    pub fn new(words: usize) -> Self {
        Self { words: loom::sync::Arc::new((0..words).map(|_| AtomicU64::new(0)).collect()) }
    }

    /// Bytes of the region.
    pub fn bytes(&self) -> usize {
        self.words.len() * WORD
    }

    /// Reads a word. All loads are `Relaxed`, for only such may read memory that is mapped read-only; an acquire fence
    /// follows where one is needed.
    pub(crate) fn load(&self, index: usize) -> u64 {
        self.words[index].load(Ordering::Relaxed)
    }

    /// Writes a word; a release fence goes before where one is needed.
    pub(crate) fn store(&self, index: usize, value: u64) {
        #[cfg(all(test, not(loom)))]
        crate::tests::crash::step();
        self.words[index].store(value, Ordering::Relaxed);
    }

    /// Copies words from `start` on to `bytes`, which is a whole number of words long.
    pub(crate) fn read(&self, start: usize, bytes: &mut [u8]) {
        let words = &self.words[start..start + bytes.len() / WORD];
        for (to, word) in bytes.chunks_exact_mut(WORD).zip(words) {
            to.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
    }

    /// Copies `bytes`, a whole number of words, to the words from `start` on.
    pub(crate) fn write(&self, start: usize, bytes: &[u8]) {
        let words = &self.words[start..start + bytes.len() / WORD];
        for (from, word) in bytes.chunks_exact(WORD).zip(words) {
            #[cfg(all(test, not(loom)))]
            crate::tests::crash::step();
            let mut value = [0; WORD];
            value.copy_from_slice(from);
            word.store(u64::from_ne_bytes(value), Ordering::Relaxed);
        }
    }
}
