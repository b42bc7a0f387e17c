//! The auditor: what a finished image lets every protection domain do, against what the description grants.
//!
//! It reads the image as the machine will: page tables and capability tables, not the composer's data structures.

pub mod loader;
