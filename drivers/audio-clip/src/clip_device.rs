//! A device made of a clip: the timer's clock is its sample clock, and it forgets as a device with little memory does.

use protocols::audio::{BLOCK, BLOCK_NS};
use protocols::clip::Clip;

use crate::capture::{Capture, Period};

/// Periods that the device keeps: 160 ms, what a controller with 5 KiB of memory holds.
pub const DEPTH: u64 = 8;

/// The device. Without a clip it ends at once.
#[derive(Debug)]
pub struct ClipDevice<'a> {
    clip: Option<Clip<'a>>,
    /// Number of the first sample, and when it was taken.
    started: Option<(u64, u64)>,
    filled: u64,
}

impl<'a> ClipDevice<'a> {
    /// A device that plays this clip once.
    pub fn new(clip: Option<Clip<'a>>) -> Self {
        ClipDevice { clip, started: None, filled: 0 }
    }
}

impl Capture for ClipDevice<'_> {
    fn start(&mut self, number: u64, now_ns: u64) {
        self.started = Some((number, now_ns));
        self.filled = 0;
    }

    fn stop(&mut self) {
        self.started = None;
        self.filled = 0;
    }

    fn filled(&mut self, now_ns: u64) -> u64 {
        let Some((_, start_ns)) = self.started else { return 0 };
        self.filled = self.filled.max(now_ns.saturating_sub(start_ns) / BLOCK_NS);
        self.filled
    }

    fn depth(&self) -> u64 {
        DEPTH
    }

    fn read(&mut self, period: u64, samples: &mut [i16; BLOCK]) -> Period {
        let Some((number, start_ns)) = self.started else { return Period::End };
        if period + DEPTH < self.filled {
            return Period::Overwritten;
        }
        let first = number.saturating_add(period.saturating_mul(BLOCK as u64));
        match &self.clip {
            Some(clip) if first < clip.len() => {
                clip.read(first, samples);
                Period::Samples { taken_ns: start_ns.saturating_add((period + 1).saturating_mul(BLOCK_NS)) }
            }
            _ => Period::End,
        }
    }
}
