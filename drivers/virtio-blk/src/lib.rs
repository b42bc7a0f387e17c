//! Driver of a virtio block device on the memory-mapped transport, version 2 ("modern").
//!
//! Layers: [`registers`] (what the transport has), [`queue`] (the ring of requests that driver and device share in memory),
//! [`disk`] (what the device can do), [`driver`] (what it is to its client: one link, and a data region that the device
//! reads and writes by itself).
//!
//! The queue is the driver's own, because it can then be so simple that it need not trust the device: request number *n*
//! always has the three descriptors from 3*n* on, so there is no list of free ones to corrupt, and what the device says was done
//! is a number that is in range and under way, or the device is reset. The crate `virtio-drivers` serves any device, keeps
//! free lists, waits for a reset without bound, and finds its memory by functions without state.
//!
//! Source: OASIS, "Virtual I/O Device (VIRTIO) Version 1.2"; its sections are named where they matter.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod disk;
pub mod driver;
pub mod queue;
pub mod registers;

#[cfg(test)]
mod tests;
