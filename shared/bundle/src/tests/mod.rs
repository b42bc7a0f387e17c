//! Bundles of every kind of fault.

mod envelope;
mod faults;
mod manifest;
mod sample;
