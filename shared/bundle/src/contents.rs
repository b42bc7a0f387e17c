//! A whole bundle, held against what the device can give.

use app_abi::{API_VERSION, Permissions};

use crate::envelope::Envelope;
use crate::error::{Error, ProgramError};
use crate::manifest::{Manifest, Version};
use crate::program::Program;

/// What a device gives to an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes for writable segments and what the app allocates.
    pub memory_bytes: u64,
    /// Microseconds of processor time in each period.
    pub budget_us: u32,
    /// The period, in microseconds.
    pub period_us: u32,
    /// What it can be allowed to do.
    pub permissions: Permissions,
    /// Whether it may bring models.
    pub accepts_models: bool,
    /// The newest version that was ever installed.
    pub newest: Option<Version>,
}

/// A bundle that is whole, consistent, and fits the device. Who signed it was asked before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle<'a> {
    /// What the app is.
    pub manifest: Manifest,
    /// Where its program goes.
    pub program: Program,
    /// The program's file.
    pub file: &'a [u8],
}

impl<'a> Bundle<'a> {
    /// Reads and checks everything but the signature.
    ///
    /// # Errors
    /// See [`Error`]; those of the signature do not come from here.
    pub fn read(bundle: &'a [u8], limits: &Limits) -> Result<Bundle<'a>, Error> {
        let (_, manifest, parts) = Envelope::read(bundle)?;
        let manifest = Manifest::decode(manifest)?;
        if manifest.api > API_VERSION || manifest.api == 0 {
            return Err(Error::ApiTooNew { needed: manifest.api });
        }
        check_limits(&manifest, limits)?;
        let file = check_parts(&manifest, parts, bundle.len() - parts.len())?;
        let program = Program::read(file)?;
        if program.entry != manifest.entry {
            return Err(ProgramError::BadEntry { entry: program.entry }.into());
        }
        let (wanted, most) = (program.data_bytes(), u64::from(manifest.memory_bytes));
        if wanted > most {
            return Err(Error::TooMuchMemory { wanted, most });
        }
        Ok(Bundle { manifest, program, file })
    }

    /// Reads a bundle that [`Bundle::read`] has accepted and nobody could change since, without computing digests again.
    ///
    /// # Errors
    /// None for such a one; for another, some of what [`Bundle::read`] says.
    pub fn read_again(bundle: &'a [u8]) -> Result<Bundle<'a>, Error> {
        let (_, manifest, parts) = Envelope::read(bundle)?;
        let manifest = Manifest::decode(manifest)?;
        let bytes = manifest.program.bytes as usize;
        let truncated = Error::Truncated { bytes: parts.len(), needed: bytes };
        let file = parts.get(..bytes).ok_or(truncated)?;
        Ok(Bundle { program: Program::read(file)?, manifest, file })
    }
}

fn check_limits(manifest: &Manifest, limits: &Limits) -> Result<(), Error> {
    if let Some(newest) = limits.newest
        && manifest.version < newest
    {
        return Err(Error::OldVersion { version: manifest.version, newest });
    }
    if let Some(missing) = manifest.permissions.iter().find(|wanted| !limits.permissions.contains(*wanted)) {
        return Err(Error::NotOffered(missing.name()));
    }
    let wanted = u64::from(manifest.memory_bytes);
    if wanted > limits.memory_bytes {
        return Err(Error::TooMuchMemory { wanted, most: limits.memory_bytes });
    }
    // Shares of the processor are compared without rounding: wanted / period <= most / of.
    let (wanted, most) = ((manifest.budget_us, manifest.period_us), (limits.budget_us, limits.period_us));
    if u64::from(wanted.0) * u64::from(most.1) > u64::from(most.0) * u64::from(wanted.1) {
        return Err(Error::TooMuchTime { wanted, most });
    }
    if !manifest.bundled.is_empty() && !limits.accepts_models {
        return Err(Error::ModelsNotAccepted);
    }
    Ok(())
}

/// Each part has the length and digest that the manifest says, and nothing follows. Gives the program.
fn check_parts<'a>(manifest: &Manifest, mut parts: &'a [u8], before: usize) -> Result<&'a [u8], Error> {
    let lengths = core::iter::once(manifest.program.bytes).chain(manifest.bundled.iter().map(|(_, part)| part.bytes));
    let whole = lengths.map(|bytes| bytes as usize).fold(0usize, usize::saturating_add);
    if whole > parts.len() {
        return Err(Error::Truncated { bytes: before + parts.len(), needed: before.saturating_add(whole) });
    }
    if whole < parts.len() {
        return Err(Error::TrailingBytes { bytes: parts.len() - whole });
    }
    let (file, rest) = parts.split_at(manifest.program.bytes as usize);
    if !manifest.program.is(file) {
        return Err(Error::ProgramChanged);
    }
    parts = rest;
    for (name, part) in &manifest.bundled {
        let (model, rest) = parts.split_at(part.bytes as usize);
        if !part.is(model) {
            return Err(Error::ModelChanged(name.clone()));
        }
        parts = rest;
    }
    Ok(file)
}
