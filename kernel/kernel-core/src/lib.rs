//! The pure logic of the built-in kernel: scheduling, budgets, IPC, capabilities.
#![cfg_attr(not(test), no_std)]
