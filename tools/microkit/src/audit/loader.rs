//! The machine's memory as it is when the kernel starts, computed from the finished image alone.
//!
//! This does what a loader and the kernel's boot code do: it places the file's segments, finds the boot block, and
//! follows its lists of what to move and clear.

use crate::error::{Error, Result};
use crate::image::format::crc32;
use kernel_layout::{BootBlock, BootInfo, CopyRange, KERNEL_VA_OFFSET, MAGIC, ZeroRange};
use object::LittleEndian;
use object::elf;
use object::read::elf::{ElfFile64, ProgramHeader};
use std::collections::BTreeMap;
use zerocopy::{FromBytes, Immutable, KnownLayout};

const PAGE: u64 = 0x1000;
/// More memory than this is not described by any image, and would take too long to look at.
const MAX_BYTES: u64 = 1 << 36;
const UIMAGE_MAGIC: [u8; 4] = [0x27, 0x05, 0x19, 0x56];
const UIMAGE_HEADER: usize = 64;

/// Physical memory. What the image leaves alone has no page here.
#[derive(Default)]
pub struct Memory {
    /// Pages by address; `None` is a page of zeros.
    pages: BTreeMap<u64, Option<Box<[u8]>>>,
}

/// What an image makes of a machine.
pub struct Machine {
    /// Its memory.
    pub memory: Memory,
    /// What the boot code starts from.
    pub boot_block: BootBlock,
    /// The boot blob.
    pub blob: Vec<u8>,
    /// Physical address of the boot blob.
    pub blob_paddr: u64,
}

fn wrong(what: impl std::fmt::Display) -> Error {
    Error::new(format!("the image cannot be read: {what}"))
}

impl Memory {
    fn write(&mut self, start: u64, bytes: &[u8]) -> Result<()> {
        check_length(start, bytes.len() as u64)?;
        let mut done = 0;
        while done < bytes.len() {
            let paddr = start + done as u64;
            let offset = (paddr % PAGE) as usize;
            let count = (bytes.len() - done).min(PAGE as usize - offset);
            let page = self.pages.entry(paddr - offset as u64).or_default();
            let page = page.get_or_insert_with(|| vec![0; PAGE as usize].into());
            page[offset..offset + count].copy_from_slice(&bytes[done..done + count]);
            done += count;
        }
        Ok(())
    }

    fn clear(&mut self, start: u64, bytes: u64) -> Result<()> {
        let end = check_length(start, bytes)?;
        let mut paddr = start;
        while paddr < end {
            let next = (paddr / PAGE + 1) * PAGE;
            if paddr.is_multiple_of(PAGE) && next <= end {
                self.pages.insert(paddr, None);
            } else {
                self.write(paddr, &vec![0; (next.min(end) - paddr) as usize])?;
            }
            paddr = next;
        }
        Ok(())
    }

    /// What lies at `start`; `None` if any of it is memory that the image leaves alone.
    pub fn read(&self, start: u64, bytes: u64) -> Option<Vec<u8>> {
        let end = start.checked_add(bytes)?;
        let mut out = Vec::new();
        let mut paddr = start;
        while paddr < end {
            let offset = paddr % PAGE;
            let count = (PAGE - offset).min(end - paddr);
            match self.pages.get(&(paddr - offset))? {
                Some(page) => out.extend_from_slice(&page[offset as usize..(offset + count) as usize]),
                None => out.resize(out.len() + count as usize, 0),
            }
            paddr += count;
        }
        Some(out)
    }

    /// Whether the image determines the whole page at this address.
    pub fn has_page(&self, paddr: u64) -> bool {
        self.pages.contains_key(&paddr)
    }

    fn table<T: FromBytes + Immutable + KnownLayout + Copy>(
        &self,
        paddr: u64,
        count: u64,
        what: &str,
    ) -> Result<Vec<T>> {
        let bytes = count.checked_mul(size_of::<T>() as u64).filter(|bytes| *bytes <= MAX_BYTES >> 8);
        let bytes = bytes.and_then(|bytes| self.read(paddr, bytes));
        let bytes = bytes.ok_or_else(|| wrong(format!("its {what} lie outside of it")))?;
        Ok(bytes.chunks_exact(size_of::<T>()).map(|chunk| T::read_from_bytes(chunk).expect("of that size")).collect())
    }
}

