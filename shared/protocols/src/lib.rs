//! The messages that protection domains exchange: one definition an interface.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod apps;
pub mod audio;
pub mod block;
pub mod clip;
pub mod console;
pub mod keywords;
pub mod model;
pub mod model_pack;
pub mod npu;
pub mod rot;
pub mod storage;
pub mod supervisor;
pub mod system_table;
pub mod timer;
pub mod uart;

pub use interface_notes::{calls, serves};
