//! A program image of a protection domain.

use std::collections::HashMap;

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
    /// May be written.
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
