//! Memory that an app shares: words that may change at any instant.

use core::sync::atomic::{AtomicU64, Ordering};

/// A region of a slot, or a part of one.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    words: &'static [AtomicU64],
}

const WORD: usize = 8;

impl Area {
    /// An area of no bytes.
    pub const EMPTY: Area = Area { words: &[] };

    /// The area of these words.
    pub const fn new(words: &'static [AtomicU64]) -> Self {
        Self { words }
    }

    /// Its length in bytes.
    pub const fn bytes(&self) -> usize {
        self.words.len() * WORD
    }

    /// The first `bytes` bytes, rounded down to words, and the rest.
    pub fn split_at(&self, bytes: usize) -> (Area, Area) {
        let (first, rest) = self.words.split_at((bytes / WORD).min(self.words.len()));
        (Area::new(first), Area::new(rest))
    }

    /// The word with this index; 0 behind the end.
    pub fn load(&self, index: usize, order: Ordering) -> u64 {
        self.words.get(index).map_or(0, |word| word.load(order))
    }

    /// Writes the word with this index; nothing behind the end.
    pub fn store(&self, index: usize, value: u64, order: Ordering) {
        if let Some(word) = self.words.get(index) {
            word.store(value, order);
        }
    }

    /// Makes everything zero.
    pub fn wipe(&self) {
        for word in self.words {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Copies from byte `at` on; what lies behind the end stays as it is.
    pub fn read(&self, at: usize, into: &mut [u8]) {
        for (index, byte) in (at..).zip(into) {
            if let Some(word) = self.words.get(index / WORD) {
                *byte = word.load(Ordering::Relaxed).to_le_bytes()[index % WORD];
            }
        }
    }

    /// Copies to byte `at` on; what would lie behind the end is left out.
    pub fn write(&self, at: usize, bytes: &[u8]) {
        let head = (at.next_multiple_of(WORD) - at).min(bytes.len());
        let (head, body) = bytes.split_at(head);
        let (words, tail) = body.as_chunks::<WORD>();
        self.write_bytes(at, head);
        let first = (at + head.len()) / WORD;
        for (word, value) in self.words.get(first..).unwrap_or(&[]).iter().zip(words) {
            word.store(u64::from_le_bytes(*value), Ordering::Relaxed);
        }
        self.write_bytes(at + bytes.len() - tail.len(), tail);
    }

    fn write_bytes(&self, at: usize, bytes: &[u8]) {
        for (index, byte) in (at..).zip(bytes) {
            let Some(word) = self.words.get(index / WORD) else { return };
            let mut value = word.load(Ordering::Relaxed).to_le_bytes();
            value[index % WORD] = *byte;
            word.store(u64::from_le_bytes(value), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn area(words: usize) -> Area {
        Area::new((0..words).map(|_| AtomicU64::new(u64::MAX)).collect::<Vec<_>>().leak())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_nothing_else_changes(at in 0usize..70, bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let area = area(8);
            let mut expected = [0xff; 64];
            for (to, byte) in expected.iter_mut().skip(at).zip(&bytes) {
                *to = *byte;
            }
            area.write(at, &bytes);
            let mut all = [0; 64];
            area.read(0, &mut all);
            prop_assert_eq!(all, expected);
            let mut part = [7; 8];
            area.read(60, &mut part);
            prop_assert_eq!(&part[4..], [7; 4]);
            area.wipe();
            area.read(0, &mut all);
            prop_assert_eq!(all, [0; 64]);
        }
    }
}
