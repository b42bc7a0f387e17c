//! Parent of all other protection domains: reports faults and restarts.
//!
//! The supervisor outranks all its children and calls none of them: it acts on fault messages and on requests that the
//! shell put into a ring, a bounded number a turn, and everything it says may be dropped rather than wait.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod fault;
pub mod policy;
pub mod supervisor;
