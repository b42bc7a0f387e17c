//! Driver of the goldfish real-time clock as a timer.
#![cfg_attr(not(test), no_std)]
