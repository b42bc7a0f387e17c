//! Reading CBOR with the manifest's errors, and comparing what is written with what was read.

use core::fmt;
use minicbor::Decoder;

use crate::error::ManifestError;
use crate::manifest::{Name, Part, is_name};

/// A decoder whose errors are those of manifests.
pub(crate) struct Reader<'a> {
    decoder: Decoder<'a>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { decoder: Decoder::new(bytes) }
    }

    fn wrong(&self) -> ManifestError {
        ManifestError::NotCbor { at: self.decoder.position() }
    }

    /// A map of exactly so many fields.
    pub(crate) fn map(&mut self, fields: u64) -> Result<(), ManifestError> {
        match self.decoder.map() {
            Ok(Some(length)) if length == fields => Ok(()),
            Ok(_) => Err(ManifestError::BadField("number of fields")),
            Err(_) => Err(self.wrong()),
        }
    }

    /// The key that comes next.
    pub(crate) fn key(&mut self, expected: u32) -> Result<(), ManifestError> {
        match self.decoder.u32() {
            Ok(key) if key == expected => Ok(()),
            _ => Err(ManifestError::UnexpectedField { expected }),
        }
    }

    pub(crate) fn unsigned(&mut self) -> Result<u64, ManifestError> {
        self.decoder.u64().map_err(|_| self.wrong())
    }

    /// An unsigned number of 32 bits.
    pub(crate) fn small(&mut self, what: &'static str) -> Result<u32, ManifestError> {
        u32::try_from(self.unsigned()?).map_err(|_| ManifestError::BadField(what))
    }

    /// An array of exactly so many elements.
    pub(crate) fn array(&mut self, elements: usize, what: &'static str) -> Result<(), ManifestError> {
        match self.length(elements, || ManifestError::BadField(what))? {
            length if length == elements => Ok(()),
            _ => Err(ManifestError::BadField(what)),
        }
    }

    /// The length of an array of at most so many elements.
    pub(crate) fn length(
        &mut self,
        most: usize,
        too_many: impl FnOnce() -> ManifestError,
    ) -> Result<usize, ManifestError> {
        match self.decoder.array() {
            Ok(Some(length)) if length <= most as u64 => Ok(length as usize),
            Ok(_) => Err(too_many()),
            Err(_) => Err(self.wrong()),
        }
    }

    /// Text of at most a name's length, without control characters.
    pub(crate) fn text(&mut self, what: &'static str) -> Result<Name, ManifestError> {
        let text = self.decoder.str().map_err(|_| self.wrong())?;
        let plain = !text.is_empty() && !text.chars().any(char::is_control);
        Name::try_from(text).ok().filter(|_| plain).ok_or(ManifestError::BadField(what))
    }

    /// A name of an app or model.
    pub(crate) fn name(&mut self, what: &'static str) -> Result<Name, ManifestError> {
        self.text(what).and_then(|name| if is_name(&name) { Ok(name) } else { Err(ManifestError::BadField(what)) })
    }

    /// Length and digest of a part.
    pub(crate) fn part(&mut self) -> Result<Part, ManifestError> {
        let bytes = self.small("length of a part")?;
        let digest = self.decoder.bytes().map_err(|_| self.wrong())?;
        let digest = digest.try_into().map_err(|_| ManifestError::BadField("digest of a part"))?;
        Ok(Part { bytes, digest })
    }
}

/// A writer that keeps nothing: it compares with what is there already.
pub(crate) struct Matches<'a> {
    expected: &'a [u8],
    /// How many bytes were the same.
    pub(crate) at: usize,
}

/// What is written differs from what is there.
#[derive(Debug)]
pub(crate) struct Different;

impl fmt::Display for Different {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("different")
    }
}

impl<'a> Matches<'a> {
    pub(crate) fn new(expected: &'a [u8]) -> Self {
        Self { expected, at: 0 }
    }
}

impl minicbor::encode::Write for &mut Matches<'_> {
    type Error = Different;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Different> {
        for byte in bytes {
            if self.expected.get(self.at) != Some(byte) {
                return Err(Different);
            }
            self.at += 1;
        }
        Ok(())
    }
}
