//! Bytes on their way to the UART.

/// Room for the longest thing that is printed at once (see [`crate::console::WORST_LINE`]) and then some.
pub const CAPACITY: usize = 8192;

/// A bounded queue of bytes. Who adds to it has asked [`Output::room`] before.
#[derive(Debug)]
pub struct Output {
    bytes: [u8; CAPACITY],
    head: usize,
    length: usize,
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

impl Output {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { bytes: [0; CAPACITY], head: 0, length: 0 }
    }

    /// Bytes that fit.
    pub fn room(&self) -> usize {
        CAPACITY - self.length
    }

    /// Whether all has gone out.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds `bytes`; what does not fit is cut off.
    pub fn put(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().take(self.room()) {
            self.bytes[(self.head + self.length) % CAPACITY] = *byte;
            self.length += 1;
        }
    }

    /// Adds `byte` `count` times.
    pub fn repeat(&mut self, byte: u8, count: usize) {
        (0..count).for_each(|_| self.put(&[byte]));
    }

    /// The oldest bytes, as far as they lie in one piece.
    pub fn front(&self) -> &[u8] {
        &self.bytes[self.head..(self.head + self.length).min(CAPACITY)]
    }

    /// Removes the `count` oldest bytes.
    pub fn consume(&mut self, count: usize) {
        let count = count.min(self.length);
        self.head = (self.head + count) % CAPACITY;
        self.length -= count;
    }
}

impl core::fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn behaves_like_a_queue(steps in prop::collection::vec((0usize..5000, 0usize..5000), 1..40)) {
            let (mut output, mut model, mut next) = (Output::new(), VecDeque::new(), 0u8);
            for (add, remove) in steps {
                let bytes: Vec<u8> = (0..add).map(|_| { next = next.wrapping_add(1); next }).collect();
                model.extend(bytes.iter().take(output.room()));
                output.put(&bytes);
                let count = remove.min(output.front().len());
                let expected: Vec<u8> = model.drain(..count).collect();
                prop_assert_eq!(&output.front()[..count], &expected[..]);
                output.consume(count);
                prop_assert_eq!(output.room(), CAPACITY - model.len());
            }
        }
    }
}
