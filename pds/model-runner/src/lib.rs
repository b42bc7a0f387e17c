//! Runs models for clients: jobs by ring, tensors in shared memory.
#![cfg_attr(not(test), no_std)]
