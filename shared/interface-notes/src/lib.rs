//! What a protection domain's program says of its interfaces, for `kinglet check` to hold against the system description.
//!
//! A program carries its notes in the ELF section [`SECTION`], which is not loaded: they cost no memory on the device. The
//! section is an array of [`Note`]s in any order, each as laid out below, little-endian. The macros that a program uses
//! anyway write them: `#[protection_domain]`, `memory_region_symbol!`, `ring::link!`, `protocols::timer!`; and for calls of
//! one's own [`calls!`] and [`serves!`].
//!
//! Rules of the format:
//! * Whoever changes the layout or the meaning of a field raises [`FORMAT`]; a reader refuses what it does not know.
//! * A note names the symbols that the composer patches. If the first of them ([`Note::symbol_suffix`]) is not in the ELF
//!   file's symbol table, then the linker found the code that would use it unreachable, and the note means nothing.
//! * Every program built with this repository's runtime has exactly one note of [`kind::PROGRAM`]. What has none declares
//!   nothing and cannot be held to anything.
//! * Variables (`var!`) need no note: they are the symbols in the section `.patched`, and may be left unset.
#![no_std]
#![forbid(unsafe_code)]

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The ELF section of the notes.
pub const SECTION: &str = ".kinglet";
/// First bytes of each note.
pub const MAGIC: [u8; 4] = *b"KNOT";
/// Version of the layout of [`Note`].
pub const FORMAT: u32 = 1;
/// The longest name in bytes.
pub const NAME_BYTES: usize = 64;
/// The longest name of an entry's type in bytes.
pub const TYPE_BYTES: usize = 48;

/// What a note tells of.
pub mod kind {
    /// The program itself: `min_bytes[0]` is the least stack in bytes, 0 if any will do.
    pub const PROGRAM: u32 = 1;
    /// A memory region whose address goes to the symbol `name`: `min_bytes[0]` is its least size. It must be mapped.
    pub const REGION: u32 = 2;
    /// One end of a link: the symbols `name_tx`, `name_tx_size`, `name_rx`, `name_rx_size`, `name_channel`. Index 0 of the
    /// arrays is the ring that this end fills, 1 the one that it empties; `min_bytes` are the least sizes of their regions.
    pub const LINK: u32 = 3;
    /// Protected calls on the channel whose id goes to the symbol `name`.
    pub const CALLS: u32 = 4;
    /// The program answers protected calls of this protocol, on whatever channel. Without a name.
    pub const SERVES: u32 = 5;
}

/// [`Note::flags`]: without this interface the program does not start.
pub const REQUIRED: u32 = 1 << 0;

/// One interface of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Note {
    /// [`MAGIC`].
    pub magic: [u8; 4],
    /// [`FORMAT`].
    pub format: u32,
    /// One of [`kind`].
    pub kind: u32,
    /// [`REQUIRED`], or 0.
    pub flags: u32,
    /// The protocol, as its definition names it: four letters.
    pub protocol: u32,
    /// Version of the protocol.
    pub version: u32,
    /// Bytes of one entry in each direction.
    pub entry_bytes: [u32; 2],
    /// Least sizes in bytes; see [`kind`].
    pub min_bytes: [u64; 2],
    /// Name, filled up with zeros.
    pub name: [u8; NAME_BYTES],
    /// Names of the types of entries in each direction, without path.
    pub entry_types: [[u8; TYPE_BYTES]; 2],
}

impl Note {
    const fn new(kind: u32, name: &str) -> Self {
        Self {
            magic: MAGIC,
            format: FORMAT,
            kind,
            flags: 0,
            protocol: 0,
            version: 0,
            entry_bytes: [0; 2],
            min_bytes: [0; 2],
            name: padded(name, 0),
            entry_types: [[0; TYPE_BYTES]; 2],
        }
    }

    /// The program, and the least stack that it needs in bytes.
    pub const fn program(min_stack_bytes: usize) -> Self {
        let mut note = Self::new(kind::PROGRAM, "");
        note.min_bytes[0] = min_stack_bytes as u64;
        note
    }

    /// A region that must be mapped, of at least so many bytes.
    pub const fn region(name: &str, min_bytes: usize) -> Self {
        let mut note = Self::new(kind::REGION, name);
        note.flags = REQUIRED;
        note.min_bytes[0] = min_bytes as u64;
        note
    }

