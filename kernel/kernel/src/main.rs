//! The built-in kernel.
#![no_std]
#![no_main]
