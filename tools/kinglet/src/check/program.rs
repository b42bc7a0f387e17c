//! What a program's ELF file says of itself: its notes (see the crate `interface-notes`) and its symbols.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use interface_notes::{FORMAT, MAGIC, Note, REQUIRED, SECTION, kind};
use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol};
use zerocopy::FromBytes;

/// The section of the variables that the composer writes (`pd.ld` of sel4-microkit).
const PATCHED_SECTION: &str = ".patched";
/// More notes than any program has; a file with more is not one of ours.
const MAX_NOTES: usize = 4096;

/// What is known of the program of a protection domain.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Variables that the composer may write, without Microkit's own.
    pub variables: BTreeSet<String>,
    /// What the program's notes declare; `None` if it has no notes.
    pub interface: Option<Interface>,
}

/// What a program declares.
#[derive(Clone, Debug, Default)]
pub struct Interface {
    /// The least stack in bytes.
    pub min_stack_bytes: u64,
    /// Ends of links by name.
    pub links: BTreeMap<String, Link>,
    /// Least sizes in bytes of the regions that must be mapped, by symbol.
    pub regions: BTreeMap<String, u64>,
    /// Calls that it makes, by the symbol of the channel's id.
    pub calls: BTreeMap<String, Protocol>,
    /// Calls that it answers.
    pub serves: BTreeSet<Protocol>,
}

impl Interface {
    /// Whether the program says by whom it talks to others. One that keeps to the names of rust-sel4's API does not: it
    /// uses channels as numbers and variables, and so its channels are checked only by structure.
    pub fn declares_channels(&self) -> bool {
        !(self.links.is_empty() && self.calls.is_empty() && self.serves.is_empty())
    }
}

/// A declared end of a link. Index 0 is what this end sends, 1 what it receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Names of the types of entries.
    pub entry_types: [String; 2],
    /// Bytes of an entry.
    pub entry_bytes: [u32; 2],
    /// Least sizes of the regions in bytes.
    pub min_bytes: [u64; 2],
    /// Whether the program does not start without.
    pub required: bool,
}

/// A protocol and its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Protocol {
    /// Four letters.
    pub id: u32,
    /// Version.
    pub version: u32,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = self.id.to_le_bytes();
        match str::from_utf8(&letters) {
            Ok(name) if name.bytes().all(|byte| byte.is_ascii_graphic()) => write!(f, "{name}")?,
            _ => write!(f, "{:#x}", self.id)?,
        }
        write!(f, " version {}", self.version)
    }
}

impl Program {
    /// Reads an ELF file.
    ///
    /// # Errors
    /// When it is not a 64-bit ELF file, or its notes are not what they should be.
    pub fn parse(file: &[u8]) -> Result<Program, String> {
        let elf = ElfFile64::<LittleEndian>::parse(file).map_err(|error| format!("not a 64-bit ELF file: {error}"))?;
        let symbols: BTreeSet<&str> =
            elf.symbols().filter(|symbol| symbol.is_definition()).filter_map(|symbol| symbol.name().ok()).collect();
        let patched = elf.section_by_name(PATCHED_SECTION).map(|section| section.index());
        let variables = elf
            .symbols()
            .filter(|symbol| patched.is_some() && symbol.section_index() == patched)
            .filter_map(|symbol| symbol.name().ok())
            // Anonymous symbols of assembler and linker are none that a description could name.
            .filter(|name| !name.is_empty() && !name.starts_with(['.', '$']) && !name.starts_with("microkit_"))
            .map(str::to_owned)
            .collect();
        let interface = match elf.section_by_name(SECTION) {
            Some(section) => {
                let bytes = section.data().map_err(|error| format!("section {SECTION}: {error}"))?;
                Some(interface(bytes, &symbols)?)
            }
            None => None,
        };
        Ok(Program { variables, interface })
    }
}

