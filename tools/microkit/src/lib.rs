//! The composer: Microkit's command line over the built-in kernel.
//!
//! It works in steps, each a module that can be tested alone:
//!
//! 1. the command line ([`args`]) and the folder of boards ([`sdk`], [`board`]);
//! 2. the system description ([`description`]): XML to a checked [`model::System`];
//! 3. the program images: [`elf::Elf`], checked against the system;
//! 4. placing ([`image::place`]): a physical address for everything;
//! 5. patching ([`mod@patch`]): ids, addresses and sizes into the program images;
//! 6. writing ([`image::write`]): page tables, boot blob, kernel, image file;
//! 7. the [`report`].
//!
//! Steps 1 to 3, 5 and 7 are the front end, 4 and 6 the back end; [`model`] lies between them.
//! [`compose`] does them in order.
#![forbid(unsafe_code)]

pub mod args;
pub mod audit;
pub mod board;
pub mod compose;
pub mod description;
pub mod elf;
pub mod error;
pub mod image;
pub mod model;
pub mod patch;
pub mod report;
pub mod sdk;
