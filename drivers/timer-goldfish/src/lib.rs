//! Driver of the goldfish real-time clock as a timer for many clients.
//!
//! Layers: [`registers`] (what the device has), [`clock`] (what it can do), [`timers`] (the table of timers, which knows
//! no device), [`driver`] and [`linked`] (what it is to clients: calls, and links for those who may not call), [`server`] (all of it).
//!
//! Source of the device: "Goldfish RTC" in the Android emulator's documentation (docs/GOLDFISH-VIRTUAL-HARDWARE.TXT),
//! and its model in QEMU (hw/rtc/goldfish_rtc.c), which adds that a past alarm fires at once.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod clock;
pub mod driver;
pub mod linked;
pub mod registers;
pub mod server;
pub mod timers;

#[cfg(test)]
mod tests;
