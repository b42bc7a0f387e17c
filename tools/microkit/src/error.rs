//! The one error of the composer: a message, and where in which file it arose.

use crate::model::Location;
use std::fmt;
use std::path::{Path, PathBuf};

/// Why a system is refused. The message names the offending value and says what would be valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    message: String,
    file: Option<PathBuf>,
    location: Option<Location>,
}

/// What every step of the composer returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of the system as a whole.
    pub fn new(message: impl Into<String>) -> Error {
        Error { message: message.into(), file: None, location: None }
    }

    /// An error at an element of the description. The file is added by [`Error::in_file`].
    pub fn at(location: Location, message: impl Into<String>) -> Error {
        Error { message: message.into(), file: None, location: Some(location) }
    }

    /// Names the file, if none is named yet.
    pub fn in_file(mut self, file: &Path) -> Error {
        self.file.get_or_insert_with(|| file.to_path_buf());
        self
    }

    /// Where in the description it arose, when one element is to blame.
    pub fn location(&self) -> Option<Location> {
        self.location
    }

    /// The message without file and position.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The whole line, with a word for how bad it is.
    pub fn labelled(&self, label: &str) -> String {
        let file = self.file.as_ref().map(|file| format!("{}:", file.display())).unwrap_or_default();
        let position = self.location.map(|Location { line, column }| format!("{line}:{column}:")).unwrap_or_default();
        let space = if file.is_empty() && position.is_empty() { "" } else { " " };
        format!("{file}{position}{space}{label}: {}", self.message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.labelled("error"))
    }
}

impl std::error::Error for Error {}
