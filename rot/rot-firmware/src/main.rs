//! Firmware of the root of trust, on QEMU's OpenTitan machine. What it does is in `rot-core`; here is what it does it on:
//! the serial line, the flash, and where it starts.
#![cfg_attr(feature = "machine", no_std, no_main)]

#[cfg(feature = "machine")]
mod machine;

/// The firmware exists for its machine alone.
#[cfg(not(feature = "machine"))]
fn main() {}
