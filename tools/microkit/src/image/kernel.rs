//! The built-in kernel's ELF: its segments and the symbols that the composer needs.

use super::memory::PAGE;
use crate::error::{Error, Result};
use kernel_layout::{BOOT_BLOCK_SYMBOL, BYTES_PER_PD_SYMBOL, BootBlock, KERNEL_VA_OFFSET};
use object::elf;
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{LittleEndian, Object, ObjectSymbol};

/// A loaded kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Physical address of the first instruction.
    pub entry: u64,
    /// Its segments, sorted by address, on distinct pages.
    pub segments: Vec<KernelSegment>,
    /// Physical address of the variable that takes the boot block.
    pub boot_block_paddr: u64,
    /// What the kernel keeps for each PD, in bytes.
    pub bytes_per_pd: u64,
}

/// A segment of the kernel, in whole pages.
#[derive(Clone, Debug)]
pub struct KernelSegment {
    /// Physical address, a multiple of the page size.
    pub paddr: u64,
    /// Length, a multiple of the page size.
    pub bytes: u64,
    /// What the image stores of it; the rest is zero.
    pub data: Vec<u8>,
    /// May be written.
    pub write: bool,
    /// May be executed.
    pub execute: bool,
}

impl Kernel {
    /// Reads a kernel that is linked to run from physical address `paddr` on.
    ///
    /// # Errors
    /// It is not such a kernel; the message says what is wrong with it.
    pub fn parse(file: &[u8], paddr: u64) -> Result<Kernel> {
        let elf = ElfFile64::<LittleEndian>::parse(file).map_err(|e| wrong(format!("not a 64-bit ELF: {e}")))?;
        let header = elf.elf_header();
        if header.e_machine(LittleEndian) != elf::EM_RISCV {
            return Err(wrong("it is not for RISC-V"));
        }
        let mut segments = Vec::new();
        for program_header in elf.elf_program_headers() {
            if program_header.p_type(LittleEndian) == elf::PT_LOAD && program_header.p_memsz(LittleEndian) > 0 {
                segments.push(segment(program_header, file)?);
            }
        }
        segments.sort_by_key(|segment| segment.paddr);
        if segments.first().map(|first| first.paddr) != Some(paddr) {
            return Err(wrong(format!("its lowest segment must lie at physical address {paddr:#x}")));
        }
        for pair in segments.windows(2) {
            if pair[0].paddr + pair[0].bytes > pair[1].paddr {
                return Err(wrong(format!("two segments share the page at {:#x}", pair[1].paddr)));
            }
        }
        let mut kernel = Kernel { entry: to_physical(elf.entry()), segments, boot_block_paddr: 0, bytes_per_pd: 0 };
        if kernel.entry != paddr {
            // The emulator's loader starts an ELF at its lowest address, whatever its header says.
            return Err(wrong(format!("its entry is {:#x} and must be {paddr:#x}", kernel.entry)));
        }
        kernel.boot_block_paddr = symbol(&elf, BOOT_BLOCK_SYMBOL, size_of::<BootBlock>() as u64)?;
        kernel.read(kernel.boot_block_paddr, size_of::<BootBlock>())?;
        let count = symbol(&elf, BYTES_PER_PD_SYMBOL, 8)?;
        let bytes = kernel.read(count, 8)?.try_into().expect("eight bytes were asked for");
        kernel.bytes_per_pd = u64::from_le_bytes(bytes);
        Ok(kernel)
    }

    /// First physical address behind the kernel's last page.
    pub fn end(&self) -> u64 {
        self.segments.last().map_or(0, |last| last.paddr + last.bytes)
    }

    fn read(&self, paddr: u64, bytes: usize) -> Result<&[u8]> {
        self.segments
            .iter()
            .find(|segment| segment.paddr <= paddr && paddr < segment.paddr + segment.bytes)
            .and_then(|segment| segment.data.get((paddr - segment.paddr) as usize..)?.get(..bytes))
            .ok_or_else(|| wrong(format!("{paddr:#x} has no initial value: it must not be in .bss")))
    }
}

/// The kernel's addresses are virtual ones of its window or physical ones.
fn to_physical(address: u64) -> u64 {
    if address >= KERNEL_VA_OFFSET { address - KERNEL_VA_OFFSET } else { address }
}

fn wrong(what: impl std::fmt::Display) -> Error {
    Error::new(format!("the kernel's ELF cannot be used: {what}"))
}

fn segment(header: &elf::ProgramHeader64<LittleEndian>, file: &[u8]) -> Result<KernelSegment> {
    let flags = header.p_flags(LittleEndian);
    let (paddr, memory) = (header.p_paddr(LittleEndian), header.p_memsz(LittleEndian));
    let (write, execute) = (flags & elf::PF_W != 0, flags & elf::PF_X != 0);
    if write && execute {
        return Err(wrong(format!("the segment at {paddr:#x} is writable and executable")));
    }
    if header.p_vaddr(LittleEndian) != paddr.wrapping_add(KERNEL_VA_OFFSET) {
        return Err(wrong(format!(
            "the segment at {paddr:#x} must have the virtual address {KERNEL_VA_OFFSET:#x} above"
        )));
    }
    let data = header.data(LittleEndian, file).map_err(|()| wrong("a segment lies outside of the file"))?;
    if data.len() as u64 > memory {
        return Err(wrong(format!("the segment at {paddr:#x} has more bytes in the file than in memory")));
    }
    let start = paddr / PAGE * PAGE;
    let end = paddr.checked_add(memory).and_then(super::memory::page_up);
    let end =
        end.filter(|end| *end < 1 << 32).ok_or_else(|| wrong(format!("the segment at {paddr:#x} is too long")))?;
    let mut padded = vec![0; (paddr - start) as usize];
    padded.extend_from_slice(data);
    Ok(KernelSegment { paddr: start, bytes: end - start, data: padded, write, execute })
}

fn symbol(elf: &ElfFile64<LittleEndian>, name: &str, bytes: u64) -> Result<u64> {
    let found = elf.symbols().find(|symbol| symbol.name() == Ok(name));
    let found =
        found.ok_or_else(|| wrong(format!("it lacks the symbol {name}, which a kernel for this composer has")))?;
    let paddr = to_physical(found.address());
    if found.size() != bytes || !paddr.is_multiple_of(8) {
        return Err(wrong(format!("the symbol {name} must have {bytes} bytes, aligned to 8")));
    }
    Ok(paddr)
}
