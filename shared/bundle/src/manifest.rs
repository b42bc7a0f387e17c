//! The manifest: what an app is, and what it asks for.
//!
//! | key | field | CBOR |
//! |---|---|---|
//! | 0 | format, [`FORMAT`] | unsigned |
//! | 1 | version of the app interface | unsigned |
//! | 2 | name | text |
//! | 3 | version | array: major, minor, patch |
//! | 4 | publisher, for people; the signature's key is what counts | text |
//! | 5 | entry | unsigned |
//! | 6 | memory: bytes of writable segments and of what is allocated behind them | unsigned |
//! | 7 | processor time | array: microseconds, period in microseconds |
//! | 8 | permissions | array of text, sorted |
//! | 9 | models that the app may use | array of text, sorted |
//! | 10 | when it is started again: 0 never, 1 after a fault, 2 always | unsigned |
//! | 11 | the program | array: bytes, SHA-256 |
//! | 12 | the models in the bundle | array of arrays: name, bytes, SHA-256, sorted by name |
//!
//! Every field is there, in this order, in deterministic encoding (RFC 8949, section 4.2.1).

use app_abi::{Permission, Permissions};
use core::fmt;
use core::str::FromStr;
use heapless::{String, Vec};
use sha2::{Digest as _, Sha256};

use crate::cbor::{Matches, Reader};
use crate::error::ManifestError;

/// The format that is described here.
pub const FORMAT: u32 = 1;
/// The most models that an app can name, and the most that a bundle can hold.
pub const MAX_MODELS: usize = 4;
/// Bytes of the longest name.
pub const NAME_BYTES: usize = 32;

/// A SHA-256.
pub type Digest = [u8; 32];
/// A name, also of what is not valid.
pub type Name = String<NAME_BYTES>;

/// SHA-256 of bytes.
pub fn sha256(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// The version of an app. Later ones are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Changes when everything does.
    pub major: u16,
    /// Changes with what the app does.
    pub minor: u16,
    /// Changes with each correction.
    pub patch: u16,
}

impl Version {
    /// As a number that is greater for later versions: what counters hold.
    pub const fn number(self) -> u64 {
        (self.major as u64) << 32 | (self.minor as u64) << 16 | self.patch as u64
    }

    /// The version with this number.
    pub const fn from_number(number: u64) -> Version {
        Version { major: (number >> 32) as u16, minor: (number >> 16) as u16, patch: number as u16 }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Text that is not a version such as 1.0.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAVersion;

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Version, NotAVersion> {
        let mut parts = text.split('.').map(|part| match part.bytes().all(|byte| byte.is_ascii_digit()) {
            true => part.parse().map_err(|_| NotAVersion),
            false => Err(NotAVersion),
        });
        let mut next = || parts.next().unwrap_or(Err(NotAVersion));
        let version = Version { major: next()?, minor: next()?, patch: next()? };
        if parts.next().is_none() { Ok(version) } else { Err(NotAVersion) }
    }
}

/// When an app that has ended is started again by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Restart {
    /// Never.
    #[default]
    Never = 0,
    /// After a fault, later each time.
    OnFault = 1,
    /// After a fault and after it has exited, later each time.
    Always = 2,
}

impl Restart {
    /// All of them with their names.
    pub const NAMES: [(Restart, &'static str); 3] =
        [(Restart::Never, "never"), (Restart::OnFault, "on-fault"), (Restart::Always, "always")];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].1
    }
}

/// One of the parts behind the manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// How long it is.
    pub bytes: u32,
    /// SHA-256 of it.
    pub digest: Digest,
}

impl Part {
    /// The part that consists of these bytes, of which there are less than 2^32.
    pub fn of(bytes: &[u8]) -> Part {
        Part { bytes: bytes.len() as u32, digest: sha256(bytes) }
    }

    /// Whether these bytes are the part.
    pub fn is(&self, bytes: &[u8]) -> bool {
        self.bytes as usize == bytes.len() && self.digest == sha256(bytes)
    }
}

/// What an app is, and what it asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The version of the app interface that it was built for.
    pub api: u32,
    /// Its name: lower-case letters, digits and `-`, a letter first.
    pub name: Name,
    /// Its version.
    pub version: Version,
    /// Who publishes it, as people call them.
    pub publisher: Name,
    /// Where it begins.
    pub entry: u64,
    /// Bytes for its writable segments and for what it allocates.
    pub memory_bytes: u32,
    /// Microseconds of processor time that it wants in each period.
    pub budget_us: u32,
    /// The period, in microseconds.
    pub period_us: u32,
    /// What it may do.
    pub permissions: Permissions,
    /// The models that it may use.
    pub models: Vec<Name, MAX_MODELS>,
    /// When it is started again.
    pub restart: Restart,
    /// The program.
    pub program: Part,
    /// Models that come with it.
    pub bundled: Vec<(Name, Part), MAX_MODELS>,
}

