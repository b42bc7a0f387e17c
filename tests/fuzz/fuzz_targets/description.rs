//! Any text is a system or an error. Prefill files are never found, since there is no folder to look in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use microkit::board::Board;
use microkit::description::{files::SearchPath, parse};

fuzz_target!(|text: &str| {
    let facts = include_str!("../../../boards/qemu_virt_riscv64/board.toml");
    let board = Board::parse(facts).expect("the board's facts are valid");
    let _ = parse(text, &board, &SearchPath::default());
});
