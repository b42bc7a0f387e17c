//! Files that a loader understands: ELF, flat binary, and the flat binary behind a U-Boot header.
//!
//! A loader of ELFs places everything and clears the rest. A flat binary is loaded as one piece, so the
//! [`Plan`] says what the kernel's boot code must still move and clear.

use super::memory::{BlockId, Placed};
use crate::error::{Error, Result};
use kernel_layout::{CopyRange, ZeroRange};
use object::elf;
use std::collections::BTreeMap;
use std::ops::Range;

/// A kind of image file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageType {
    /// Segments with their physical addresses.
    Elf,
    /// To be loaded at, and started at, the kernel's address.
    Binary,
    /// A binary with the header of U-Boot's legacy format.
    UImage,
}

/// All kinds.
pub const ALL: [ImageType; 3] = [ImageType::Elf, ImageType::Binary, ImageType::UImage];

/// Stored blocks that lie further apart than this are stored apart in a flat binary.
const LARGEST_GAP: u64 = 0x20_0000;

/// Memory that is filled as one: stored bytes, and zeros behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    memory: Range<u64>,
    stored_end: u64,
}

/// What the file stores where, and what the boot code does with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Moved by the boot code.
    pub copies: Vec<CopyRange>,
    /// Cleared by the boot code, after that.
    pub zeros: Vec<ZeroRange>,
    /// What the loader places where it belongs.
    in_place: Vec<Run>,
}

impl Run {
    /// Cuts the run in two at an address within it.
    fn split(self, at: u64) -> [Run; 2] {
        let Run { memory, stored_end } = self;
        [
            Run { memory: memory.start..at, stored_end: stored_end.min(at) },
            Run { memory: at..memory.end, stored_end: stored_end.max(at) },
        ]
    }
}

/// Merges the blocks to runs, in the order of their addresses.
fn runs(placed: &Placed) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for id in placed.sorted() {
        let (start, block) = (placed.start(id), placed.block(id));
        let (end, stored) = (start + block.bytes, block.stored_bytes.next_multiple_of(8));
        match runs.last_mut() {
            Some(run) if run.memory.end == start && (stored == 0 || run.stored_end == start) => {
                run.memory.end = end;
                run.stored_end = if stored == 0 { run.stored_end } else { start + stored };
            }
            _ => runs.push(Run { memory: start..end, stored_end: start + stored }),
        }
    }
    runs
}

/// Cuts runs where they enter or leave a range.
fn cut(runs: Vec<Run>, range: &Range<u64>) -> Vec<Run> {
    let cut_at = |runs: Vec<Run>, at: u64| {
        let cut = |run: Run| {
            if run.memory.start < at && at < run.memory.end { run.split(at).to_vec() } else { vec![run] }
        };
        runs.into_iter().flat_map(cut).collect()
    };
    cut_at(cut_at(runs, range.start), range.end)
}

impl Plan {
    /// Decides how an image of a kind is loaded to `start`. In an ELF nothing lies in `loader_data`.
    ///
    /// # Errors
    /// The RAM has no room for what the boot code must move.
    pub fn new(kind: ImageType, placed: &Placed, start: u64, loader_data: &Range<u64>) -> Result<Plan> {
        let mut plan = Plan::default();
        let mut moved = Vec::new();
        let mut avoid = vec![loader_data.clone()];
        let mut end = start;
        for run in cut(runs(placed), loader_data) {
            // An ELF is started at its lowest address, so nothing may lie below the kernel.
            let in_place = run.memory.start >= start
                && (kind == ImageType::Elf && !loader_data.contains(&run.memory.start)
                    || kind != ImageType::Elf
                        && run.stored_end > run.memory.start
                        && run.memory.start - end <= LARGEST_GAP);
            if in_place {
                avoid.push(if kind == ImageType::Elf { run.memory.clone() } else { run.memory.start..run.stored_end });
                end = if kind == ImageType::Elf { end } else { run.stored_end };
                plan.in_place.push(run.clone());
            }
            if !in_place && run.stored_end > run.memory.start {
                avoid.push(run.memory.start..run.stored_end);
                moved.push(run.memory.start..run.stored_end);
            }
            let cleared = if in_place { run.stored_end } else { run.stored_end.max(run.memory.start) };
            if cleared < run.memory.end && !(in_place && kind == ImageType::Elf) {
                plan.zeros.push(ZeroRange { start: cleared, bytes: run.memory.end - cleared });
            }
        }
        if kind != ImageType::Elf {
            // A flat file stores the zeros between its pieces, so nobody need clear them.
            plan.zeros.retain_mut(|zero| clip_below(zero, start..end));
        }
        plan.stage(&moved, avoid, end, placed.ram())?;
        Ok(plan)
    }

