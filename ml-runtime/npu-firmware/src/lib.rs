//! What the accelerator's firmware takes: the firmware itself goes by it, and so do tools that say what runs where.
//!
//! The firmware proper is this package's program, which exists for the accelerator's hart alone.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod reach;
