//! The single-producer single-consumer ring that every data path uses.
#![cfg_attr(not(test), no_std)]