/// Whether this can be the name of an app or a model's in a manifest.
pub fn is_name(text: &str) -> bool {
    let fits = text.len() <= NAME_BYTES && text.starts_with(|first: char| first.is_ascii_lowercase());
    fits && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

impl Manifest {
    /// Reads a manifest in its one encoding.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn decode(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        let mut reader = Reader::new(bytes);
        let manifest = Self::read(&mut reader)?;
        // There is one encoding. Whatever else says the same is refused, by writing it again and comparing.
        let mut matches = Matches::new(bytes);
        match manifest.encode(&mut matches) {
            Ok(()) if matches.at == bytes.len() => Ok(manifest),
            _ => Err(ManifestError::NotCanonical { at: matches.at }),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Manifest, ManifestError> {
        reader.map(13)?;
        reader.key(0)?;
        let format = reader.unsigned()?;
        if format != u64::from(FORMAT) {
            return Err(ManifestError::UnknownFormat { format });
        }
        reader.key(1)?;
        let mut manifest = Manifest { api: reader.small("interface version")?, ..Manifest::default() };
        reader.key(2)?;
        manifest.name = reader.name("name")?;
        reader.key(3)?;
        reader.array(3, "version")?;
        let mut number = || u16::try_from(reader.unsigned()?).map_err(|_| ManifestError::BadField("version"));
        manifest.version = Version { major: number()?, minor: number()?, patch: number()? };
        reader.key(4)?;
        manifest.publisher = reader.text("publisher")?;
        reader.key(5)?;
        manifest.entry = reader.unsigned()?;
        reader.key(6)?;
        manifest.memory_bytes = reader.small("memory")?;
        reader.key(7)?;
        reader.array(2, "processor time")?;
        (manifest.budget_us, manifest.period_us) = (reader.small("budget")?, reader.small("period")?);
        if manifest.budget_us == 0 || manifest.budget_us > manifest.period_us {
            return Err(ManifestError::BadField("processor time"));
        }
        reader.key(8)?;
        for _ in 0..reader.length(Permission::ALL.len(), || ManifestError::BadField("list of permissions"))? {
            let name = reader.text("permission")?;
            let permission = Permission::from_name(&name).ok_or(ManifestError::UnknownPermission(name))?;
            manifest.permissions = manifest.permissions.with(permission);
        }
        reader.key(9)?;
        for _ in 0..reader.length(MAX_MODELS, || ManifestError::TooManyModels)? {
            let sorted = reader.name("model's name")?;
            if manifest.models.last().is_some_and(|last| *last >= sorted) {
                return Err(ManifestError::BadField("list of models"));
            }
            // There is room: the length was checked.
            let _ = manifest.models.push(sorted);
        }
        reader.key(10)?;
        let restart = reader.unsigned()?;
        let known = Restart::NAMES.get(usize::try_from(restart).unwrap_or(usize::MAX));
        manifest.restart = known.ok_or(ManifestError::BadField("restart policy"))?.0;
        reader.key(11)?;
        reader.array(2, "program")?;
        manifest.program = reader.part()?;
        reader.key(12)?;
        for _ in 0..reader.length(MAX_MODELS, || ManifestError::TooManyModels)? {
            reader.array(3, "bundled model")?;
            let sorted = reader.name("model's name")?;
            if manifest.bundled.last().is_some_and(|(last, _)| *last >= sorted) {
                return Err(ManifestError::BadField("list of bundled models"));
            }
            let part = reader.part()?;
            let _ = manifest.bundled.push((sorted, part));
        }
        Ok(manifest)
    }

    /// Writes the manifest's one encoding. Lists must be sorted.
    ///
    /// # Errors
    /// What `to` answers to a write.
    pub fn encode<W: minicbor::encode::Write>(&self, to: W) -> Result<(), minicbor::encode::Error<W::Error>> {
        let mut encoder = minicbor::Encoder::new(to);
        let version = self.version;
        encoder.map(13)?.u8(0)?.u32(FORMAT)?.u8(1)?.u32(self.api)?.u8(2)?.str(&self.name)?;
        encoder.u8(3)?.array(3)?.u16(version.major)?.u16(version.minor)?.u16(version.patch)?;
        encoder.u8(4)?.str(&self.publisher)?.u8(5)?.u64(self.entry)?.u8(6)?.u32(self.memory_bytes)?;
        encoder.u8(7)?.array(2)?.u32(self.budget_us)?.u32(self.period_us)?;
        encoder.u8(8)?.array(self.permissions.iter().count() as u64)?;
        for permission in self.permissions.iter() {
            encoder.str(permission.name())?;
        }
        encoder.u8(9)?.array(self.models.len() as u64)?;
        for model in &self.models {
            encoder.str(model)?;
        }
        encoder.u8(10)?.u32(self.restart as u32)?;
        encoder.u8(11)?.array(2)?.u32(self.program.bytes)?.bytes(&self.program.digest)?;
        encoder.u8(12)?.array(self.bundled.len() as u64)?;
        for (name, part) in &self.bundled {
            encoder.array(3)?.str(name)?.u32(part.bytes)?.bytes(&part.digest)?;
        }
        Ok(())
    }
}
