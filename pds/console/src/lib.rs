//! The serial multiplexer: whole lines from many clients to one UART.
#![cfg_attr(not(test), no_std)]