    /// Finds room behind `end` for what is moved, so that no move overwrites what a later one reads.
    fn stage(&mut self, moved: &[Range<u64>], mut avoid: Vec<Range<u64>>, end: u64, ram: &Range<u64>) -> Result<()> {
        let total: u64 = moved.iter().map(|range| range.end - range.start).sum();
        if total == 0 {
            return Ok(());
        }
        avoid.sort_by_key(|range| range.start);
        let mut source = end.next_multiple_of(8);
        for range in avoid {
            if range.start < source + total && source < range.end {
                source = range.end.next_multiple_of(8);
            }
        }
        if source + total > ram.end {
            return Err(Error::new(format!(
                "{total:#x} bytes of RAM must be free together for what the boot code moves to fixed addresses; make memory \
                 regions smaller, or place fixed ones elsewhere"
            )));
        }
        for range in moved {
            let bytes = range.end - range.start;
            self.copies.push(CopyRange { source, destination: range.start, bytes });
            source += bytes;
        }
        Ok(())
    }
}

/// Cuts away the part of a range that lies in `stored`, which it does not enclose; false when nothing is left.
fn clip_below(zero: &mut ZeroRange, stored: Range<u64>) -> bool {
    let end = zero.start + zero.bytes;
    if zero.start >= stored.start && zero.start < stored.end {
        zero.start = end.min(stored.end);
        zero.bytes = end - zero.start;
    }
    zero.bytes > 0
}

/// Contents of stored blocks.
pub struct Contents<'a> {
    /// Where the blocks lie.
    pub placed: &'a Placed,
    /// The stored bytes of each; what is missing at the end is zero.
    pub bytes: &'a BTreeMap<BlockId, std::borrow::Cow<'a, [u8]>>,
}

impl Contents<'_> {
    /// Copies what lies at `start` and behind it to `out`.
    fn read(&self, start: u64, out: &mut [u8]) {
        let end = start + out.len() as u64;
        for (id, bytes) in self.bytes {
            let (first, last) = (self.placed.start(*id), self.placed.start(*id) + bytes.len() as u64);
            let (from, to) = (first.max(start), last.min(end));
            if from < to {
                out[(from - start) as usize..(to - start) as usize]
                    .copy_from_slice(&bytes[(from - first) as usize..(to - first) as usize]);
            }
        }
    }
}

/// Makes the file.
///
/// # Errors
/// It would be too long for its format.
pub fn write(kind: ImageType, plan: &Plan, contents: &Contents, entry: u64) -> Result<Vec<u8>> {
    match kind {
        ImageType::Elf => write_elf(plan, contents, entry),
        ImageType::Binary => Ok(write_binary(plan, contents, entry)),
        ImageType::UImage => with_uimage_header(&write_binary(plan, contents, entry), entry),
    }
}

fn write_binary(plan: &Plan, contents: &Contents, start: u64) -> Vec<u8> {
    let ends = plan.in_place.iter().map(|run| run.stored_end);
    let end = ends.chain(plan.copies.iter().map(|copy| copy.source + copy.bytes)).max().unwrap_or(start);
    let mut file = vec![0; (end - start) as usize];
    for run in &plan.in_place {
        contents
            .read(run.memory.start, &mut file[(run.memory.start - start) as usize..(run.stored_end - start) as usize]);
    }
    for copy in &plan.copies {
        let offset = (copy.source - start) as usize;
        contents.read(copy.destination, &mut file[offset..offset + copy.bytes as usize]);
    }
    file
}