fn check_length(start: u64, bytes: u64) -> Result<u64> {
    let end = start.checked_add(bytes).filter(|end| *end <= 1 << 56 && bytes <= MAX_BYTES);
    end.ok_or_else(|| wrong(format!("{bytes:#x} bytes at {start:#x} are beyond all memory")))
}

impl Machine {
    /// Loads an image of any type. `binary_start` is where a binary without a header is loaded.
    ///
    /// # Errors
    /// It is no image of the built-in kernel.
    pub fn load(file: &[u8], binary_start: u64) -> Result<Machine> {
        let mut memory = Memory::default();
        if file.starts_with(&elf::ELFMAG) {
            load_elf(file, &mut memory)?;
        } else if file.starts_with(&UIMAGE_MAGIC) {
            let (header, body) = file.split_at_checked(UIMAGE_HEADER).ok_or_else(|| wrong("its header is cut off"))?;
            let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
            if word(12) as usize != body.len() || word(16) != word(20) {
                return Err(wrong("its U-Boot header has a wrong length or an entry that is not its start"));
            }
            let mut unsigned = header.to_vec();
            unsigned[4..8].fill(0);
            if word(4) != crc32(&unsigned) || word(24) != crc32(body) {
                return Err(wrong("its U-Boot header has a wrong checksum"));
            }
            memory.write(word(16).into(), body)?;
        } else {
            memory.write(binary_start, file)?;
        }
        let boot_block = memory.find_boot_block()?;
        for copy in memory.table::<CopyRange>(boot_block.copies_paddr, boot_block.copies_count, "copies")? {
            check_length(copy.source, copy.bytes)?;
            let bytes =
                memory.read(copy.source, copy.bytes).ok_or_else(|| wrong("a copy reads what it does not store"))?;
            memory.write(copy.destination, &bytes)?;
        }
        for zero in memory.table::<ZeroRange>(boot_block.zeros_paddr, boot_block.zeros_count, "ranges to clear")? {
            memory.clear(zero.start, zero.bytes)?;
        }
        let (blob_paddr, info) =
            memory.boot_info(&boot_block).ok_or_else(|| wrong("its boot information is damaged"))?;
        let blob = memory.read(blob_paddr, info.bytes).ok_or_else(|| wrong("its boot blob is cut off"))?;
        Ok(Machine { memory, boot_block, blob, blob_paddr })
    }
}

impl Memory {
    /// The kernel's symbols are not in the image, so the boot block is found by its first word and by what it points to.
    fn find_boot_block(&self) -> Result<BootBlock> {
        let mut found = None;
        for (paddr, page) in self.pages.iter().filter_map(|(paddr, page)| Some((paddr, page.as_ref()?))) {
            for (offset, word) in (0..).step_by(8).zip(page.as_chunks::<8>().0) {
                if *word != MAGIC.to_le_bytes() {
                    continue;
                }
                let block = self.read(paddr + offset, size_of::<BootBlock>() as u64);
                let block = block.and_then(|bytes| BootBlock::read_from_bytes(&bytes).ok());
                let Some(block) = block.filter(|block| self.boot_info(block).is_some()) else { continue };
                if found.replace(block).is_some() {
                    return Err(wrong("it has two boot blocks"));
                }
            }
        }
        found.ok_or_else(|| wrong("it has no boot block, so it is not for the built-in kernel"))
    }

    fn boot_info(&self, block: &BootBlock) -> Option<(u64, BootInfo)> {
        let paddr = block.boot_info_vaddr.checked_sub(KERNEL_VA_OFFSET)?;
        let info = self.read(paddr, size_of::<BootInfo>() as u64)?;
        let info = BootInfo::read_from_bytes(&info).ok()?;
        (info.magic == MAGIC && info.bytes <= MAX_BYTES >> 8).then_some((paddr, info))
    }
}

fn load_elf(file: &[u8], memory: &mut Memory) -> Result<()> {
    let elf = ElfFile64::<LittleEndian>::parse(file).map_err(wrong)?;
    for header in elf.elf_program_headers() {
        if header.p_type(LittleEndian) != elf::PT_LOAD {
            continue;
        }
        let data = header.data(LittleEndian, file).map_err(|()| wrong("a segment lies outside of the file"))?;
        let (paddr, bytes) = (header.p_paddr(LittleEndian), header.p_memsz(LittleEndian));
        if data.len() as u64 > bytes {
            return Err(wrong(format!("the segment at {paddr:#x} is longer in the file than in memory")));
        }
        memory.clear(paddr, bytes)?;
        memory.write(paddr, data)?;
    }
    Ok(())
}
