//! The int8 inference library.
#![cfg_attr(not(test), no_std)]
