//! Typed messages over protected calls.
#![cfg_attr(not(test), no_std)]
