//! Finding and reading the files that a description names.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The folders in which program images and prefill files are looked for, in order.
#[derive(Clone, Debug, Default)]
pub struct SearchPath {
    /// The folders.
    pub folders: Vec<PathBuf>,
}

impl SearchPath {
    /// The first file of that name.
    pub fn find(&self, path: &Path) -> Result<PathBuf> {
        self.folders.iter().map(|folder| folder.join(path)).find(|candidate| candidate.exists()).ok_or_else(|| {
            let folders: Vec<String> = self.folders.iter().map(|folder| folder.display().to_string()).collect();
            Error::new(format!("there is no such file in {}", folders.join(", ")))
        })
    }
}

/// Reads a regular file of at most `limit` bytes.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let describe = |e: std::io::Error| Error::new(format!("cannot read {}: {e}", path.display()));
    // Looked at before it is opened: opening a pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(describe)?.is_file() {
        return Err(Error::new(format!("{} is not a regular file", path.display())));
    }
    let file = File::open(path).map_err(describe)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(describe)?;
    if bytes.len() as u64 > limit {
        return Err(Error::new(format!("{} is longer than {limit} bytes", path.display())));
    }
    Ok(bytes)
}
