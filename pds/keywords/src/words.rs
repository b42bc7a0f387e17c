//! The words that a model knows: what its outputs mean.

use core::fmt;
use core::str;

use protocols::clip::WORD_BYTES;

/// Words, at most.
pub const MAX_WORDS: usize = 32;

/// A list of words: one a line, in the order of the model's outputs. A word in brackets is not reported; empty lines and what
/// follows `#` do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    words: heapless::Vec<Word, MAX_WORDS>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word {
    text: [u8; WORD_BYTES],
    reported: bool,
}

/// What is wrong with a list of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordsError {
    /// It is not UTF-8.
    NotText,
    /// A word is longer than [`WORD_BYTES`].
    TooLong {
        /// In this line, from 1.
        line: usize,
    },
    /// There are more than [`MAX_WORDS`].
    TooMany {
        /// From this line on.
        line: usize,
    },
    /// None of them is to be reported.
    Empty,
}

impl fmt::Display for WordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WordsError::NotText => f.write_str("words: not UTF-8"),
            WordsError::TooLong { line } => {
                write!(f, "words: that of line {line} has more than {WORD_BYTES} bytes")
            }
            WordsError::TooMany { line } => write!(f, "words: line {line} has one more than {MAX_WORDS}"),
            WordsError::Empty => f.write_str("words: there is none to be reported"),
        }
    }
}

impl core::error::Error for WordsError {}

impl Words {
    /// Reads a list, which ends at the first byte that is 0: regions are filled up with zeros.
    ///
    /// # Errors
    /// When a word is too long, or there are too many or none.
    pub fn parse(bytes: &[u8]) -> Result<Self, WordsError> {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let text = str::from_utf8(&bytes[..end]).map_err(|_| WordsError::NotText)?;
        let mut words = heapless::Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            let word = line.split('#').next().unwrap_or_default().trim();
            if word.is_empty() {
                continue;
            }
            let inner = word.strip_prefix('(').and_then(|word| word.strip_suffix(')'));
            let (word, reported) = inner.map_or((word, true), |inner| (inner, false));
            let mut padded = [0; WORD_BYTES];
            let target = padded.get_mut(..word.len()).ok_or(WordsError::TooLong { line: line_number })?;
            target.copy_from_slice(word.as_bytes());
            words.push(Word { text: padded, reported }).map_err(|_| WordsError::TooMany { line: line_number })?;
        }
        if words.iter().any(|word| word.reported) { Ok(Words { words }) } else { Err(WordsError::Empty) }
    }

    /// How many there are: outputs that the model must have.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Never: a list has at least one word.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Word `index`, if it is one that is reported.
    pub fn reported(&self, index: usize) -> Option<[u8; WORD_BYTES]> {
        self.words.get(index).filter(|word| word.reported).map(|word| word.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let words = Words::parse(b"# said\nyes\n\n no # or so\n(silence)\n\0\xff").unwrap();
        assert_eq!((words.len(), words.is_empty()), (3, false));
        assert_eq!(words.reported(0).unwrap(), *b"yes\0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(&words.reported(1).unwrap()[..3], b"no\0");
        assert_eq!((words.reported(2), words.reported(3)), (None, None));
        let repository = include_bytes!("../../../ml-runtime/models/keywords/words.txt");
        assert_eq!(Words::parse(repository).unwrap().len(), 12);
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(Words::parse(b"yes\n\xff").unwrap_err(), WordsError::NotText);
        assert_eq!(Words::parse(b"").unwrap_err(), WordsError::Empty);
        assert_eq!(Words::parse(b"(silence)").unwrap_err(), WordsError::Empty);
        assert_eq!(Words::parse(b"\nseventeen letters").unwrap_err(), WordsError::TooLong { line: 2 });
        assert_eq!(Words::parse("word\n".repeat(33).as_bytes()).unwrap_err(), WordsError::TooMany { line: 33 });
    }
}
