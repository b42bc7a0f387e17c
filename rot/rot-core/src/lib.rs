//! What the root of trust does, apart from the machine that it does it on.
//!
//! * [`storage`]: the device's flash, and how the state in it survives a power cut at any moment;
//! * [`state`]: what is stored;
//! * [`measure`]: the measurement registers and their log;
//! * [`random`], [`seal`], [`token`], [`self_test`]: one service each;
//! * [`device`]: all commands;
//! * [`server`]: frames in, frames out, and the answers that are remembered.
//!
//! The firmware (`rot/rot-firmware`) gives it a serial line, a flash and a source of entropy; the tests give it others.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod device;
pub mod measure;
pub mod random;
pub mod seal;
pub mod self_test;
pub mod server;
pub mod state;
pub mod storage;
pub mod token;

#[cfg(test)]
mod tests;

use rot_protocol::data::Digest;
use sha2::{Digest as _, Sha256};

/// SHA-256 of parts, one after the other.
pub fn sha256(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}
