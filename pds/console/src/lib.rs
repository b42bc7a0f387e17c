//! The serial multiplexer: whole lines from many clients to one UART.
//!
//! Clients send lines by ring (see `protocols::console`) and never wait. Each turn of the console is bounded: it passes
//! keys on to the client that owns the terminal, then takes one line a client in rotation while there is room for the
//! output. What does not fit stays in the client's own ring, so a flood costs the flooder its own lines and nobody else's;
//! each lost line is counted and said on the terminal.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod clean;
pub mod client;
pub mod console;
pub mod output;
pub mod terminal;
