//! A program image of a protection domain: reading it, checking it against the system, writing variables into it.

use crate::error::{Error, Result};
use crate::model::{ProtectionDomain, SMALL_PAGE_BYTES, System};
use kernel_layout::STACK_TOP;
use object::LittleEndian;
use object::elf::{self, FileHeader64, ProgramHeader64};
use object::read::StringTable;
use object::read::elf::{FileHeader, ProgramHeader, SectionTable, Sym};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

/// A loaded ELF: what is mapped, where it starts, what can be patched.
#[derive(Clone, Debug, Default)]
pub struct Elf {
    /// Initial program counter.
    pub entry: u64,
    /// The loadable segments, sorted by address. Segments of length zero are left out. The pages of any two segments
    /// are distinct, and none of them collides with a map, the stack or the IPC buffer.
    pub segments: Vec<Segment>,
    /// Symbols by name.
    pub symbols: HashMap<String, Symbol>,
}

/// A loadable segment.
#[derive(Clone, Debug)]
pub struct Segment {
    /// First virtual address; need not be aligned to a page.
    pub vaddr: u64,
    /// The whole content, zero-initialised part included.
    pub bytes: Vec<u8>,
    /// May be read.
    pub read: bool,
    /// May be written. Never true with `read` false.
    pub write: bool,
    /// May be executed.
    pub execute: bool,
}

/// What the symbol table says of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Virtual address.
    pub vaddr: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// The table has the name more than once, so it cannot be patched.
    pub duplicate: bool,
}

impl Segment {
    /// The addresses that have content.
    pub fn range(&self) -> Range<u64> {
        self.vaddr..self.vaddr + self.bytes.len() as u64
    }

    /// The pages that are mapped.
    pub fn pages(&self) -> Range<u64> {
        let Range { start, end } = self.range();
        start - start % SMALL_PAGE_BYTES..end.next_multiple_of(SMALL_PAGE_BYTES)
    }
}

impl Elf {
    /// Reads an ELF file for 64-bit RISC-V. Its segments may take at most `limit` bytes together. The symbols come from
    /// `symbols` if there is such a file, and from the same one otherwise.
    pub fn parse(file: &[u8], symbols: Option<&[u8]>, limit: u64) -> Result<Elf> {
        let header = header(file)?;
        let machine = header.e_machine(LittleEndian);
        if machine != elf::EM_RISCV {
            let message = format!("the ELF file is for machine {machine}, not for RISC-V ({})", elf::EM_RISCV);
            return Err(Error::new(message));
        }
        Ok(Elf {
            entry: header.e_entry(LittleEndian),
            segments: segments(header, file, limit)?,
            symbols: read_symbols(symbols.unwrap_or(file))?,
        })
    }

    /// Checks that the segments fit into the address space of a PD beside its maps and its stack.
    pub fn check(&self, system: &System, pd: &ProtectionDomain) -> Result<()> {
        let limit = STACK_TOP - pd.stack_bytes - SMALL_PAGE_BYTES;
        for (index, segment) in self.segments.iter().enumerate() {
            let pages = segment.pages();
            if pages.end > limit {
                return Err(Error::new(format!(
                    "the segment at {} must end at or below {limit:#x}, one page below the stack",
                    hexadecimal(&segment.range())
                )));
            }
            if let Some(next) = self.segments.get(index + 1)
                && next.pages().start < pages.end
            {
                return Err(Error::new(format!(
                    "the segments at {} and {} share a page; link them to different pages",
                    hexadecimal(&segment.range()),
                    hexadecimal(&next.range())
                )));
            }
            // Microkit's tool counts whole pages from an unaligned start, so a map behind it must keep that distance.
            let padded = segment.vaddr + (segment.bytes.len() as u64).next_multiple_of(SMALL_PAGE_BYTES);
            let taken = pages.start..pages.end.max(padded);
            for map in &pd.maps {
                let region = &system.regions[map.region];
                let mapped = map.vaddr..map.vaddr + region.bytes;
                if mapped.start < taken.end && taken.start < mapped.end {
                    let message = format!(
                        "<map> of '{}' at {} overlaps the program image of '{}', which has a segment at {}",
                        region.name,
                        hexadecimal(&mapped),
                        pd.name,
                        hexadecimal(&segment.range())
                    );
                    return Err(Error::at(map.location, message));
                }
            }
        }
        Ok(())
    }

    /// Whether the entry lies in a segment that may be executed.
    pub fn entry_is_executable(&self) -> bool {
        self.segments.iter().any(|segment| segment.execute && segment.range().contains(&self.entry))
    }

    /// What the symbol table has under a name that must be there once.
    pub fn symbol(&self, name: &str) -> Result<Symbol> {
        match self.symbols.get(name) {
            None => Err(Error::new(format!("the program image has no symbol '{name}'"))),
            Some(Symbol { duplicate: true, .. }) => {
                Err(Error::new(format!("the program image has more than one symbol '{name}'; rename all but one")))
            }
            Some(symbol) => Ok(*symbol),
        }
    }

