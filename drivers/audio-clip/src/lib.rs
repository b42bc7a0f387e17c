//! Audio source of a machine without a microphone: a clip in memory, played in real time.
//!
//! [`Driver`] is what an audio driver is to its client, whatever the device; [`Capture`] is what it needs of the device, in the
//! terms of one that fills memory by itself, as an I2S controller with DMA does; [`ClipDevice`] is such a device made of a clip.
//! Another device needs another [`Capture`] and another `main.rs`; docs/keywords.md shows how.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod capture;
mod clip_device;
mod driver;

pub use capture::{Capture, Period};
pub use clip_device::{ClipDevice, DEPTH};
pub use driver::{Counts, Driver};

#[cfg(test)]
mod tests;
