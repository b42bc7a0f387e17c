//! Parent of all other protection domains: reports faults and restarts.
#![cfg_attr(not(test), no_std)]
