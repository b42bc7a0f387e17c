//! The model pack: the models of an image with sample inputs and the outputs that the reference computes for them.
//!
//! A host step makes it (`kinglet pack`), the composer prefills a region with it, and the model runner, the shell and
//! the demo map it read-only. Models run from where they lie in it.
//!
//! Layout: a [`Header`], then [`ModelEntry`]s, back to back, little-endian; then the contents that they refer to by offset
//! from the start, each aligned to [`ALIGN`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::model::NAME_BYTES;

/// First word of a pack.
pub const MAGIC: u64 = u64::from_le_bytes(*b"KLMODEL\x01");
/// Alignment of what the entries refer to.
pub const ALIGN: usize = 16;
/// Most models in a pack.
pub const MAX_MODELS: usize = 16;
/// Label of a sample whose class is not known.
pub const NO_LABEL: u8 = u8::MAX;

/// Start of a pack.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: u64,
    /// Bytes of the whole pack.
    pub bytes: u32,
    /// How many [`ModelEntry`]s follow.
    pub models: u32,
}

/// One model and its samples.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ModelEntry {
    /// Name, padded with zeros.
    pub name: [u8; NAME_BYTES],
    /// Where the model file lies.
    pub file_at: u32,
    /// Its bytes.
    pub file_bytes: u32,
    /// How many samples there are, possibly none.
    pub samples: u32,
    /// Bytes of one input.
    pub input_bytes: u32,
    /// Bytes of one output.
    pub output_bytes: u32,
    /// Where the labels lie, one byte each.
    pub labels_at: u32,
    /// Where the inputs lie.
    pub inputs_at: u32,
    /// Where the outputs lie.
    pub outputs_at: u32,
}

/// Why bytes are not a model pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackError {
    /// The bytes are not aligned to [`ALIGN`].
    Misaligned,
    /// Shorter than it says.
    Truncated,
    /// The first word is another.
    WrongMagic,
    /// More than [`MAX_MODELS`] models.
    TooManyModels,
    /// Something of the model with this number lies outside the pack.
    OutOfBounds {
        /// Its number.
        model: usize,
    },
}

impl core::fmt::Display for PackError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            PackError::Misaligned => write!(f, "model pack: not aligned to {ALIGN} bytes"),
            PackError::Truncated => f.write_str("model pack: shorter than it says"),
            PackError::WrongMagic => f.write_str("model pack: wrong first word; was the region prefilled?"),
            PackError::TooManyModels => write!(f, "model pack: more than {MAX_MODELS} models"),
            PackError::OutOfBounds { model } => write!(f, "model pack: contents of model {model} lie outside it"),
        }
    }
}

impl core::error::Error for PackError {}

/// A checked view of a pack.
#[derive(Clone, Copy, Debug)]
pub struct ModelPack<'a> {
    bytes: &'a [u8],
    entries: &'a [ModelEntry],
}

/// A model of a pack.
#[derive(Clone, Copy, Debug)]
pub struct PackedModel<'a> {
    bytes: &'a [u8],
    entry: &'a ModelEntry,
}

/// A sample of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample<'a> {
    /// Its class, if it is known.
    pub label: Option<u8>,
    /// Input tensor.
    pub input: &'a [u8],
    /// The exact output tensor.
    pub output: &'a [u8],
}

fn part(bytes: &[u8], at: u32, length: u64) -> Option<&[u8]> {
    bytes.get(at as usize..usize::try_from(u64::from(at) + length).ok()?)
}

