//! Driver of the ns16550 UART.
#![cfg_attr(not(test), no_std)]
