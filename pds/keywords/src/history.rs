//! The features of the last frames, in the memory that the model runner reads them from.
//!
//! Frames lie in a ring, and each lies there twice, a ring's length apart. So every window is one piece of memory, wherever
//! in the ring it begins, and becomes a tensor without being copied.

use core::sync::atomic::{AtomicU8, Ordering};

use log_mel::{BANDS, WINDOW_FEATURES, WINDOW_FRAMES};
use ring::Span;

use crate::{MAX_WORDS, STRIDE};

/// Frames that are kept: 2.56 s, of which a window takes up one. The rest is time for the model runner.
pub(crate) const KEPT: u64 = 128;
/// Where the output tensor lies.
const OUTPUT_AT: usize = 2 * KEPT as usize * BANDS;
/// Bytes of memory that are used.
pub const REGION_BYTES: usize = OUTPUT_AT + MAX_WORDS;

/// The frames, over memory that the model runner shares.
#[derive(Debug)]
pub struct History<'a> {
    data: &'a [AtomicU8],
    /// Frames pushed, those that gaps leave out included.
    next: u64,
    /// The first frame since the last gap.
    begin: u64,
}

impl<'a> History<'a> {
    /// No frames yet; `None` if `data` has fewer than [`REGION_BYTES`].
    pub fn new(data: &'a [AtomicU8]) -> Option<Self> {
        (data.len() >= REGION_BYTES).then_some(History { data, next: 0, begin: 0 })
    }

    /// Number of the frame that [`History::push`] writes next. It takes the place of the one [`KEPT`] before it.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// What came before and what comes next do not belong together.
    pub fn gap(&mut self) {
        self.next = self.next.next_multiple_of(STRIDE);
        self.begin = self.next;
    }

    /// Adds a frame. When a window is whole, and due, gives the number of its first frame.
    pub fn push(&mut self, frame: &[i8; BANDS]) -> Option<u64> {
        let at = (self.next % KEPT) as usize * BANDS;
        for start in [at, at + KEPT as usize * BANDS] {
            for (shared, value) in self.data[start..start + BANDS].iter().zip(frame) {
                shared.store(*value as u8, Ordering::Relaxed);
            }
        }
        self.next += 1;
        let first = self.next.checked_sub(WINDOW_FRAMES as u64)?;
        (first >= self.begin && (first - self.begin).is_multiple_of(STRIDE)).then_some(first)
    }

    /// Where the window lies that begins with frame `first`.
    pub fn window(first: u64) -> Span {
        Span { offset: ((first % KEPT) as usize * BANDS) as u32, bytes: WINDOW_FEATURES as u32 }
    }

    /// Where the model's output is to lie.
    pub fn output(bytes: usize) -> Span {
        Span { offset: OUTPUT_AT as u32, bytes: bytes as u32 }
    }

    /// The model's output.
    pub fn read_output(&self, values: &mut [u8]) {
        let shared = self.data.get(OUTPUT_AT..).unwrap_or_default();
        for (value, shared) in values.iter_mut().zip(shared) {
            *value = shared.load(Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocols::model::TENSOR_ALIGN;

    fn region() -> &'static [AtomicU8] {
        let region: Vec<AtomicU8> = (0..REGION_BYTES).map(|_| AtomicU8::new(0)).collect();
        region.leak()
    }

    fn frame(number: u64) -> [i8; BANDS] {
        core::array::from_fn(|band| (number as i8).wrapping_mul(41).wrapping_add(band as i8))
    }

    #[test]
    fn every_window_is_one_aligned_piece() {
        let data = region();
        let mut history = History::new(data).unwrap();
        let mut due = Vec::new();
        for number in 0..1000 {
            let Some(first) = history.push(&frame(number)) else { continue };
            due.push(first);
            let span = History::window(first);
            assert!(span.offset.is_multiple_of(TENSOR_ALIGN));
            let window: Vec<i8> = data[span.range()].iter().map(|value| value.load(Ordering::Relaxed) as i8).collect();
            let expected: Vec<i8> = (first..first + WINDOW_FRAMES as u64).flat_map(frame).collect();
            assert_eq!(window, expected, "from frame {first}");
        }
        assert_eq!(due, (0..1000 - WINDOW_FRAMES as u64 + 1).step_by(4).collect::<Vec<_>>());
        assert!(History::output(MAX_WORDS).offset.is_multiple_of(TENSOR_ALIGN));
    }

    #[test]
    fn a_gap_is_in_no_window() {
        let mut history = History::new(region()).unwrap();
        let due = (0..61).filter(|number| history.push(&frame(*number)).is_some()).count();
        assert_eq!((due, history.next()), (4, 61));
        history.gap();
        assert_eq!(history.next(), 64);
        let due: Vec<u64> = (0..60).filter_map(|number| history.push(&frame(number))).collect();
        assert_eq!(due, [64, 68, 72]);
    }

    #[test]
    fn too_little_memory_is_refused() {
        assert!(History::new(&region()[1..]).is_none());
    }
}
