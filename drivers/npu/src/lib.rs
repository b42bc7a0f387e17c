//! Driver of the ML accelerator.
//!
//! Layers: [`layout`] (what lies in the control page, which the firmware shares), [`registers`] (typed accesses),
//! [`device`] (what the accelerator can do), [`driver`] (jobs that always end), [`server`] (clients by link).
//!
//! The accelerator reads commands from a ring in its control page, runs models where they lie in its memory window, and
//! answers in a second ring. It reaches nothing else: its firmware has locked itself in. Nothing it writes is trusted here.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod device;
pub mod driver;
pub mod layout;
pub mod registers;
pub mod server;

#[cfg(test)]
mod tests;
