//! The host's side of the emulated root of trust: [`machine`] starts and stops it, [`line`] speaks with it.

pub mod line;
pub mod machine;

pub use line::{Line, LineError};
pub use machine::{Machine, Setup, inheritable};
