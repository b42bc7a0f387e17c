//! The layer between driver and device.

use protocols::audio::BLOCK;

/// What became of a period that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// The samples are there; the last of them was taken at this time, in nanoseconds of the timer's clock.
    Samples {
        /// That time.
        taken_ns: u64,
    },
    /// The device has written the next round over it, before it was read or while it was.
    Overwritten,
    /// The source ends before it. Microphones never say so.
    End,
}

/// A device that takes samples by its own clock and puts them into memory by itself, in periods of [`BLOCK`] samples, round and
/// round: an I2S controller with a DMA channel, for instance.
pub trait Capture {
    /// Begins to fill periods, from number 0. `number` is the sample with which a source that can choose begins.
    fn start(&mut self, number: u64, now_ns: u64);

    /// Stops at once. What was filled and not read is lost.
    fn stop(&mut self);

    /// How many periods have been filled since the start. Never less than before.
    fn filled(&mut self, now_ns: u64) -> u64;

    /// How many periods the memory holds: of those that have been filled, so many of the last can be read, but for the one that is
    /// being overwritten.
    fn depth(&self) -> u64;

    /// Reads period `period`, which has been filled.
    fn read(&mut self, period: u64, samples: &mut [i16; BLOCK]) -> Period;
}