impl<'a> ModelPack<'a> {
    /// Checks `bytes`, which may be longer than the pack.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PackError> {
        if !(bytes.as_ptr() as usize).is_multiple_of(ALIGN) {
            return Err(PackError::Misaligned);
        }
        let (header, _) = Header::ref_from_prefix(bytes).map_err(|_| PackError::Truncated)?;
        if header.magic != MAGIC {
            return Err(PackError::WrongMagic);
        }
        if header.models as usize > MAX_MODELS {
            return Err(PackError::TooManyModels);
        }
        let bytes = bytes.get(..header.bytes as usize).ok_or(PackError::Truncated)?;
        let rest = bytes.get(size_of::<Header>()..).ok_or(PackError::Truncated)?;
        let (entries, _) = <[ModelEntry]>::ref_from_prefix_with_elems(rest, header.models as usize)
            .map_err(|_| PackError::Truncated)?;
        for (model, entry) in entries.iter().enumerate() {
            let samples = u64::from(entry.samples);
            let parts = [
                (entry.file_at, u64::from(entry.file_bytes)),
                (entry.labels_at, samples),
                (entry.inputs_at, samples * u64::from(entry.input_bytes)),
                (entry.outputs_at, samples * u64::from(entry.output_bytes)),
            ];
            if parts.iter().any(|(at, length)| part(bytes, *at, *length).is_none()) {
                return Err(PackError::OutOfBounds { model });
            }
        }
        Ok(ModelPack { bytes, entries })
    }

    /// How many models there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The models in order; a model's number in requests is its place here.
    pub fn models(&self) -> impl ExactSizeIterator<Item = PackedModel<'a>> + use<'a> {
        let bytes = self.bytes;
        self.entries.iter().map(move |entry| PackedModel { bytes, entry })
    }

    /// The number of the model with this name, and the model.
    pub fn by_name(&self, name: &str) -> Option<(usize, PackedModel<'a>)> {
        self.models().enumerate().find(|(_, model)| model.name() == name)
    }
}

impl<'a> PackedModel<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        crate::system_table::text(&self.entry.name)
    }

    /// The model file.
    pub fn file(&self) -> &'a [u8] {
        part(self.bytes, self.entry.file_at, u64::from(self.entry.file_bytes)).unwrap_or_default()
    }

    /// Bytes of its input and of its output.
    pub fn tensor_bytes(&self) -> (usize, usize) {
        (self.entry.input_bytes as usize, self.entry.output_bytes as usize)
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.entry.samples as usize
    }

    /// Sample `index`.
    pub fn sample(&self, index: usize) -> Option<Sample<'a>> {
        if index >= self.samples() {
            return None;
        }
        let element =
            |at: u32, bytes: u32| self.bytes.get(at as usize + index * bytes as usize..)?.get(..bytes as usize);
        let label = *element(self.entry.labels_at, 1)?.first()?;
        Some(Sample {
            label: (label != NO_LABEL).then_some(label),
            input: element(self.entry.inputs_at, self.entry.input_bytes)?,
            output: element(self.entry.outputs_at, self.entry.output_bytes)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One model of 5 bytes with two samples of 3 → 1 bytes.
    fn pack() -> Vec<u128> {
        let mut name = [0; NAME_BYTES];
        name[..4].copy_from_slice(b"tiny");
        let header = Header { magic: MAGIC, bytes: 160, models: 1 };
        let entry = ModelEntry {
            name,
            file_at: 80,
            file_bytes: 5,
            samples: 2,
            input_bytes: 3,
            output_bytes: 1,
            labels_at: 96,
            inputs_at: 112,
            outputs_at: 128,
        };
        let mut bytes = [0; 160];
        bytes[..16].copy_from_slice(header.as_bytes());
        bytes[16..80].copy_from_slice(entry.as_bytes());
        bytes[80..85].copy_from_slice(b"model");
        bytes[96..98].copy_from_slice(&[4, NO_LABEL]);
        bytes[112..118].copy_from_slice(b"abcdef");
        bytes[128..130].copy_from_slice(b"xy");
        bytes.chunks(16).map(|chunk| u128::from_le_bytes(chunk.try_into().unwrap())).collect()
    }

    #[test]
    fn finds_models_and_samples() {
        let words = pack();
        let pack = ModelPack::parse(words.as_bytes()).unwrap();
        let (index, model) = pack.by_name("tiny").unwrap();
        assert_eq!((index, model.file(), model.samples()), (0, &b"model"[..], 2));
        assert_eq!(model.sample(0), Some(Sample { label: Some(4), input: b"abc", output: b"x" }));
        assert_eq!(model.sample(1), Some(Sample { label: None, input: b"def", output: b"y" }));
        assert_eq!(model.sample(2), None);
        assert!(pack.by_name("tin").is_none());
    }

    #[test]
    fn every_wrong_word_is_an_error_or_harmless() {
        for cut in (0..160).step_by(16) {
            assert!(ModelPack::parse(&pack().as_bytes()[..cut]).is_err(), "{cut}");
        }
        for at in (0..80).step_by(4) {
            let mut words = pack();
            words.as_mut_bytes()[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
            if let Ok(pack) = ModelPack::parse(words.as_bytes()) {
                for model in pack.models() {
                    assert!(model.name().len() <= NAME_BYTES && model.sample(usize::MAX).is_none());
                    let _ = (model.file(), model.sample(0));
                }
            }
        }
    }
}
