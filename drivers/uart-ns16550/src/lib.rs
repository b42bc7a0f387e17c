//! Driver of the ns16550 UART, and of what is compatible with it.
//!
//! Three layers: [`registers`] (what the device has), [`uart`] (what it can do), [`driver`] (what it is to the rest of
//! the system: one link with bytes both ways). Each turn is bounded, nothing waits for the device or for the client, and
//! what is lost is counted.
//!
//! Source: National Semiconductor, "PC16550D Universal Asynchronous Receiver/Transmitter with FIFOs", June 1995; its
//! sections are named where they matter.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod driver;
pub mod registers;
pub mod uart;

#[cfg(test)]
mod tests;
