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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DATA: [u8; 16] = *b"initial contents";

    /// What a test makes wrong.
    #[derive(Clone)]
    struct Plan {
        entry: u64,
        kind: u16,
        machine: u16,
        symbols: Vec<&'static str>,
        /// Of code, data, image: address and flags.
        segments: [(u64, u32); 3],
        image_bytes: usize,
        sections: [&'static str; 3],
    }

    impl Default for Plan {
        fn default() -> Self {
            Self {
                entry: ENTRY,
                kind: ET_EXEC,
                machine: object::elf::EM_RISCV,
                symbols: MICROKIT_SYMBOLS.to_vec(),
                segments: [(ENTRY, 5), (0x20_1000, 6), (0x20_2000, 4)],
                image_bytes: 8 + DATA.len(),
                sections: [".text", ".data", ".data_image"],
            }
        }
    }

    /// A name's offset in a table of names, to which it is added.
    fn intern(names: &mut Vec<u8>, name: &str) -> u32 {
        let offset = names.len() as u32;
        names.extend_from_slice(name.as_bytes());
        names.push(0);
        offset
    }

    fn section_header(words: (u32, u32, u64, usize, usize, u32, u64)) -> Vec<u8> {
        let (name, kind, address, offset, size, link, entry_bytes) = words;
        let mut header = Vec::new();
        header.extend([name, kind].iter().flat_map(|word| word.to_le_bytes()));
        header.extend([2, address, offset as u64, size as u64].iter().flat_map(|word| word.to_le_bytes()));
        header.extend([link, 0].iter().flat_map(|word| word.to_le_bytes()));
        header.extend([1, entry_bytes].iter().flat_map(|word| word.to_le_bytes()));
        header
    }

    /// An ELF file: header, program headers, three sections' contents, symbols, names, section headers.
    fn elf(plan: &Plan) -> Vec<u8> {
        let contents = [vec![0x13; 8], DATA.to_vec(), vec![0; plan.image_bytes]];
        let (mut names, mut strings) = (vec![0], vec![0]);
        let mut symbols = vec![0; 24];
        for name in &plan.symbols {
            symbols.extend(intern(&mut strings, name).to_le_bytes());
            symbols.extend([0x11, 0, 1, 0]);
            symbols.extend([ENTRY, 8].iter().flat_map(|word| word.to_le_bytes()));
        }
        let (mut headers, mut programs, mut body) = (section_header((0, 0, 0, 0, 0, 0, 0)), Vec::new(), Vec::new());
        let body_start = 64 + 3 * 56;
        for ((content, name), (address, flags)) in contents.iter().zip(plan.sections).zip(plan.segments) {
            let offset = body_start + body.len();
            programs.extend([PT_LOAD, flags].iter().flat_map(|word| word.to_le_bytes()));
            let size = content.len() as u64;
            let words = [offset as u64, address, address, size, size, PAGE_BYTES];
            programs.extend(words.iter().flat_map(|word| word.to_le_bytes()));
            headers.extend(section_header((intern(&mut names, name), 1, address, offset, content.len(), 0, 0)));
            body.extend(content);
        }
        let symbols_name = intern(&mut names, ".symtab");
        headers.extend(section_header((symbols_name, 2, 0, body_start + body.len(), symbols.len(), 5, 24)));
        body.extend(symbols);
        for (name, is_last) in [(".strtab", false), (".shstrtab", true)] {
            let name = intern(&mut names, name);
            let table = if is_last { &names } else { &strings };
            headers.extend(section_header((name, 3, 0, body_start + body.len(), table.len(), 0, 0)));
            body.extend(table);
        }
        body.resize(body.len().next_multiple_of(8), 0);
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        file.extend([plan.kind, plan.machine].iter().flat_map(|half| half.to_le_bytes()));
        file.extend(1_u32.to_le_bytes());
        file.extend([plan.entry, 64, (body_start + body.len()) as u64].iter().flat_map(|word| word.to_le_bytes()));
        file.extend(5_u32.to_le_bytes());
        file.extend([64_u16, 56, 3, 64, 7, 6].iter().flat_map(|half| half.to_le_bytes()));
        file.extend(programs);
        file.extend(body);
        file.extend(headers);
        file
    }

    fn finished(plan: &Plan) -> Result<Vec<u8>, String> {
        let mut file = elf(plan);
        finish_bytes(Path::new("x.elf"), &mut file).map(|()| file).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn refused(change: impl FnOnce(&mut Plan), message: &str) {
        let mut plan = Plan::default();
        change(&mut plan);
        let error = finished(&plan).unwrap_err();
        assert!(error.starts_with("x.elf: ") && error.contains(message), "{error}");
    }

    #[test]
    fn the_image_is_filled_and_nothing_else_changes() {
        let before = elf(&Plan::default());
        let after = finished(&Plan::default()).unwrap();
        let image = [DATA_IMAGE_MAGIC.as_slice(), &DATA].concat();
        let at = 64 + 3 * 56 + 8 + DATA.len();
        assert_eq!(&after[at..at + image.len()], image);
        assert_eq!((&after[..at], &after[at + image.len()..]), (&before[..at], &before[at + image.len()..]));
        let mut again = after.clone();
        finish_bytes(Path::new("x.elf"), &mut again).unwrap();
        assert_eq!(again, after);
    }

    #[test]
    fn what_would_not_run_or_not_restart_is_refused() {
        refused(|plan| plan.entry = 0x1_0000, "the entry is 0x10000");
        refused(|plan| plan.kind = object::elf::ET_DYN, "not a static executable");
        refused(|plan| plan.machine = object::elf::EM_X86_64, "expected 64-bit RISC-V");
        refused(|plan| plan.symbols.retain(|name| *name != "microkit_name"), "no symbol microkit_name");
        refused(|plan| plan.segments[1].1 = 7, "writable and executable");
        refused(|plan| plan.segments[1].0 = 0x20_0800, "share the page at 0x200000");
        refused(|plan| plan.segments[2].0 = u64::MAX, "wraps around");
        refused(|plan| plan.segments[2].1 = 6, "is writable");
        refused(|plan| plan.image_bytes = 8, "has 8 bytes, expected 24");
        refused(|plan| plan.sections[2] = ".other", "no section .data_image");
    }

    #[test]
    fn other_files_are_refused() {
        for file in [&b""[..], b"hello", b"\x7fELF", &[0x7f; 4096]] {
            let error = finish_bytes(Path::new("x"), &mut file.to_vec()).unwrap_err();
            assert!(matches!(error, FinishError::Parse(..)), "{error}");
        }
        let args = Args { input: "/nonexistent/a".into(), output: "/nonexistent/b".into() };
        assert!(command(&args).unwrap_err().starts_with("/nonexistent/a: "));
    }

    proptest! {
        #[test]
        fn damaged_files_are_an_error_or_finished(
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
            cut in any::<proptest::sample::Index>(),
            is_cut in any::<bool>(),
        ) {
            let mut file = elf(&Plan::default());
            for (index, byte) in changes {
                let at = index.index(file.len());
                file[at] = byte;
            }
            if is_cut {
                file.truncate(cut.index(file.len()));
            }
            // Whatever it says, it does not panic and does not change the file's length.
            let bytes = file.len();
            let _ = finish_bytes(Path::new("x.elf"), &mut file);
            prop_assert_eq!(file.len(), bytes);
        }
    }
}
