//! `kinglet finish`: the step after linking a protection domain.
//!
//! A protection domain restarts itself by copying its initial `.data` from a read-only image (see `pd.ld` of
//! sel4-microkit). A linker cannot make that copy, so this step does: it puts the contents of `.data` behind the magic
//! word of the section `.data_image`. It also refuses ELF files that would not run or not restart, so that a mistake in
//! linking shows here and not on the board. Finishing a finished file changes nothing.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use object::elf::{ET_EXEC, PF_W, PF_X, PT_DYNAMIC, PT_INTERP, PT_LOAD, PT_TLS};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol};

/// Where every protection domain begins.
const ENTRY: u64 = 0x20_0000;
/// First word of `.data_image` once it is filled. The runtime checks it before it copies.
const DATA_IMAGE_MAGIC: [u8; 8] = *b"KNGLDATA";
/// Pages as the composer maps them.
const PAGE_BYTES: u64 = 4096;
/// Symbols without which the composer refuses an ELF file.
const MICROKIT_SYMBOLS: [&str; 6] = [
    "microkit_name",
    "microkit_passive",
    "microkit_irqs",
    "microkit_notifications",
    "microkit_pps",
    "microkit_ioports",
];

/// Arguments of `kinglet finish`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The ELF file as the linker made it.
    pub input: PathBuf,
    /// The finished ELF file; may be the input.
    pub output: PathBuf,
}

/// Why an ELF file cannot be finished.
#[derive(Debug)]
pub enum FinishError {
    /// The file cannot be read or written.
    Io(PathBuf, std::io::Error),
    /// Not an ELF file that can be read.
    Parse(PathBuf, object::Error),
    /// An ELF file, but not one of a protection domain.
    Refused(PathBuf, String),
}

impl fmt::Display for FinishError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Parse(path, error) => write!(f, "{}: not a readable 64-bit ELF file: {error}", path.display()),
            Self::Refused(path, reason) => write!(f, "{}: {reason}", path.display()),
        }
    }
}

impl std::error::Error for FinishError {}

/// Runs `kinglet finish`.
///
/// # Errors
/// As [`finish`].
pub fn command(args: &Args) -> Result<(), String> {
    finish(args).map_err(|error| error.to_string())
}

/// Finishes `args.input` into `args.output`.
///
/// # Errors
/// When a file cannot be read or written, or the input is not a protection domain linked by `pd.ld`.
pub fn finish(args: &Args) -> Result<(), FinishError> {
    let mut file = std::fs::read(&args.input).map_err(|error| FinishError::Io(args.input.clone(), error))?;
    finish_bytes(&args.input, &mut file)?;
    if args.input == args.output {
        // Only the bytes change, so the file keeps its permissions.
        return std::fs::write(&args.output, &file).map_err(|error| FinishError::Io(args.output.clone(), error));
    }
    // The copy appears whole or not at all, for another step may be waiting for it.
    let partial = args.output.with_extension("partial");
    std::fs::write(&partial, &file).map_err(|error| FinishError::Io(partial.clone(), error))?;
    std::fs::rename(&partial, &args.output).map_err(|error| FinishError::Io(args.output.clone(), error))
}

/// Finishes the ELF file in `file`; `path` is only for messages.
fn finish_bytes(path: &Path, file: &mut [u8]) -> Result<(), FinishError> {
    let (data, image) = {
        let elf = ElfFile64::<LittleEndian>::parse(&*file).map_err(|error| FinishError::Parse(path.into(), error))?;
        check(&elf).and_then(|()| ranges(&elf)).map_err(|reason| FinishError::Refused(path.into(), reason))?
    };
    file.copy_within(data, image.start + DATA_IMAGE_MAGIC.len());
    file[image.start..image.start + DATA_IMAGE_MAGIC.len()].copy_from_slice(&DATA_IMAGE_MAGIC);
    Ok(())
}

type Elf<'file> = ElfFile64<'file, LittleEndian>;

