//! Frames of a stream of samples that comes in pieces of any length.

use crate::{BANDS, FRAME, HOP, features};

/// Cuts a stream into frames that overlap.
#[derive(Clone, Debug)]
pub struct Frames {
    samples: [i16; FRAME],
    /// How many of `samples` are there, always fewer than [`FRAME`] between calls.
    filled: usize,
}

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}

impl Frames {
    /// At the start of a stream.
    pub const fn new() -> Self {
        Frames { samples: [0; FRAME], filled: 0 }
    }

    /// Forgets what came: the stream has a gap.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Adds `samples`; calls `each` with the features of every frame that becomes whole, and how many of `samples` have
    /// been used up by then.
    pub fn add(&mut self, samples: &[i16], mut each: impl FnMut([i8; BANDS], usize)) {
        let mut used = 0;
        while used < samples.len() {
            let count = (FRAME - self.filled).min(samples.len() - used);
            self.samples[self.filled..][..count].copy_from_slice(&samples[used..][..count]);
            self.filled += count;
            used += count;
            if self.filled == FRAME {
                each(features(&self.samples), used);
                self.samples.copy_within(HOP.., 0);
                self.filled = FRAME - HOP;
            }
        }
    }
}
