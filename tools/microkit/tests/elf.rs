//! Program images: what is read of them, what is refused, what is written into them.

mod common;

use common::{Load, elf, program};
use microkit::board::Board;
use microkit::description::files::SearchPath;
use microkit::description::parse;
use microkit::elf::Elf;
use microkit::model::System;
use microkit::patch::patch;

const LIMIT: u64 = 1 << 20;

fn system(pds: &str) -> System {
    let board = Board::parse(include_str!("../../../boards/qemu_virt_riscv64/board.toml")).expect("valid facts");
    let description = parse(&format!("<system>{pds}</system>"), &board, &SearchPath::default());
    description.unwrap_or_else(|e| panic!("{e}")).system
}

fn load(flags: u32, vaddr: u64, zeros: u64) -> Load {
    Load { vaddr, flags, content: vec![7; 16], zeros }
}

fn word(elf: &Elf, name: &str) -> u64 {
    let symbol = elf.symbol(name).unwrap_or_else(|e| panic!("{e}"));
    let segment =
        elf.segments.iter().find(|s| s.range().contains(&symbol.vaddr)).expect("the symbol lies in a segment");
    let offset = (symbol.vaddr - segment.vaddr) as usize;
    u64::from_le_bytes(segment.bytes[offset..offset + 8].try_into().expect("eight bytes"))
}

#[test]
fn segments_and_symbols_are_read() {
    let file = elf(0x1004, &[load(6, 0x3008, 100), load(5, 0x1000, 0), load(2, 0x5000, 0)], &[("x", 0x3010, 8)]);
    let elf = Elf::parse(&file, None, LIMIT).unwrap_or_else(|e| panic!("{e}"));
    let addresses: Vec<_> = elf.segments.iter().map(|segment| (segment.vaddr, segment.bytes.len())).collect();
    assert_eq!(addresses, [(0x1000, 16), (0x3008, 116), (0x5000, 16)]);
    let rights: Vec<_> = elf.segments.iter().map(|segment| (segment.read, segment.write, segment.execute)).collect();
    // A write right alone comes to nothing.
    assert_eq!(rights, [(true, false, true), (true, true, false), (false, false, false)]);
    assert_eq!(elf.segments[1].pages(), 0x3000..0x4000);
    assert_eq!((elf.entry, elf.symbols["x"].vaddr, elf.symbols["x"].bytes), (0x1004, 0x3010, 8));
    assert!(elf.entry_is_executable());
}

#[test]
fn symbols_may_come_from_another_file() {
    let stripped = elf(0x1000, &[load(5, 0x1000, 0)], &[]);
    let symbols = elf(0, &[load(5, 0x1000, 0)], &[("x", 0x1000, 8)]);
    let elf = Elf::parse(&stripped, Some(&symbols), LIMIT).unwrap_or_else(|e| panic!("{e}"));
    assert!(elf.symbol("x").is_ok());
}

#[test]
fn files_that_are_refused() {
    let good = || elf(0x1000, &[load(5, 0x1000, 0)], &[("x", 0x1000, 8)]);
    let with = |offset: usize, byte: u8| {
        let mut file = good();
        file[offset] = byte;
        file
    };
    for (file, words) in [
        (vec![], "not an ELF file"),
        (b"#!/bin/sh".to_vec(), "not an ELF file"),
        (with(4, 1), "not a 64-bit little-endian"),
        (with(5, 2), "not a 64-bit little-endian"),
        (with(18, 62), "machine 62, not for RISC-V"),
        (with(56, 0), "nothing to load"),
        (with(56, 200), "malformed"),
        (with(60, 0), "symbol table"),
        (good()[..70].to_vec(), "malformed"),
        (elf(0, &[load(5, 0x1000, LIMIT)], &[]), "more than 0x100000 bytes"),
        (elf(0, &[load(5, 0x1000, u64::MAX)], &[]), "longer in the file"),
        (elf(0, &[load(5, u64::MAX - 4, 0)], &[]), "above the stack"),
        (elf(0, &[load(5, 0xffff_ffff_8000_0000, 0)], &[]), "above the stack"),
    ] {
        let Err(e) = Elf::parse(&file, None, LIMIT) else { panic!("accepted, expected: {words}") };
        assert!(e.message().contains(words), "{e}, expected: {words}");
    }
}

#[test]
fn segments_must_fit_beside_stack_and_maps() {
    let region = "<memory_region name='r' size='0x1000'/>";
    let system = system(&format!(
        "{region}<protection_domain name='a'><program_image path='a'/><map mr='r' vaddr='0x5000'/></protection_domain>"
    ));
    let check = |loads: &[Load]| {
        let elf = Elf::parse(&elf(0, loads, &[("x", 0, 8)]), None, LIMIT).unwrap_or_else(|e| panic!("{e}"));
        elf.check(&system, &system.pds[0]).map_err(|e| e.message().to_string())
    };
    assert_eq!(check(&[load(5, 0x4000, 0xff0), load(5, 0x6000, 0), load(6, 0x3f_ffff_9ff0, 0)]), Ok(()));
    for (loads, words) in [
        (vec![load(5, 0x4000, 0xff1)], "overlaps the program image"),
        (vec![load(5, 0x5800, 0)], "overlaps the program image"),
        // As with Microkit's tool, which counts a whole page from 0x4800 on.
        (vec![load(5, 0x4800, 0)], "overlaps the program image"),
        (vec![load(5, 0x6000, 0), load(6, 0x6800, 0)], "share a page"),
        (vec![load(5, 0x6000, 0x800), load(6, 0x6100, 0)], "share a page"),
        (vec![load(6, 0x3f_ffff_9ff1, 0)], "one page below the stack"),
    ] {
        let message = check(&loads).expect_err(words);
        assert!(message.contains(words), "{message}, expected: {words}");
    }
}