/// What every protection domain has, whatever its sections are.
fn check(elf: &Elf) -> Result<(), String> {
    if elf.architecture() != object::Architecture::Riscv64 {
        return Err(format!("made for {:?}, expected 64-bit RISC-V", elf.architecture()));
    }
    if elf.elf_header().e_type(LittleEndian) != ET_EXEC {
        return Err("not a static executable; link with relocation-model=static and without PIE".into());
    }
    if elf.entry() != ENTRY {
        return Err(format!("the entry is {:#x}, expected {ENTRY:#x}; was it linked with pd.ld?", elf.entry()));
    }
    for name in MICROKIT_SYMBOLS {
        if elf.symbol_by_name(name).is_none_or(|symbol| symbol.is_undefined()) {
            return Err(format!("no symbol {name}; the symbol table must not be stripped"));
        }
    }
    check_segments(elf)
}

/// Segments have disjoint pages, and none can be both written and executed.
fn check_segments(elf: &Elf) -> Result<(), String> {
    let mut pages: Vec<Range<u64>> = Vec::new();
    for header in elf.elf_program_headers() {
        let start = header.p_vaddr(LittleEndian);
        match header.p_type(LittleEndian) {
            PT_LOAD => {}
            PT_TLS => return Err("has thread-local storage, which protection domains do not have".into()),
            PT_DYNAMIC | PT_INTERP => return Err("is dynamically linked".into()),
            _ => continue,
        }
        let flags = header.p_flags(LittleEndian);
        if flags & PF_W != 0 && flags & PF_X != 0 {
            return Err(format!("the segment at {start:#x} is writable and executable"));
        }
        let end = start.checked_add(header.p_memsz(LittleEndian)).ok_or("a segment wraps around")?;
        let range = start / PAGE_BYTES..end.div_ceil(PAGE_BYTES);
        if let Some(other) = pages.iter().find(|other| other.start < range.end && range.start < other.end) {
            let shared = range.start.max(other.start) * PAGE_BYTES;
            return Err(format!("two segments share the page at {shared:#x}"));
        }
        pages.push(range);
    }
    Ok(())
}

/// File ranges of the contents of `.data` and of `.data_image`, checked against each other.
fn ranges(elf: &Elf) -> Result<(Range<usize>, Range<usize>), String> {
    let (image_address, image) =
        file_range(elf, ".data_image")?.ok_or("no section .data_image; was it linked with pd.ld?")?;
    if !lies_in_read_only_segment(elf, image_address) {
        return Err("the section .data_image is writable, so a restart could not trust it".into());
    }
    let (_, data) = file_range(elf, ".data")?.unwrap_or((0, 0..0));
    let expected = DATA_IMAGE_MAGIC.len() + data.len();
    if image.len() != expected {
        return Err(format!("the section .data_image has {} bytes, expected {expected}", image.len()));
    }
    Ok((data, image))
}

/// Address and file range of a section; `None` if there is no such section.
fn file_range(elf: &Elf, name: &str) -> Result<Option<(u64, Range<usize>)>, String> {
    let Some(section) = elf.section_by_name(name) else { return Ok(None) };
    if section.size() == 0 {
        return Ok(Some((section.address(), 0..0)));
    }
    let (offset, bytes) = section.file_range().ok_or(format!("the section {name} has no contents in the file"))?;
    let start = usize::try_from(offset).ok();
    let end = offset.checked_add(bytes).and_then(|end| usize::try_from(end).ok());
    match (start, end) {
        (Some(start), Some(end)) if end <= elf.data().len() => Ok(Some((section.address(), start..end))),
        _ => Err(format!("the section {name} reaches beyond the file's end")),
    }
}

fn lies_in_read_only_segment(elf: &Elf, address: u64) -> bool {
    elf.elf_program_headers().iter().any(|header| {
        let offset = address.checked_sub(header.p_vaddr(LittleEndian));
        header.p_type(LittleEndian) == PT_LOAD
            && header.p_flags(LittleEndian) & PF_W == 0
            && offset.is_some_and(|offset| offset < header.p_filesz(LittleEndian))
    })
}
