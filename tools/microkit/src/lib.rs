//! The composer: Microkit's command line over the built-in kernel.
//!
//! It works in steps, each a module that can be tested alone:
//!
//! 1. the command line and the folder of boards ([`board`]);
//! 2. the system description: XML to a checked [`model::System`];
//! 3. the program images: [`elf::Elf`], checked against the system;
//! 4. placing: a physical address for everything;
//! 5. patching: ids, addresses and sizes into the program images;
//! 6. writing: page tables, boot blob, kernel, image file;
//! 7. the report.
//!
//! Steps 1 to 3, 5 and 7 are the front end, 4 and 6 the back end; [`model`] lies between them.
//! The back end is two calls in `image`: `place(&System, &[Elf], kernel_elf: &[u8], &Board) -> Result<Placement>`, whose
//! result has `region_paddrs: Vec<u64>`, and, after patching, `write(&Placement, &System, &[Elf], &Board, ImageType) ->
//! Result<(Vec<u8>, ImageFacts)>`.
#![forbid(unsafe_code)]

pub mod board;
pub mod description;
pub mod elf;
pub mod error;
pub mod image;
pub mod model;
pub mod report;
