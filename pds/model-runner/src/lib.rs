//! Runs models for clients: jobs by ring, tensors in shared memory.
//!
//! Design:
//! 1. Everything is bounded: [`MAX_CLIENTS`] clients with [`protocols::model::MAX_JOBS`] jobs each. A job too many is
//!    refused to its submitter; no client can fill another's queue, and clients take turns, one job each.
//! 2. A client's words are copied once, checked, and the copy is used. Buffers are checked against the client's region, the
//!    tensor's size, and all its other jobs ([`ring::Buffers`]).
//! 3. Every accepted job gets one reply, for which there is room in the client's ring before it is accepted. A client that
//!    does not take its replies stops being read, and sees its own ring fill up; nobody else waits for it.
//! 4. Between two operators the runner looks at the clock and at its clients: cancelling and deadlines stop a running job.
//! 5. Tensors stay where the client put them; the only thing that would copy them is counted ([`Runner::status`]).
#![cfg_attr(not(test), no_std)]

mod client;
mod models;
pub mod region;
mod runner;

pub use models::{ModelSet, Problem};
pub use runner::{Clock, MAX_CLIENTS, Runner};
