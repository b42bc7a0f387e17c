//! The protection domains of the systems in tests/systems.
#![cfg_attr(not(test), no_std)]
