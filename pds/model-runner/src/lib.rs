//! Runs models for clients: jobs by ring, tensors in shared memory. docs/models-protocol.md says what clients see.
//!
//! Design:
//! 1. Everything is bounded: [`protocols::model::MAX_CLIENTS`] clients with [`protocols::model::MAX_JOBS`] jobs each. A job too
//!    many is refused to its submitter, and no client can fill another's queue.
//! 2. A client's words are copied once, checked, and the copy is used. Buffers are checked against the client's region, the
//!    tensor's size, and all its other jobs ([`ring::Buffers`]).
//! 3. Every accepted job gets one reply at its end, for which there is room in the client's ring before it is accepted; a
//!    periodic one another for each run, which is left out if there is no room for it. A client that does not take its
//!    replies stops being read, and sees its own ring fill up; nobody else waits for it.
//! 4. [`engine`] is the seam between deciding and computing. The processor computes an operator a step, and looks up within
//!    long ones: cancelling and deadlines stop a running job.
//! 5. Computing time is shared: who has used up its part of a window goes behind those who have not ([`protocols::model::WINDOW_NS`]).
//! 6. Tensors stay where the client put them; the only thing that would copy them is counted ([`Runner::status`]).
#![cfg_attr(not(test), no_std)]

pub mod accelerator;
mod client;
pub mod engine;
mod job;
mod models;
mod processor;
pub mod region;
mod runner;
mod scheduler;
pub mod wake;

pub use models::{Infos, ModelSet, Problem};
pub use processor::{MAX_ACTIVE, Processor};
pub use runner::{Clock, Runner};
