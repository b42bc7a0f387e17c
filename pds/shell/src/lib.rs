//! The console's command line.
//!
//! Bytes become keys ([`keys`]), keys a line ([`editor`]), a line commands ([`words`], [`commands`]); [`shell`] runs them,
//! one after the other, and never waits: what it needs of the rest of the system is behind [`world::World`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod commands;
pub mod complete;
pub mod editor;
pub mod history;
pub mod jobs;
pub mod keys;
pub mod keywords;
pub mod models;
pub mod npu;
pub mod reports;
pub mod rot;
pub mod runner;
pub mod scripts;
pub mod shell;
pub mod storage;
pub mod units;
pub mod words;
pub mod world;