    /// Writes the first bytes of a symbol, which must be long enough.
    pub fn write(&mut self, name: &str, value: &[u8]) -> Result<()> {
        let symbol = self.symbol(name)?;
        if (value.len() as u64) > symbol.bytes {
            let (needed, bytes) = (value.len(), symbol.bytes);
            return Err(Error::new(format!("the symbol '{name}' has {bytes} bytes and needs {needed}")));
        }
        let place = self.segments.iter_mut().find_map(|segment| {
            let offset = usize::try_from(symbol.vaddr.checked_sub(segment.vaddr)?).ok()?;
            let end = offset.checked_add(usize::try_from(symbol.bytes).ok()?)?;
            segment.bytes.get_mut(offset..end)
        });
        let Some(place) = place else {
            return Err(Error::new(format!("the symbol '{name}' at {:#x} lies in no segment", symbol.vaddr)));
        };
        place[..value.len()].copy_from_slice(value);
        Ok(())
    }
}

fn hexadecimal(range: &Range<u64>) -> String {
    format!("{:#x}..{:#x}", range.start, range.end)
}

fn malformed(what: object::read::Error) -> Error {
    Error::new(format!("malformed ELF file: {what}"))
}

fn header(file: &[u8]) -> Result<&FileHeader64<LittleEndian>> {
    let ident = file.get(..16).filter(|ident| ident.starts_with(&elf::ELFMAG));
    let Some(ident) = ident else {
        return Err(Error::new("this is not an ELF file"));
    };
    if ident[4] != elf::ELFCLASS64 || ident[5] != elf::ELFDATA2LSB {
        return Err(Error::new("this is an ELF file, but not a 64-bit little-endian one"));
    }
    FileHeader64::<LittleEndian>::parse(file).map_err(malformed)
}

fn segments(header: &FileHeader64<LittleEndian>, file: &[u8], limit: u64) -> Result<Vec<Segment>> {
    let headers = header.program_headers(LittleEndian, file).map_err(malformed)?;
    let mut segments = Vec::new();
    let mut room = limit;
    for header in headers.iter().filter(|header| header.p_type(LittleEndian) == elf::PT_LOAD) {
        let bytes = header.p_memsz(LittleEndian);
        room = room.checked_sub(bytes).ok_or_else(|| {
            Error::new(format!("the segments of the ELF file take more than {limit:#x} bytes, which is all the RAM"))
        })?;
        let segment = segment(header, file)?;
        if !segment.bytes.is_empty() {
            segments.push(segment);
        }
    }
    if segments.is_empty() {
        return Err(Error::new("the ELF file has nothing to load; it must be linked to an executable"));
    }
    segments.sort_by_key(|segment| segment.vaddr);
    Ok(segments)
}

fn segment(header: &ProgramHeader64<LittleEndian>, file: &[u8]) -> Result<Segment> {
    let content = header
        .data(LittleEndian, file)
        .map_err(|()| Error::new("malformed ELF file: a segment goes beyond the end of the file"))?;
    let bytes = header.p_memsz(LittleEndian);
    if (content.len() as u64) > bytes {
        return Err(Error::new("malformed ELF file: a segment is longer in the file than in memory"));
    }
    let vaddr = header.p_vaddr(LittleEndian);
    if vaddr.checked_add(bytes).is_none_or(|end| end > STACK_TOP) {
        return Err(Error::new(format!(
            "a segment of {bytes:#x} bytes at {vaddr:#x} lies above the stack, {STACK_TOP:#x}"
        )));
    }
    let mut memory = vec![0; bytes as usize];
    memory[..content.len()].copy_from_slice(content);
    let flags = header.p_flags(LittleEndian);
    let read = flags & elf::PF_R != 0;
    let (write, execute) = (read && flags & elf::PF_W != 0, flags & elf::PF_X != 0);
    Ok(Segment { vaddr, bytes: memory, read, write, execute })
}

fn read_symbols(file: &[u8]) -> Result<HashMap<String, Symbol>> {
    // The names of sections are of no interest, so they may be broken.
    let headers = header(file)?.section_headers(LittleEndian, file).map_err(malformed)?;
    let sections = SectionTable::<FileHeader64<LittleEndian>>::new(headers, StringTable::default());
    let table = sections.symbols(LittleEndian, file, elf::SHT_SYMTAB).map_err(malformed)?;
    if table.is_empty() {
        return Err(Error::new("the ELF file has no symbol table; do not strip it, or name path_for_symbols"));
    }
    let mut symbols = HashMap::new();
    for symbol in table.iter() {
        let name = symbol.name(LittleEndian, table.strings()).map_err(malformed)?;
        let name = std::str::from_utf8(name)
            .map_err(|_| Error::new("malformed ELF file: the name of a symbol is not UTF-8"))?;
        let entry =
            Symbol { vaddr: symbol.st_value(LittleEndian), bytes: symbol.st_size(LittleEndian), duplicate: false };
        match symbols.entry(name.to_string()) {
            Entry::Vacant(vacant) => {
                vacant.insert(entry);
            }
            Entry::Occupied(mut occupied) => occupied.get_mut().duplicate = true,
        }
    }
    Ok(symbols)
}