/// Reads the notes of a program with these symbols.
fn interface(bytes: &[u8], symbols: &BTreeSet<&str>) -> Result<Interface, String> {
    let mut interface = Interface::default();
    let mut programs = 0;
    let mut rest = bytes;
    if bytes.len() / size_of::<Note>() > MAX_NOTES {
        return Err(format!("section {SECTION} has {} bytes, more than {MAX_NOTES} notes", bytes.len()));
    }
    while !rest.is_empty() {
        // The version comes first: notes of another one may have another size.
        if rest.len() < 8 || rest[..4] != MAGIC {
            return Err(format!("section {SECTION} is broken at byte {:#x}", bytes.len() - rest.len()));
        }
        let format = u32::from_le_bytes([rest[4], rest[5], rest[6], rest[7]]);
        if format != FORMAT {
            return Err(format!("its notes have format {format}, expected {FORMAT}; build program and tool anew"));
        }
        let (note, after) =
            Note::read_from_prefix(rest).map_err(|_| format!("section {SECTION} ends within a note"))?;
        rest = after;
        let name = text(&note.name)?;
        if note.symbol_suffix().is_some_and(|suffix| !symbols.contains(format!("{name}{suffix}").as_str())) {
            continue;
        }
        let protocol = Protocol { id: note.protocol, version: note.version };
        let is_new = match note.kind {
            kind::PROGRAM => {
                programs += 1;
                interface.min_stack_bytes = note.min_bytes[0];
                programs == 1
            }
            kind::REGION => interface.regions.insert(name, note.min_bytes[0]).is_none(),
            kind::LINK => {
                let link = Link {
                    protocol,
                    entry_types: [text(&note.entry_types[0])?, text(&note.entry_types[1])?],
                    entry_bytes: note.entry_bytes,
                    min_bytes: note.min_bytes,
                    required: note.flags & REQUIRED != 0,
                };
                interface.links.insert(name, link).is_none()
            }
            kind::CALLS => interface.calls.insert(name, protocol).is_none(),
            kind::SERVES => {
                interface.serves.insert(protocol);
                true
            }
            other => return Err(format!("section {SECTION} has a note of unknown kind {other}")),
        };
        if !is_new {
            return Err(format!("section {SECTION} has two notes of one thing; is a name used twice?"));
        }
    }
    if programs == 0 {
        return Err(format!("section {SECTION} has no note of the program; it needs #[protection_domain]"));
    }
    Ok(interface)
}

/// A name filled up with zeros.
fn text(padded: &[u8]) -> Result<String, String> {
    let end = padded.iter().position(|byte| *byte == 0).unwrap_or(padded.len());
    match str::from_utf8(&padded[..end]) {
        Ok(name) if name.chars().all(|character| !character.is_control()) => Ok(name.to_owned()),
        _ => Err(format!("section {SECTION} has a name that is not text")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zerocopy::IntoBytes;

    use super::*;

    fn read(notes: &[Note], symbols: &[&str]) -> Result<Interface, String> {
        interface(notes.as_bytes(), &symbols.iter().copied().collect())
    }

    #[test]
    fn notes_that_the_macros_make_are_read() {
        let link =
            Note::link("m", (u32::from_le_bytes(*b"MODL"), 3), ["a::Out", "In"], [16, 8], [4112, 4104], REQUIRED);
        let notes = [Note::region("arena", 9), link, Note::program(0x4000), Note::calls("c", 1, 2), Note::serves(5, 6)];
        let interface = read(&notes, &["arena", "m_tx", "c"]).unwrap();
        assert_eq!((interface.min_stack_bytes, interface.regions["arena"]), (0x4000, 9));
        let link = &interface.links["m"];
        assert_eq!((link.protocol.to_string().as_str(), link.required), ("MODL version 3", true));
        assert_eq!(link.entry_types, ["Out", "In"]);
        assert_eq!((interface.calls["c"], interface.serves.len()), (Protocol { id: 1, version: 2 }, 1));
        assert_eq!(interface.calls["c"].to_string(), "0x1 version 2");
    }

    #[test]
    fn what_the_linker_left_out_does_not_count() {
        let notes = [Note::program(0), Note::region("gone", 1), Note::calls("gone", 1, 1)];
        let interface = read(&notes, &["other"]).unwrap();
        assert!(interface.regions.is_empty() && !interface.declares_channels());
    }

    #[test]
    fn broken_notes_are_refused() {
        let newer = Note { format: 2, ..Note::program(0) };
        let unknown = Note { kind: 77, ..Note::program(0) };
        let nameless = Note { name: [0xff; 64], ..Note::program(0) };
        let none = Note { magic: [0; 4], ..Note::program(0) };
        for (notes, expected) in [
            (&[newer][..], "format 2, expected 1"),
            (&[unknown], "unknown kind 77"),
            (&[nameless], "not text"),
            (&[Note::program(0), none], "broken at byte 0xd0"),
            (&[Note::program(0), Note::program(0)], "two notes"),
            (&[Note::serves(1, 1)], "no note of the program"),
        ] {
            let error = read(notes, &[]).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let bytes = Note::program(0);
        assert!(interface(&bytes.as_bytes()[..100], &BTreeSet::new()).unwrap_err().contains("ends within"));
        assert!(interface(&vec![0; 2_000_000], &BTreeSet::new()).unwrap_err().contains("more than"));
        assert!(Program::parse(b"hello").unwrap_err().contains("not a 64-bit ELF file"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600), keep in any::<bool>()) {
            let mut file = Note::program(0).as_bytes().to_vec();
            if keep { file.extend(&bytes) } else { file.splice(8.., bytes); }
            let _ = interface(&file, &BTreeSet::new());
        }
    }
}
