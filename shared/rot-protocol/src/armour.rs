//! Bytes as text that survives a terminal: base64 (RFC 4648) between lines that say what it is.
//!
//! ```text
//! -----BEGIN KINGLET QUOTE-----
//! 0oRDoQEnoQRIbXs…
//! -----END KINGLET QUOTE-----
//! ```

/// What the lines around a quote say: a `COSE_Sign1`.
pub const QUOTE: &str = "KINGLET QUOTE";
/// What the lines around a measurement log say: [`crate::data::Measurement`]s.
pub const LOG: &str = "KINGLET LOG";
/// Bytes in a line of text.
pub const LINE_BYTES: usize = 48;
/// Characters in a line of text.
pub const LINE_CHARACTERS: usize = LINE_BYTES / 3 * 4;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A line of text.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    characters: [u8; LINE_CHARACTERS],
    length: usize,
}

impl Line {
    /// The first [`LINE_BYTES`] of `bytes`, or all of them.
    pub fn new(bytes: &[u8]) -> Line {
        let mut line = Line { characters: [b'='; LINE_CHARACTERS], length: 0 };
        for (group, out) in bytes.chunks(3).zip(line.characters.chunks_mut(4)) {
            let word =
                group.iter().enumerate().fold(0u32, |word, (index, byte)| word | u32::from(*byte) << (16 - 8 * index));
            for (index, character) in out.iter_mut().enumerate().take(group.len() + 1) {
                *character = ALPHABET[(word >> (18 - 6 * index)) as usize % 64];
            }
            line.length += 4;
        }
        line
    }

    /// The text.
    pub fn text(&self) -> &str {
        core::str::from_utf8(&self.characters[..self.length]).unwrap_or("")
    }
}

/// Gives the bytes of a group of four characters to `take`. False if it is no such group; then nothing was given.
pub fn decode_group(group: [u8; 4], mut take: impl FnMut(u8)) -> bool {
    let padding = group.iter().rev().take_while(|character| **character == b'=').count();
    let mut word = 0u32;
    for character in &group[..4 - padding.min(2)] {
        let Some(value) = ALPHABET.iter().position(|letter| letter == character) else { return false };
        word = word << 6 | value as u32;
    }
    word <<= 6 * padding.min(2);
    let bytes = 3 - padding.min(2);
    // What the padding leaves out must be zero, so that there is one text for the same bytes.
    if padding > 2 || word & ((1 << (8 * (3 - bytes))) - 1) != 0 {
        return false;
    }
    word.to_be_bytes()[1..1 + bytes].iter().for_each(|byte| take(*byte));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(text: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let (groups, rest) = text.as_bytes().as_chunks::<4>();
        (rest.is_empty() && groups.iter().all(|group| decode_group(*group, |byte| bytes.push(byte)))).then_some(bytes)
    }

    #[test]
    fn as_in_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy"), ("fooba", "Zm9vYmE=")]
        {
            assert_eq!(Line::new(bytes.as_bytes()).text(), text);
            assert_eq!(decode(text).unwrap(), bytes.as_bytes());
        }
        for bad in ["Zg=", "Z===", "====", "Zh==", "Zm9=", "Zg=a", "Z*==", "=Zg="] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..=LINE_BYTES)) {
            prop_assert_eq!(decode(Line::new(&bytes).text()).unwrap(), bytes);
        }
    }
}
