//! The console's command line.
#![cfg_attr(not(test), no_std)]
