//! The main job of the first image: classifies held-out scans of handwritten digits.
//!
//! All scans of the model `digits` in the model pack go to the model runner as jobs, [`LANES`] at a time. Each output is
//! compared with the reference's, bit for bit, and its class with the label. Then a report is printed; its last line
//! starts with `digits: PASS` or `digits: FAIL`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod demo;
mod report;

pub use demo::{Demo, LANES};