    /// One end of a link. `types` are what is sent and what is received, `entry_bytes` and `min_bytes` alike.
    pub const fn link(
        name: &str,
        (protocol, version): (u32, u32),
        types: [&str; 2],
        entry_bytes: [usize; 2],
        min_bytes: [usize; 2],
        flags: u32,
    ) -> Self {
        let mut note = Self::new(kind::LINK, name).speaking(protocol, version);
        note.flags = flags;
        note.entry_bytes = [entry_bytes[0] as u32, entry_bytes[1] as u32];
        note.min_bytes = [min_bytes[0] as u64, min_bytes[1] as u64];
        note.entry_types =
            [padded(types[0], after_path(types[0].as_bytes())), padded(types[1], after_path(types[1].as_bytes()))];
        note
    }

    /// Calls that the program makes on the channel called `name`.
    pub const fn calls(name: &str, protocol: u32, version: u32) -> Self {
        Self::new(kind::CALLS, name).speaking(protocol, version)
    }

    /// Calls that the program answers.
    pub const fn serves(protocol: u32, version: u32) -> Self {
        Self::new(kind::SERVES, "").speaking(protocol, version)
    }

    const fn speaking(mut self, protocol: u32, version: u32) -> Self {
        self.protocol = protocol;
        self.version = version;
        self
    }

    /// What follows the name in the symbol without which this note means nothing; `None` if it has no symbol.
    pub fn symbol_suffix(&self) -> Option<&'static str> {
        match self.kind {
            kind::REGION | kind::CALLS => Some(""),
            kind::LINK => Some("_tx"),
            _ => None,
        }
    }
}

/// The bytes of `text` from `start`, filled up with zeros. Too long a text stops the compiler.
const fn padded<const N: usize>(text: &str, start: usize) -> [u8; N] {
    let bytes = text.as_bytes();
    let mut padded = [0; N];
    let mut index = start;
    while index < bytes.len() {
        assert!(index - start < N, "a name in an interface note is too long");
        padded[index - start] = bytes[index];
        index += 1;
    }
    padded
}

/// Where the last segment of a path begins: `model::Reply` and `Reply` are the same type to a reader.
const fn after_path(bytes: &[u8]) -> usize {
    let (mut index, mut start) = (0, 0);
    while index < bytes.len() && bytes[index] != b'<' && bytes[index] != b'[' {
        if bytes[index] == b':' || bytes[index] == b' ' {
            start = index + 1;
        }
        index += 1;
    }
    start
}

/// Puts a [`Note`], a constant expression, into the program.
#[doc(hidden)]
#[macro_export]
macro_rules! note {
    ($note:expr) => {
        const _: () = {
            #[used]
            #[cfg_attr(target_os = "none", unsafe(link_section = ".kinglet"))]
            static NOTE: $crate::Note = $note;
        };
    };
}

/// Declares that the program makes protected calls of a protocol on the channel whose id goes to the variable `NAME`:
/// `calls!(NAME: PROTOCOL, VERSION)`.
#[macro_export]
macro_rules! calls {
    ($name:ident: $protocol:expr, $version:expr $(,)?) => {
        $crate::note!($crate::Note::calls(::core::stringify!($name), $protocol, $version));
    };
}

/// Declares that the program answers protected calls of a protocol: `serves!(PROTOCOL, VERSION)`.
#[macro_export]
macro_rules! serves {
    ($protocol:expr, $version:expr $(,)?) => {
        $crate::note!($crate::Note::serves($protocol, $version));
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_made_by_the_compiler() {
        const NOTE: Note = Note::link("models", (7, 2), ["a::b::Reply", "Request"], [16, 8], [4112, 4104], REQUIRED);
        assert_eq!(&NOTE.name[..8], b"models\0\0");
        assert_eq!((&NOTE.entry_types[0][..6], &NOTE.entry_types[1][..8]), (&b"Reply\0"[..], &b"Request\0"[..]));
        assert_eq!((NOTE.protocol, NOTE.version, NOTE.entry_bytes), (7, 2, [16, 8]));
        assert_eq!(NOTE.symbol_suffix(), Some("_tx"));
        calls!(somebody: 1, 2);
        serves!(1, 2);
    }

    #[test]
    fn the_layout_is_fixed() {
        assert_eq!(size_of::<Note>(), 208, "change FORMAT with the layout");
        let bytes = Note::program(0x4000);
        assert_eq!(&bytes.as_bytes()[..12], b"KNOT\x01\0\0\0\x01\0\0\0");
        assert_eq!(&bytes.as_bytes()[32..40], 0x4000_u64.to_le_bytes());
    }

    #[test]
    fn paths_and_generics() {
        for (text, name) in
            [("A", "A"), ("a::A", "A"), ("a :: b :: A", "A"), ("x::A<b::C>", "A<b::C>"), ("[u8; 8]", "[u8; 8]")]
        {
            assert_eq!(&text[after_path(text.as_bytes())..], name);
        }
    }
}
