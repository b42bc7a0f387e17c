//! Any bytes are a program image or an error, and an image that passes the checks can be patched or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use microkit::board::Board;
use microkit::description::{files::SearchPath, parse};
use microkit::elf::Elf;
use microkit::patch::patch;

const SYSTEM: &str = "<system><memory_region name='r' size='0x1000'/><protection_domain name='a'>\
    <program_image path='a'/><map mr='r' vaddr='0x300000' setvar_vaddr='v'/></protection_domain></system>";
const LIMIT_BYTES: u64 = 1 << 20;

fuzz_target!(|file: &[u8]| {
    let Ok(elf) = Elf::parse(file, None, LIMIT_BYTES) else { return };
    let facts = include_str!("../../../boards/qemu_virt_riscv64/board.toml");
    let board = Board::parse(facts).expect("the board's facts are valid");
    let system = parse(SYSTEM, &board, &SearchPath::default()).expect("the system is valid").system;
    if elf.check(&system, &system.pds[0]).is_ok() {
        let _ = patch(&system, &mut [elf], &[0]);
    }
});
