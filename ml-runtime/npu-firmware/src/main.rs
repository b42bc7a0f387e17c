//! Firmware of the emulated ML accelerator: the second hart of the board, with vectors, in machine mode.
//!
//! 1. It sets up its interrupts, then locks itself into its window: code that can be executed, memory that cannot, and of
//!    everything else only the registers of its doorbell and its completion. The lock holds until power-off.
//! 2. It waits for commands in its control page (`npu::layout`), runs models where they lie, and answers.
//! 3. A doorbell with a reset request ends whatever it is doing and begins anew; a crash is reported and waits for that.
#![cfg_attr(feature = "machine", no_std, no_main)]
#![cfg_attr(not(feature = "machine"), allow(unused))]

#[cfg(feature = "machine")]
mod assembly;
#[cfg(feature = "machine")]
mod control;
#[cfg(feature = "machine")]
mod jobs;
#[cfg(feature = "machine")]
mod machine;
#[cfg(feature = "machine")]
mod start;
#[cfg(feature = "machine")]
mod vector;
#[cfg(feature = "machine")]
mod work;

/// The firmware exists for its hart alone.
#[cfg(not(feature = "machine"))]
fn main() {}
