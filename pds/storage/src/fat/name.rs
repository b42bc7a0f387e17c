//! Names: long ones, and the short ones of eight and three characters that every entry has too.

use core::fmt::Write;
use heapless::String;

/// Bytes of a name; longer ones are known by their short names.
pub const MAX_NAME: usize = 255;
/// Characters of a long name that one entry holds, as UTF-16.
pub const UNITS: usize = 13;
/// Entries of the longest long name.
pub const MAX_PARTS: usize = 20;

/// A name as it is shown.
pub type Name = String<MAX_NAME>;
/// A short name: eight bytes and three, padded with blanks.
pub type Short = [u8; 11];

/// Whether a name may be given to a file or folder.
pub fn is_valid(name: &str) -> bool {
    // (Section "Long Directory Entries": what other systems strip at the end is refused, not changed.)
    !name.is_empty()
        && name.len() <= MAX_NAME
        && name.encode_utf16().count() <= 255
        && !name.ends_with(['.', ' '])
        && !name.starts_with(' ')
        && !name.chars().any(|character| character.is_control() || "\"*/:<>?\\|".contains(character))
}

/// Whether two names are the same to FAT.
pub fn same(one: &str, other: &str) -> bool {
    let folded = |name| str::chars(name).flat_map(char::to_lowercase);
    folded(one).eq(folded(other))
}

fn is_short_character(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"$%'-_@~`!(){}^#&".contains(&byte)
}

/// The short name that says all of `name`, if there is one; then no long one is needed.
pub fn exact_short(name: &str) -> Option<Short> {
    let (base, extension) = name.split_once('.').unwrap_or((name, ""));
    let fits = (1..=8).contains(&base.len()) && extension.len() <= 3 && !name.ends_with('.');
    if !fits || !base.bytes().chain(extension.bytes()).all(is_short_character) {
        return None;
    }
    let mut short = [b' '; 11];
    short[..base.len()].copy_from_slice(base.as_bytes());
    short[8..8 + extension.len()].copy_from_slice(extension.as_bytes());
    Some(short)
}

/// The short names that a long name may get: of the usual kind, and with a hash of the long name where those are taken.
#[derive(Debug)]
pub struct Aliases {
    stems: [([u8; 6], usize); 2],
    extension: [u8; 3],
    /// A bit for each number that is taken, of either stem.
    taken: [u16; 2],
}

impl Aliases {
    /// For this long name.
    pub fn new(name: &str) -> Self {
        let simple = |text: &str, into: &mut [u8]| {
            let mut length = 0;
            let fitting = text.chars().filter(|character| !" .".contains(*character));
            for (to, character) in into.iter_mut().zip(fitting) {
                let upper = character.to_ascii_uppercase();
                *to = u8::try_from(upper).ok().filter(|byte| is_short_character(*byte)).unwrap_or(b'_');
                length += 1;
            }
            length
        };
        let (base, tail) = name.rsplit_once('.').filter(|(base, _)| !base.is_empty()).unwrap_or((name, ""));
        let (mut stem, mut extension) = ([b' '; 6], [b' '; 3]);
        let length = simple(base, &mut stem).max(1);
        simple(tail, &mut extension);
        if stem[0] == b' ' {
            stem[0] = b'_';
        }
        let mut hashed = stem;
        let sum = name.encode_utf16().fold(0u16, |sum, unit| sum.rotate_left(5).wrapping_add(unit));
        let start = length.min(2);
        for (index, to) in hashed[start..start + 4].iter_mut().enumerate() {
            *to = b"0123456789ABCDEF"[usize::from(sum >> (12 - 4 * index) & 0xf)];
        }
        Self { stems: [(stem, length), (hashed, start + 4)], extension, taken: [0; 2] }
    }

    fn short(&self, stem: usize, number: u8) -> Short {
        let (stem, length) = self.stems[stem];
        let mut short = [b' '; 11];
        short[..length].copy_from_slice(&stem[..length]);
        short[length] = b'~';
        short[length + 1] = b'0' + number;
        short[8..].copy_from_slice(&self.extension);
        short
    }

    /// There is an entry with this short name.
    pub fn take(&mut self, other: &Short) {
        for stem in 0..2 {
            for number in 1..=9 {
                if self.short(stem, number) == *other {
                    self.taken[stem] |= 1 << number;
                }
            }
        }
    }

    /// One that is not taken.
    pub fn choose(&self) -> Option<Short> {
        let free =
            |stem: usize| (1..=9).find(|number| self.taken[stem] & 1 << number == 0).map(|number| (stem, number));
        free(0).or_else(|| free(1)).map(|(stem, number)| self.short(stem, number))
    }
}

