//! What the tests of the back end share: a small kernel, program images, and systems made by hand.
#![allow(dead_code, reason = "each test program uses its part")]

use kernel_layout::{BOOT_BLOCK_SYMBOL, BYTES_PER_PD_SYMBOL, BootBlock, KERNEL_VA_OFFSET};
use microkit::board::Board;
use microkit::elf::{Elf, Segment, Symbol};
use microkit::image::kernel::Kernel;
use microkit::image::{ImageType, place, write};
use microkit::model::{Location, Map, MemoryRegion, ProtectionDomain, System};
use microkit::report::ImageFacts;

pub const NOWHERE: Location = Location { line: 1, column: 1 };
pub const KERNEL_PADDR: u64 = 0x8020_0000;
/// What the small kernel says it keeps for each PD.
pub const KERNEL_BYTES_PER_PD: u64 = 1000;

pub fn board() -> Board {
    Board::parse(include_str!("../../../../boards/qemu_virt_riscv64/board.toml")).unwrap()
}

/// A segment of a kernel: virtual address, content, bytes in memory, flags.
pub struct KernelSegment(pub u64, pub Vec<u8>, pub u64, pub u32);

/// The segments of a kernel like the real one: text, read-only data, data with `.bss`, and a stack behind a gap.
pub fn kernel_segments() -> Vec<KernelSegment> {
    let base = KERNEL_PADDR + KERNEL_VA_OFFSET;
    let mut rodata = KERNEL_BYTES_PER_PD.to_le_bytes().to_vec();
    rodata.extend([7; 100]);
    vec![
        KernelSegment(base, vec![0x13; 0x1234], 0x1234, 5),
        KernelSegment(base + 0x2000, rodata, 108, 4),
        KernelSegment(base + 0x3000, vec![0; size_of::<BootBlock>()], 0x2800, 6),
        KernelSegment(base + 0x7000, vec![], 0x2000, 6),
    ]
}

/// Where the small kernel has its symbols.
pub fn kernel_symbols() -> Vec<(&'static str, u64, u64)> {
    let base = KERNEL_PADDR + KERNEL_VA_OFFSET;
    vec![(BOOT_BLOCK_SYMBOL, base + 0x3000, size_of::<BootBlock>() as u64), (BYTES_PER_PD_SYMBOL, base + 0x2000, 8)]
}

pub fn kernel_file() -> Vec<u8> {
    kernel_elf(&kernel_segments(), &kernel_symbols(), KERNEL_PADDR)
}

pub fn kernel() -> Kernel {
    Kernel::parse(&kernel_file(), KERNEL_PADDR).unwrap()
}

fn words(out: &mut Vec<u8>, words: &[u64]) {
    words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
}

/// An ELF with these segments and symbols. Physical addresses are what a kernel's must be.
pub fn kernel_elf(segments: &[KernelSegment], symbols: &[(&str, u64, u64)], entry: u64) -> Vec<u8> {
    let mut body = Vec::new();
    let first = 64 + 56 * segments.len() as u64;
    let mut headers = Vec::new();
    for KernelSegment(vaddr, data, memory, flags) in segments {
        headers.extend_from_slice(&1u32.to_le_bytes());
        headers.extend_from_slice(&flags.to_le_bytes());
        let paddr = vaddr.wrapping_sub(KERNEL_VA_OFFSET);
        words(&mut headers, &[first + body.len() as u64, *vaddr, paddr, data.len() as u64, *memory, 4096]);
        body.extend_from_slice(data);
    }
    let mut names = vec![0];
    let mut table = vec![0; 24];
    for (name, address, bytes) in symbols {
        table.extend_from_slice(&(names.len() as u32).to_le_bytes());
        // A global object in section 1.
        table.extend_from_slice(&[0x11, 0, 1, 0]);
        words(&mut table, &[*address, *bytes]);
        names.extend_from_slice(name.as_bytes());
        names.push(0);
    }
    body.resize(body.len().next_multiple_of(8), 0);
    names.resize(names.len().next_multiple_of(8), 0);
    let (table_at, names_at) = (first + body.len() as u64, first + (body.len() + table.len()) as u64);
    let sections_at = names_at + names.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xf3\0\x01\0\0\0".to_vec();
    words(&mut file, &[entry, 64, sections_at]);
    file.extend_from_slice(&[0, 0, 0, 0, 64, 0, 56, 0, segments.len() as u8, 0, 64, 0, 3, 0, 2, 0]);
    for part in [&headers, &body, &table, &names] {
        file.extend_from_slice(part);
    }
    file.extend_from_slice(&[0; 64]);
    for (kind, at, bytes, link, entry_bytes) in
        [(2u32, table_at, table.len() as u64, 2u32, 24u64), (3, names_at, names.len() as u64, 0, 0)]
    {
        file.extend_from_slice(&0u32.to_le_bytes());
        file.extend_from_slice(&kind.to_le_bytes());
        words(&mut file, &[0, 0, at, bytes]);
        file.extend_from_slice(&link.to_le_bytes());
        file.extend_from_slice(&1u32.to_le_bytes());
        words(&mut file, &[8, entry_bytes]);
    }
    file
}

pub fn pd(name: &str) -> ProtectionDomain {
    ProtectionDomain {
        name: name.to_string(),
        priority: 1,
        budget_us: 1000,
        period_us: 1000,
        passive: false,
        fpu: true,
        stack_bytes: 0x2000,
        domain: 0,
        parent: None,
        program_image: "program.elf".into(),
        program_image_for_symbols: None,
        maps: vec![],
        irqs: vec![],
        setvars: vec![],
        shared_caps: vec![],
        location: NOWHERE,
    }
}

pub fn region(name: &str, bytes: u64, page_bytes: u64) -> MemoryRegion {
    MemoryRegion { name: name.to_string(), bytes, page_bytes, paddr: None, prefill: None, location: NOWHERE }
}

pub fn map(region: usize, vaddr: u64, rights: &str) -> Map {
    let has = |letter| rights.contains(letter);
    Map { region, vaddr, read: has('r'), write: has('w'), execute: has('x'), cached: true, location: NOWHERE }
}

/// A program with a page of code and one of data, which the composer patches.
pub fn program() -> Elf {
    let symbol = |vaddr| Symbol { vaddr, bytes: 8, duplicate: false };
    let names = ["microkit_irqs", "microkit_notifications", "microkit_pps", "microkit_ioports"];
    let mut elf = Elf {
        entry: 0x20_0000,
        segments: vec![
            Segment { vaddr: 0x20_0000, bytes: vec![0x73; 100], read: true, write: false, execute: true },
            Segment { vaddr: 0x20_1010, bytes: vec![0; 0x600], read: true, write: true, execute: false },
        ],
        symbols: names.iter().zip(0..).map(|(name, i)| (name.to_string(), symbol(0x20_1100 + 8 * i))).collect(),
    };
    elf.symbols.insert("microkit_name".into(), Symbol { vaddr: 0x20_1200, bytes: 64, duplicate: false });
    elf.symbols.insert("microkit_passive".into(), Symbol { vaddr: 0x20_1240, bytes: 1, duplicate: false });
    elf
}

/// Composes a system whose PDs all run `elfs`, as the command does.
pub fn compose(system: &System, elfs: &mut [Elf], kind: ImageType) -> microkit::error::Result<(Vec<u8>, ImageFacts)> {
    let board = board();
    let placement = place(system, elfs, &kernel(), &board)?;
    microkit::patch::patch(system, elfs, &placement.region_paddrs)?;
    write(&placement, system, elfs, &board, kind)
}
