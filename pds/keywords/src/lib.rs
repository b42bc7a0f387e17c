//! Keyword spotting: listens all the time, and tells who wants to know which words it heard.
//!
//! | step | where |
//! |---|---|
//! | blocks of samples, each 20 ms, from the audio driver | [`Spotter::listen`] |
//! | features of frames, in integers | the crate `log_mel` |
//! | written once into the memory shared with the model runner, where windows of them overlap | [`History`] |
//! | every fourth frame (80 ms) a window goes to the model runner as a job; none is copied | [`Spotter::ask`] |
//! | the model's opinions are averaged, held against a threshold, and told once | [`Detector`] |
//! | to the console, and to whoever subscribed | [`Subscriber`] |
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod detector;
mod history;
mod spotter;
mod subscriber;
mod words;

pub use detector::{Decision, Detector};
pub use history::{History, REGION_BYTES};
pub use spotter::{Machine, News, Spotter};
pub use subscriber::Subscriber;
pub use words::{MAX_WORDS, Words, WordsError};

/// Frames from the start of a window to that of the next: 80 ms. With 40 bytes a frame, every window starts at a multiple
/// of 16 bytes, as tensors must.
pub const STRIDE: u64 = 4;
