//! Storage: files and keys on one disk, for several clients.
//!
//! | module | |
//! |---|---|
//! | [`sectors`] | what a disk does, and the part of one that a partition is |
//! | [`partition`] | where on a disk files and keys lie |
//! | [`fat`] | the FAT file system, long names too |
//! | [`kv`] | the key-value store, which power may leave at any write |
//! | [`service`] | the requests of `protocols::storage`: spaces, quotas, who may do what |
//! | [`block_client`] | the disk behind a link |
//!
//! Everything is bounded: memory is given at the start, and every walk over the disk ends after as many steps as the disk
//! can have, whatever is on it.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod block_client;
mod error;
pub mod fat;
pub mod kv;
pub mod partition;
pub mod sectors;
pub mod service;

pub use error::{DiskError, Error};
