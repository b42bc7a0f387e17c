//! The key-value store.
//!
//! # On the disk
//! The partition is blocks of one sector. A *record* holds the value of one key. It is a chain of blocks anywhere in the
//! partition, each with its own head ([`block`]): a checksum, the record's number, its place in the chain, and where the next
//! one lies. Values lie behind the heads, so nothing that a client writes can look like a block.
//!
//! # What power loss leaves
//! * **Write**: the record goes to free blocks, with a number higher than any other on the disk; then the disk is flushed; then
//!   the first block of the key's old record is overwritten with zeros. Before the flush is complete, some, all or parts of the
//!   new blocks may be there. The record counts only if every block of it has the right checksum and number, so either it is
//!   whole, or it does not exist. As long as both records exist, the higher number counts.
//! * **Delete**: the first block is overwritten with zeros, and the disk is flushed. An older record of the key cannot
//!   reappear, because what was to be zeroed before is flushed first.
//!
//! Numbers are never used twice, not even those of records that were left unfinished, so blocks of two records never make one.
//! Blocks are taken in turn round the whole partition, which spreads the wear.
//!
//! # In memory
//! For each key a few bytes: a hash and where its record begins. It is made when the store is opened, by reading the partition
//! once. After a write that failed it is open what is on the disk, so the store is opened anew before it is used again.

pub mod block;
mod store;

pub use store::{MAX_BLOCKS, MAX_KEYS, MAX_SPACES, Open, Quota, Store, Usage};
