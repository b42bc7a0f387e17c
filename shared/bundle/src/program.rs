//! The program: an ELF file that is loaded at the addresses of [`app_abi::map`].

use app_abi::map;
use heapless::Vec;

use crate::error::ProgramError;

/// The most segments of a program.
pub const MAX_SEGMENTS: usize = 8;

/// Bytes of the ELF header and of a program header.
const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;
const RISCV: u16 = 243;
const EXECUTABLE: u16 = 2;
/// Kinds of segments.
const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const INTERPRETER: u32 = 3;
const THREAD_LOCAL: u32 = 7;
/// Rights of segments.
const EXECUTE: u32 = 1;
const WRITE: u32 = 2;

/// A segment to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it lies in the app's address space.
    pub address: u64,
    /// How long it is there.
    pub bytes: u64,
    /// Where its contents begin in the file.
    pub file_at: usize,
    /// How long they are; what follows is zero.
    pub file_bytes: usize,
    /// The app may write it.
    pub is_writable: bool,
    /// The app may execute it.
    pub is_executable: bool,
}

impl Segment {
    fn end(&self) -> u64 {
        self.address + self.bytes
    }
}

/// A program that was checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Where it begins.
    pub entry: u64,
    /// What is loaded; no two of them overlap.
    pub segments: Vec<Segment, MAX_SEGMENTS>,
}

impl Program {
    /// Reads an ELF file and checks that each segment lies where segments of its rights belong.
    ///
    /// # Errors
    /// See [`ProgramError`].
    pub fn read(file: &[u8]) -> Result<Program, ProgramError> {
        // ELF-64 object file format, "ELF Header".
        if file.get(..4) != Some(b"\x7fELF") {
            return Err(ProgramError::NotElf);
        }
        let header = file.get(..HEADER_BYTES).ok_or(ProgramError::OutsideFile)?;
        let is_64_bit_little_endian = header[4] == 2 && header[5] == 1;
        if !is_64_bit_little_endian || half(header, 16) != EXECUTABLE || half(header, 18) != RISCV {
            return Err(ProgramError::WrongKind);
        }
        let (at, each, count) = (long(header, 32), usize::from(half(header, 54)), usize::from(half(header, 56)));
        if count != 0 && each != SEGMENT_BYTES {
            return Err(ProgramError::WrongKind);
        }
        let at = usize::try_from(at).map_err(|_| ProgramError::OutsideFile)?;
        let table = file.get(at..).and_then(|rest| rest.get(..count * SEGMENT_BYTES));
        let mut program = Program { entry: long(header, 24), segments: Vec::new() };
        for entry in table.ok_or(ProgramError::OutsideFile)?.chunks_exact(SEGMENT_BYTES) {
            match word(entry, 0) {
                LOAD => program.add(entry, file.len())?,
                DYNAMIC | INTERPRETER | THREAD_LOCAL => return Err(ProgramError::Dynamic),
                _ => {}
            }
        }
        if program.segments.is_empty() {
            return Err(ProgramError::Empty);
        }
        program.check_entry()?;
        Ok(program)
    }

    /// Bytes from [`map::DATA`] to the end of the last writable segment.
    pub fn data_bytes(&self) -> u64 {
        let ends = self.segments.iter().filter(|segment| segment.is_writable).map(Segment::end);
        ends.max().unwrap_or(map::DATA) - map::DATA
    }

    fn add(&mut self, entry: &[u8], file_bytes: usize) -> Result<(), ProgramError> {
        let (flags, file_at, address) = (word(entry, 4), long(entry, 8), long(entry, 16));
        let (contents, bytes) = (long(entry, 32), long(entry, 40));
        if bytes == 0 && contents == 0 {
            return Ok(());
        }
        let outside = file_at.checked_add(contents).is_none_or(|end| end > file_bytes as u64);
        if outside || contents > bytes {
            return Err(ProgramError::OutsideFile);
        }
        let (is_writable, is_executable) = (flags & WRITE != 0, flags & EXECUTE != 0);
        if is_writable && is_executable {
            return Err(ProgramError::WritableAndExecutable { address });
        }
        let (start, room) = if is_writable { (map::DATA, map::DATA_BYTES) } else { (map::CODE, map::CODE_BYTES) };
        let fits = address >= start && address.checked_add(bytes).is_some_and(|end| end <= start + room);
        if !fits {
            return Err(ProgramError::OutOfRange { address, bytes });
        }
        let (file_at, file_bytes) = (file_at as usize, contents as usize);
        let segment = Segment { address, bytes, file_at, file_bytes, is_writable, is_executable };
        let overlaps = |other: &&Segment| other.address < segment.end() && segment.address < other.end();
        if let Some(other) = self.segments.iter().find(overlaps) {
            return Err(ProgramError::Overlap { one: other.address, other: address });
        }
        self.segments.push(segment).map_err(|_| ProgramError::TooManySegments)
    }

    /// The entry is an instruction in a segment that may be executed, and has contents there.
    fn check_entry(&self) -> Result<(), ProgramError> {
        let entry = self.entry;
        let holds = |segment: &Segment| {
            let contents = segment.address..segment.address + segment.file_bytes as u64;
            segment.is_executable && entry.is_multiple_of(2) && contents.contains(&entry)
        };
        if self.segments.iter().any(holds) { Ok(()) } else { Err(ProgramError::BadEntry { entry }) }
    }
}

/// Little-endian numbers at an offset that is inside, as lengths were checked.
fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from(half(bytes, at)) | u32::from(half(bytes, at + 2)) << 16
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32
}
