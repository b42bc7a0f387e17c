//! The folder that the composer belongs to: boards, and for each configuration a kernel.
//!
//! It has the shape of Microkit's own SDK: `board/BOARD/CONFIG/elf/kernel.elf`, and beside `elf` the board's facts,
//! `board.toml`.

use crate::board::Board;
use crate::description::files::read_bounded;
use crate::error::{Error, Result};
use crate::image::kernel::Kernel;
use std::path::{Path, PathBuf};

/// The variable that names the folder. Otherwise it is the one above the folder of the executable.
pub const VARIABLE: &str = "MICROKIT_SDK";
const MAX_FACTS_BYTES: u64 = 1 << 20;
const MAX_KERNEL_BYTES: u64 = 64 << 20;

/// The folder with the boards.
pub struct Sdk {
    boards: PathBuf,
}

/// A board in a configuration.
pub struct Target {
    /// The board's facts.
    pub board: Board,
    folder: PathBuf,
}

impl Sdk {
    /// Finds the SDK: what the variable [`VARIABLE`] says, or else by the place of the executable.
    ///
    /// Makefiles of Microkit's examples set the variable to an official SDK, for its headers and libraries, whichever
    /// composer they call. It has no boards of this composer, so the place of the executable counts then too.
    pub fn discover() -> Result<Sdk> {
        let named = std::env::var_os(VARIABLE).map(PathBuf::from);
        let executable = std::env::current_exe().ok();
        let own = executable.as_deref().and_then(Path::parent).and_then(Path::parent);
        match (named, own.and_then(|own| Sdk::at(own).ok())) {
            (Some(named), Some(own)) => Sdk::at(&named).map(|named| if named.has_facts() { named } else { own }),
            (Some(named), None) => Sdk::at(&named),
            (None, Some(own)) => Ok(own),
            (None, None) => Err(Error::new(format!("this program lies in no SDK; set {VARIABLE}"))),
        }
    }

    /// Whether a board's facts are here, which an official SDK does not have.
    fn has_facts(&self) -> bool {
        self.boards().iter().any(|board| {
            let configs = self.configs(board);
            configs.iter().any(|config| self.boards.join(board).join(config).join("board.toml").is_file())
        })
    }

    /// The SDK in a folder.
    pub fn at(root: &Path) -> Result<Sdk> {
        let boards = root.join("board");
        if !boards.is_dir() {
            let message = format!("there is no SDK: {} is not a folder; set {VARIABLE}", boards.display());
            return Err(Error::new(message));
        }
        Ok(Sdk { boards })
    }

    /// The names of the boards, sorted.
    pub fn boards(&self) -> Vec<String> {
        folders(&self.boards)
    }

    /// The configurations of a board, sorted.
    pub fn configs(&self, board: &str) -> Vec<String> {
        folders(&self.boards.join(board))
    }

    /// The board of that name or alias.
    pub fn board_named(&self, name: &str) -> Option<String> {
        let boards = self.boards();
        if boards.iter().any(|board| board == name) {
            return Some(name.to_string());
        }
        boards.into_iter().find(|board| {
            let facts = self.configs(board).first().and_then(|config| self.select(board, config).ok());
            facts.is_some_and(|target| target.board.aliases.iter().any(|alias| alias == name))
        })
    }

    /// A board in a configuration. Both must exist.
    pub fn select(&self, board: &str, config: &str) -> Result<Target> {
        let folder = self.boards.join(board).join(config);
        let path = folder.join("board.toml");
        let bytes = read_bounded(&path, MAX_FACTS_BYTES)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::new("this is not text in UTF-8").in_file(&path))?;
        Ok(Target { board: Board::parse(text).map_err(|e| e.in_file(&path))?, folder })
    }
}

impl Target {
    /// The kernel's ELF file: that of the SDK, or another one for debugging the kernel.
    pub fn kernel(&self, other: Option<&Path>) -> Result<Kernel> {
        let own = self.folder.join("elf/kernel.elf");
        let path = other.unwrap_or(&own);
        let file = read_bounded(path, MAX_KERNEL_BYTES)?;
        Kernel::parse(&file, self.board.kernel.kernel_paddr).map_err(|e| e.in_file(path))
    }
}

fn folders(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}
