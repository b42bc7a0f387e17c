//! A clip: sound that a machine is given in place of a microphone, and what is said in it.
//!
//! `kinglet run --clip` makes it of a WAV file; the emulator puts it into memory at the place that the board names.
//!
//! Layout, little-endian: a [`Header`], [`Said`] entries back to back, then 16-bit samples.

use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// First word of a clip.
pub const MAGIC: u64 = u64::from_le_bytes(*b"KLCLIP\0\x01");
/// Bytes of a word.
pub const WORD_BYTES: usize = 16;
/// [`Header::flags`]: the entries are all that is said.
pub const FLAG_EXPECTED: u32 = 1;

/// Start of a clip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: u64,
    /// Samples in a second.
    pub sample_rate: u32,
    /// Samples.
    pub samples: u32,
    /// Words that are said.
    pub words: u32,
    /// `FLAG_*`.
    pub flags: u32,
}

/// A word that is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Said {
    /// Milliseconds from the clip's start to the word's.
    pub start_ms: u32,
    /// Milliseconds from the clip's start to the word's end.
    pub end_ms: u32,
    /// The word, padded with zeros.
    pub word: [u8; WORD_BYTES],
}

/// Why bytes are not a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClipError {
    /// The memory is empty: the machine was given none.
    Absent,
    /// The first word is another.
    WrongMagic {
        /// What it is.
        found: u64,
    },
    /// The samples are of another rate.
    WrongRate {
        /// Samples in a second.
        found: u32,
    },
    /// The clip is longer than the memory.
    Truncated {
        /// Bytes that it says it has.
        bytes: u64,
        /// Bytes that there are.
        room: u64,
    },
}

impl fmt::Display for ClipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClipError::Absent => f.write_str("clip: the machine was given none"),
            ClipError::WrongMagic { found } => write!(f, "clip: begins with {found:#018x}, which is no clip's header"),
            ClipError::WrongRate { found } => {
                write!(f, "clip: has {found} samples a second, not {}", crate::audio::SAMPLE_RATE)
            }
            ClipError::Truncated { bytes, room } => write!(f, "clip: says it has {bytes} bytes, of {room} at most"),
        }
    }
}

impl core::error::Error for ClipError {}

/// A checked view of a clip.
#[derive(Clone, Copy, Debug)]
pub struct Clip<'a> {
    flags: u32,
    words: &'a [u8],
    samples: &'a [u8],
}

impl<'a> Clip<'a> {
    /// Checks `bytes`, which may be longer than the clip.
    ///
    /// # Errors
    /// When there is none, or one that cannot be played as it is.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ClipError> {
        let truncated = |needed: u64| ClipError::Truncated { bytes: needed, room: bytes.len() as u64 };
        let (header, rest) = Header::read_from_prefix(bytes).map_err(|_| truncated(size_of::<Header>() as u64))?;
        if header == Header::default() {
            return Err(ClipError::Absent);
        }
        if header.magic != MAGIC {
            return Err(ClipError::WrongMagic { found: header.magic });
        }
        if header.sample_rate != crate::audio::SAMPLE_RATE {
            return Err(ClipError::WrongRate { found: header.sample_rate });
        }
        let words = u64::from(header.words) * size_of::<Said>() as u64;
        let samples = u64::from(header.samples) * size_of::<i16>() as u64;
        let too_long = || truncated(size_of::<Header>() as u64 + words + samples);
        // Neither sum overflows: they are of numbers of 32 bits times small ones.
        if words + samples > rest.len() as u64 {
            return Err(too_long());
        }
        let (words, rest) = rest.split_at(words as usize);
        Ok(Clip { flags: header.flags, words, samples: &rest[..samples as usize] })
    }

    /// How many samples there are.
    pub fn len(&self) -> u64 {
        (self.samples.len() / 2) as u64
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Fills `target` with the samples from number `first` on; behind the clip's end is silence.
    pub fn read(&self, first: u64, target: &mut [i16]) {
        let start = usize::try_from(first).ok().and_then(|first| first.checked_mul(2));
        let samples = start.and_then(|start| self.samples.get(start..)).unwrap_or_default();
        let mut samples = samples.chunks_exact(2);
        for target in target {
            *target = samples.next().map_or(0, |pair| i16::from_le_bytes([pair[0], pair[1]]));
        }
    }

    /// What is said, if it is known: all of it, in order.
    pub fn said(&self) -> Option<impl ExactSizeIterator<Item = Said> + 'a> {
        let known = self.flags & FLAG_EXPECTED != 0;
        known.then(|| {
            let entries = self.words.chunks_exact(size_of::<Said>());
            entries.map(|entry| {
                // The chunk has the entry's size.
                Said::read_from_bytes(entry).unwrap_or(Said { start_ms: 0, end_ms: 0, word: [0; WORD_BYTES] })
            })
        })
    }
}

impl Said {
    /// The word.
    pub fn word(&self) -> &str {
        word_text(&self.word)
    }
}

/// A padded word as text; what is not text is none.
pub fn word_text(word: &[u8; WORD_BYTES]) -> &str {
    let length = word.iter().position(|byte| *byte == 0).unwrap_or(WORD_BYTES);
    core::str::from_utf8(&word[..length]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(words: &[Said], samples: &[i16]) -> Vec<u8> {
        let header = Header {
            magic: MAGIC,
            sample_rate: 16_000,
            samples: samples.len() as u32,
            words: words.len() as u32,
            flags: FLAG_EXPECTED,
        };
        [header.as_bytes(), words.as_bytes(), samples.as_bytes()].concat()
    }

    #[test]
    fn what_was_put_in_comes_out() {
        let said = Said { start_ms: 1, end_ms: 2, word: *b"yes\0\0\0\0\0\0\0\0\0\0\0\0\0" };
        let mut bytes = clip(&[said], &[1, -2, 3]);
        bytes.extend([0; 100]);
        let clip = Clip::parse(&bytes).unwrap();
        assert_eq!((clip.len(), clip.is_empty()), (3, false));
        let found: Vec<Said> = clip.said().unwrap().collect();
        assert_eq!((found[0], found[0].word(), found.len()), (said, "yes", 1));
        let mut samples = [9; 4];
        clip.read(1, &mut samples);
        assert_eq!(samples, [-2, 3, 0, 0]);
        clip.read(u64::MAX, &mut samples);
        assert_eq!(samples, [0; 4]);
    }

    #[test]
    fn what_is_no_clip_is_refused() {
        assert_eq!(Clip::parse(&[0; 64]).unwrap_err(), ClipError::Absent);
        assert!(matches!(Clip::parse(&[0; 8]), Err(ClipError::Truncated { .. })));
        assert!(matches!(Clip::parse(&[0x55; 64]), Err(ClipError::WrongMagic { .. })));
        let mut bytes = clip(&[], &[1, 2]);
        assert_eq!(Clip::parse(&bytes[..bytes.len() - 1]).unwrap_err(), ClipError::Truncated { bytes: 28, room: 27 });
        bytes[16..20].fill(0xff);
        assert!(matches!(Clip::parse(&bytes), Err(ClipError::Truncated { .. })));
        bytes[8..12].copy_from_slice(&22_050u32.to_le_bytes());
        assert_eq!(Clip::parse(&bytes).unwrap_err(), ClipError::WrongRate { found: 22_050 });
    }
}
