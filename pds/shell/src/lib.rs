//! The console's command line.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod commands;
pub mod complete;
pub mod editor;
pub mod history;
pub mod keys;
pub mod models;
pub mod reports;
pub mod scripts;
pub mod shell;
pub mod units;
pub mod words;
pub mod world;
