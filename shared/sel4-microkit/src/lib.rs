//! The protection-domain runtime, with the public API of rust-sel4's crate of that name.
#![cfg_attr(not(test), no_std)]
