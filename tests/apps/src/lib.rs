//! What the test apps share.
#![cfg_attr(not(test), no_std)]

#[cfg(target_os = "none")]
pub mod raw;