/// The checksum by which the parts of a long name know their short name (section "Long Directory Entries").
pub fn checksum(short: &Short) -> u8 {
    short.iter().fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// A short name as it is shown; `lower` are the flags by which some systems remember that base (8) and extension (16) were
/// typed in small letters.
pub fn show_short(short: &Short, lower: u8) -> Name {
    let mut name = Name::new();
    let mut add = |bytes: &[u8], lower: bool| {
        for byte in bytes {
            // What another code page says of other bytes is not known here.
            let byte = if byte.is_ascii_graphic() { *byte } else { b'_' };
            let _ = name.push(char::from(if lower { byte.to_ascii_lowercase() } else { byte }));
        }
    };
    let trimmed = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
    let (base, extension) = short.split_at(8);
    add(&base[..trimmed(base)], lower & 8 != 0);
    let extension = &extension[..trimmed(extension)];
    if !extension.is_empty() {
        add(b".", false);
        add(extension, lower & 16 != 0);
    }
    name
}

/// A long name that is being gathered from its entries, which come last part first.
#[derive(Debug)]
pub struct Gathered {
    units: [u16; UNITS * MAX_PARTS],
    checksum: u8,
    /// The part that is to come next; 0 when all are there.
    wanted: Option<u8>,
    parts: u8,
}

impl Gathered {
    pub const fn new() -> Self {
        Self { units: [0; UNITS * MAX_PARTS], checksum: 0, wanted: None, parts: 0 }
    }

    /// What was gathered belongs to nothing.
    pub fn clear(&mut self) {
        self.wanted = None;
    }

    /// How many entries were gathered.
    pub fn parts(&self) -> u32 {
        if self.wanted.is_some() { self.parts.into() } else { 0 }
    }

    /// Adds an entry.
    pub fn add(&mut self, slot: &[u8; 32]) {
        let number = slot[0] & 0x3f;
        if slot[0] & 0x40 != 0 {
            if number == 0 || usize::from(number) > MAX_PARTS {
                return self.clear();
            }
            self.units = [0; UNITS * MAX_PARTS];
            (self.checksum, self.wanted, self.parts) = (slot[13], Some(number), 0);
        }
        if self.wanted != Some(number) || number == 0 || slot[13] != self.checksum {
            return self.clear();
        }
        for (index, at) in unit_places().enumerate() {
            self.units[(usize::from(number) - 1) * UNITS + index] = u16::from_le_bytes([slot[at], slot[at + 1]]);
        }
        self.wanted = Some(number - 1);
        self.parts += 1;
    }

    /// The long name of the entry with this short name; `None` if it has none that can be shown.
    pub fn name(&self, short: &Short) -> Option<Name> {
        if self.wanted != Some(0) || self.checksum != checksum(short) {
            return None;
        }
        let units = self.units.iter().copied().take_while(|unit| *unit != 0);
        let mut name = Name::new();
        for character in char::decode_utf16(units) {
            let character = character.ok().filter(|character| !character.is_control() && *character != '/')?;
            name.write_char(character).ok()?;
        }
        (!name.is_empty()).then_some(name)
    }
}

/// Where the characters lie in an entry.
fn unit_places() -> impl Iterator<Item = usize> {
    (1..11).step_by(2).chain((14..26).step_by(2)).chain((28..32).step_by(2))
}

/// Entries that a long name needs.
pub fn parts_of(name: &str) -> usize {
    name.encode_utf16().count().div_ceil(UNITS)
}

/// The entry with part `number`, from 1, of a name.
pub fn part(name: &str, number: usize, checksum: u8) -> [u8; 32] {
    let mut slot = [0; 32];
    let last = number == parts_of(name);
    slot[0] = number as u8 | if last { 0x40 } else { 0 };
    slot[11] = super::folder::LONG_NAME;
    slot[13] = checksum;
    // A zero ends the name if there is room for it, and all ones follow.
    let units = name.encode_utf16().skip((number - 1) * UNITS).chain([0]).chain(core::iter::repeat(0xffff));
    for (at, unit) in unit_places().zip(units) {
        slot[at..at + 2].copy_from_slice(&unit.to_le_bytes());
    }
    slot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names() {
        assert_eq!(exact_short("README.TXT"), Some(*b"README  TXT"));
        assert_eq!(exact_short("A"), Some(*b"A          "));
        for name in ["readme.txt", "TOOLONGNAME", "A.B.C", "A.LONG", ".HIDDEN", "A B", "", "Ä", "A+B", "A."] {
            assert_eq!(exact_short(name), None, "{name}");
        }
        assert_eq!(show_short(b"README  TXT", 0), "README.TXT");
        assert_eq!(show_short(b"README  TXT", 8), "readme.TXT");
        assert_eq!(show_short(b"A          ", 24), "a");
        assert_eq!(show_short(b"\x05BC     \xff  ", 0), "_BC._");
    }

    #[test]
    fn aliases_differ() {
        let mut aliases = Aliases::new("A long name.with dots.text");
        let mut seen = std::collections::BTreeSet::new();
        while let Some(short) = aliases.choose() {
            assert!(seen.insert(short));
            aliases.take(&short);
        }
        assert_eq!(seen.len(), 18);
        assert!(seen.contains(b"ALONGN~1TEX"));
        assert_eq!(&Aliases::new("...").choose().unwrap()[..3], b"_~1");
        assert_eq!(&Aliases::new("ä").choose().unwrap()[..3], b"_~1");
    }

    #[test]
    fn long_names_come_back() {
        for name in ["a", "thirteen char", "fourteen chars", "größe 😀 and more than twenty-six", &"x".repeat(255)]
        {
            assert!(is_valid(name));
            let short = Aliases::new(name).choose().unwrap();
            let mut gathered = Gathered::new();
            for number in (1..=parts_of(name)).rev() {
                gathered.add(&part(name, number, checksum(&short)));
            }
            assert_eq!(gathered.name(&short).unwrap(), name);
            assert_eq!(gathered.name(b"OTHER      "), None);
        }
        for name in ["", "a.", "a ", " a", "a/b", "a\\b", "a:b", "a\nb", &"x".repeat(256)] {
            assert!(!is_valid(name), "{name}");
        }
        assert!(same("GRÖSSE.Txt", "grösse.tXT") && !same("a", "b"));
    }
}