/// Bytes of an ELF's header and of each entry of its program table.
const ELF_HEADER: usize = 64;
const ELF_SEGMENT: usize = 56;

fn write_elf(plan: &Plan, contents: &Contents, entry: u64) -> Result<Vec<u8>> {
    // Where in memory, where its content comes from, how much is stored, how much there is.
    let mut segments: Vec<(u64, u64, u64, u64)> = Vec::new();
    for run in &plan.in_place {
        let start = run.memory.start;
        segments.push((start, start, run.stored_end - start, run.memory.end - start));
    }
    segments.extend(plan.copies.iter().map(|copy| (copy.source, copy.destination, copy.bytes, copy.bytes)));
    let count = u16::try_from(segments.len()).ok().filter(|count| *count < elf::PN_XNUM);
    let count = count.ok_or_else(|| Error::new("the image has too many pieces for an ELF; use --image-type binary"))?;

    let mut file = Vec::new();
    file.extend_from_slice(&elf::ELFMAG);
    file.extend_from_slice(&[elf::ELFCLASS64, elf::ELFDATA2LSB, elf::EV_CURRENT, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for half in [elf::ET_EXEC, elf::EM_RISCV] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    file.extend_from_slice(&u32::from(elf::EV_CURRENT).to_le_bytes());
    for word in [entry, ELF_HEADER as u64, 0] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(&0u32.to_le_bytes());
    for half in [ELF_HEADER as u16, ELF_SEGMENT as u16, count, 0, 0, 0] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    let mut offset = (ELF_HEADER + ELF_SEGMENT * segments.len()).next_multiple_of(8) as u64;
    for (paddr, _, stored, bytes) in &segments {
        file.extend_from_slice(&elf::PT_LOAD.to_le_bytes());
        file.extend_from_slice(&(elf::PF_R | elf::PF_W | elf::PF_X).to_le_bytes());
        for word in [offset, *paddr, *paddr, *stored, *bytes, 8] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        offset += stored;
    }
    file.resize(file.len().next_multiple_of(8), 0);
    for (_, from, stored, _) in segments {
        let start = file.len();
        file.resize(start + stored as usize, 0);
        contents.read(from, &mut file[start..]);
    }
    Ok(file)
}

/// Puts U-Boot's legacy header before a binary. Source: U-Boot, include/image.h, `struct legacy_img_hdr`; all
/// numbers are big-endian.
fn with_uimage_header(binary: &[u8], start: u64) -> Result<Vec<u8>> {
    const MAGIC: u32 = 0x2705_1956;
    const OS_LINUX: u8 = 5;
    const ARCH_RISCV: u8 = 26;
    const TYPE_KERNEL: u8 = 2;
    const UNCOMPRESSED: u8 = 0;
    const HEADER_CRC: Range<usize> = 4..8;
    let too_long = |_| Error::new("the image is too long, or lies too high, for a U-Boot header; use --image-type elf");
    let bytes = u32::try_from(binary.len()).map_err(too_long)?;
    let start = u32::try_from(start).map_err(too_long)?;
    let mut header = Vec::with_capacity(64);
    // The time of the build stays 0, so that equal inputs make equal images.
    for word in [MAGIC, 0, 0, bytes, start, start, crc32(binary)] {
        header.extend_from_slice(&word.to_be_bytes());
    }
    header.extend_from_slice(&[OS_LINUX, ARCH_RISCV, TYPE_KERNEL, UNCOMPRESSED]);
    let mut name = [0; 32];
    name[..7].copy_from_slice(b"Kinglet");
    header.extend_from_slice(&name);
    let crc = crc32(&header);
    header[HEADER_CRC].copy_from_slice(&crc.to_be_bytes());
    header.extend_from_slice(binary);
    Ok(header)
}

/// The CRC of IEEE 802.3, reflected.
pub fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xedb8_8320 };
    let table: Vec<u32> = (0..256).map(|byte| (0..8).fold(byte, |crc, _| step(crc))).collect();
    !bytes.iter().fold(!0, |crc, byte| crc >> 8 ^ table[(crc as u8 ^ byte) as usize])
}