#[test]
fn what_the_library_wants_to_know_is_written() {
    let name = "n".repeat(70);
    let system = system(&format!(
        "<memory_region name='r' size='0x2000'/>
         <protection_domain name='{name}' passive='true'><program_image path='a'/>
           <map mr='r' vaddr='0x5000' setvar_vaddr='v' setvar_size='s'/><setvar symbol='p' region_paddr='r'/>
           <irq irq='3' id='5'/><irq irq='4' id='61'/></protection_domain>
         <protection_domain name='b' priority='9'><program_image path='b'/></protection_domain>
         <channel><end pd='{name}' id='0' pp='true'/><end pd='b' id='7' setvar_id='c'/></channel>
         <channel><end pd='{name}' id='60' notify='false'/><end pd='b' id='8'/></channel>"
    ));
    let program = Elf::parse(&program(&["v", "s", "p", "c"]), None, LIMIT).unwrap_or_else(|e| panic!("{e}"));
    let mut elfs = [program.clone(), program];
    patch(&system, &mut elfs, &[0x8123_4000]).unwrap_or_else(|e| panic!("{e}"));
    let variables = ["microkit_irqs", "microkit_notifications", "microkit_pps", "microkit_ioports", "v", "s", "p", "c"];
    assert_eq!(variables.map(|name| word(&elfs[0], name)), [1 << 5 | 1 << 61, 1, 1, 0, 0x5000, 0x2000, 0x8123_4000, 0]);
    assert_eq!(variables.map(|name| word(&elfs[1], name)), [0, 1 << 7 | 1 << 8, 0, 0, 0, 0, 0, 7]);
    let data = &elfs[0].segments[1].bytes;
    assert_eq!(data[..8], [1; 8]);
    assert_eq!(data[8..72], [b'n'; 64]);
    assert_eq!(data[72..80], [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(elfs[1].segments[1].bytes[8..12], *b"b\0\0\0");
}

#[test]
fn symbols_that_cannot_be_patched() {
    let pd = "<protection_domain name='long'><program_image path='a'/>\n<map mr='r' vaddr='0x5000' setvar_vaddr='v'/>\
              </protection_domain><memory_region name='r' size='0x1000'/>";
    let system = system(pd);
    let library = [
        ("microkit_name", 0x1000, 64),
        ("microkit_passive", 0x1040, 1),
        ("microkit_irqs", 0x1048, 8),
        ("microkit_notifications", 0x1050, 8),
        ("microkit_pps", 0x1058, 8),
        ("microkit_ioports", 0x1060, 8),
        ("v", 0x1068, 8),
    ];
    let try_symbols = |symbols: &[(&str, u64, u64)]| {
        let file = elf(0, &[load(6, 0x1000, 0x100)], symbols);
        let mut elfs = [Elf::parse(&file, None, LIMIT).unwrap_or_else(|e| panic!("{e}"))];
        patch(&system, &mut elfs, &[0]).map_err(|e| e.to_string())
    };
    assert_eq!(try_symbols(&library), Ok(()));
    for missing in 0..library.len() {
        let rest: Vec<_> =
            library.iter().enumerate().filter(|(i, _)| *i != missing).map(|(_, symbol)| *symbol).collect();
        let message = try_symbols(&rest).expect_err("a symbol is missing");
        assert!(message.contains(&format!("no symbol '{}'", library[missing].0)), "{message}");
    }
    let with = |index: usize, symbol: (&'static str, u64, u64)| {
        let mut symbols = library.to_vec();
        symbols[index] = symbol;
        try_symbols(&symbols).expect_err("the symbol is wrong")
    };
    for (message, words) in [
        (with(0, ("microkit_name", 0x1000, 3)), "has 3 bytes and needs 4"),
        (with(2, ("microkit_irqs", 0x1048, 4)), "has 4 bytes and needs 8"),
        (with(2, ("microkit_irqs", 0x110c, 8)), "lies in no segment"),
        (with(2, ("microkit_irqs", u64::MAX, 8)), "lies in no segment"),
        (with(2, ("microkit_irqs", 0x1000, u64::MAX)), "lies in no segment"),
        (with(6, ("v", 0x1068, 4)), "2:28: error: protection domain 'long' (a): the symbol 'v' has 4 bytes"),
        (with(6, ("v", 0x1068, 16)), "'v' has 16 bytes"),
        (with(6, ("microkit_irqs", 0x1068, 8)), "more than one symbol 'microkit_irqs'"),
    ] {
        assert!(message.contains(words), "{message}, expected: {words}");
    }
}
