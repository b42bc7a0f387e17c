//! `boards/NAME/board.toml`: the facts of a board, and finding it by name or alias.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::xml::parse_number;

/// The part of `board.toml` that host commands use. The tables `[kernel]` and below it are the composer's.
#[derive(Debug, Deserialize)]
pub struct Board {
    /// The name, equal to that of its folder.
    pub name: String,
    /// Further names that users may know it by.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// One line about it.
    pub description: String,
    /// The board that this one is, but for the devices that are left out of it: `[kernel]`, `[emulator]` and `[devices]` are
    /// that one's. A system is composed for that board's kernel.
    pub like: Option<String>,
    /// With `like`: the devices that this board has of that one's.
    #[serde(default)]
    pub keep: Vec<String>,
    /// The clock and other facts that the system table passes on.
    #[serde(default)]
    pub kernel: KernelFacts,
    /// Device name → key → value.
    #[serde(default)]
    pub devices: BTreeMap<String, BTreeMap<String, toml::Value>>,
    /// How to emulate it; absent for hardware.
    pub emulator: Option<Emulator>,
}

/// What the host commands need of `[kernel]`.
#[derive(Debug, Default, Deserialize)]
pub struct KernelFacts {
    /// Ticks per second of the `time` register.
    pub timebase_hz: u64,
    /// Where an image without a header of its own is loaded.
    #[serde(default)]
    pub kernel_paddr: u64,
}

/// `[emulator]`: command lines in parts; `{image}` stands for the image.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Emulator {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Arguments that make instruction counts exact and runs repeatable.
    #[serde(default)]
    pub exact: Vec<String>,
    /// Arguments that add the accelerator; `{npu}` stands for its firmware.
    #[serde(default)]
    pub accelerator: Vec<String>,
    /// Arguments that attach a disk; `{disk}` stands for its image.
    #[serde(default)]
    pub disk: Vec<String>,
    /// Arguments that give it something to hear; `{clip}` stands for the file.
    #[serde(default)]
    pub clip: Vec<String>,
    /// Arguments that add the line to the root of trust; `{rot}` stands for what is at its other end.
    #[serde(default)]
    pub root_of_trust: Vec<String>,
    /// Arguments that make it wait for a debugger.
    #[serde(default)]
    pub debugger: Vec<String>,
}

/// Why there is no board.
#[derive(Debug)]
pub enum BoardError {
    /// No folder below `boards/` has this name or alias.
    Unknown { wanted: String, known: Vec<String> },
    /// `board.toml` cannot be read.
    Unreadable { path: PathBuf, why: std::io::Error },
    /// `board.toml` is not what it should be.
    Malformed { path: PathBuf, why: String },
}

impl fmt::Display for BoardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BoardError::Unknown { wanted, known } => {
                write!(f, "no board is called '{wanted}'; there are: {}", known.join(", "))
            }
            BoardError::Unreadable { path, why } => write!(f, "{}: {why}", path.display()),
            BoardError::Malformed { path, why } => write!(f, "{}: {}", path.display(), why.trim_end()),
        }
    }
}

impl std::error::Error for BoardError {}

impl Board {
    /// The board called `wanted`, by its name or an alias, among the folders in `boards`.
    pub fn find(boards: &Path, wanted: &str) -> Result<Board, BoardError> {
        let unreadable = |path: &Path| {
            let path = path.to_path_buf();
            move |why| BoardError::Unreadable { path, why }
        };
        let mut known = Vec::new();
        for entry in fs::read_dir(boards).map_err(unreadable(boards))? {
            let path = entry.map_err(unreadable(boards))?.path().join("board.toml");
            if !path.is_file() {
                continue;
            }
            let board = Board::load(&path)?;
            if board.name == wanted || board.aliases.iter().any(|alias| alias == wanted) {
                return Ok(board);
            }
            known.push(board.name);
        }
        known.sort();
        Err(BoardError::Unknown { wanted: wanted.to_owned(), known })
    }

    /// Reads one `board.toml`, and that of the board it is like.
    pub fn load(path: &Path) -> Result<Board, BoardError> {
        let malformed = |why: String| BoardError::Malformed { path: path.to_path_buf(), why };
        let board = Board::read(path)?;
        match &board.like {
            Some(like) => {
                let boards = path.parent().and_then(Path::parent).unwrap_or(Path::new("."));
                let full = Board::read(&boards.join(like).join("board.toml"))?;
                board.made_like(full).map_err(malformed)
            }
            None if board.kernel.timebase_hz == 0 => Err(malformed("[kernel] lacks timebase_hz".into())),
            None => Ok(board),
        }
    }

    /// This board, with what it has of the `full` one that it is like.
    fn made_like(mut self, full: Board) -> Result<Board, String> {
        if !self.devices.is_empty() || self.emulator.is_some() || self.kernel.timebase_hz != 0 {
            return Err(format!("[kernel], [devices] and [emulator] are those of board {}", full.name));
        }
        if full.like.is_some() {
            return Err(format!("board {} is itself like another one", full.name));
        }
        if let Some(unknown) = self.keep.iter().find(|device| !full.devices.contains_key(*device)) {
            return Err(format!("keep: board {} has no device '{unknown}'", full.name));
        }
        self.devices = full.devices.into_iter().filter(|(device, _)| self.keep.contains(device)).collect();
        (self.kernel, self.emulator) = (full.kernel, full.emulator);
        Ok(self)
    }

    fn read(path: &Path) -> Result<Board, BoardError> {
        let text = fs::read_to_string(path).map_err(|why| BoardError::Unreadable { path: path.to_path_buf(), why })?;
        toml::from_str(&text).map_err(|why| BoardError::Malformed { path: path.to_path_buf(), why: why.to_string() })
    }

    /// The number `device.key`.
    pub fn number(&self, device: &str, key: &str) -> Result<u64, String> {
        let text = self.value(device, key)?;
        parse_number(&text).ok_or_else(|| format!("{device}.{key} of board {} is not a number", self.name))
    }

    /// The text of `${device.key}`: numbers as Microkit descriptions write them.
    pub fn value(&self, device: &str, key: &str) -> Result<String, String> {
        let keys = self.devices.get(device).ok_or_else(|| {
            let known: Vec<_> = self.devices.keys().map(String::as_str).collect();
            format!("board {} has no device '{device}'; it has: {}", self.name, known.join(", "))
        })?;
        match keys.get(key) {
            // Interrupt numbers and channel ids are read in decimal alone; addresses are easier to read in hexadecimal.
            Some(toml::Value::Integer(number)) if *number >= 0x1000 => Ok(format!("{number:#x}")),
            Some(toml::Value::Integer(number)) => Ok(number.to_string()),
            Some(toml::Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(format!("{device}.{key} of board {} is a {}", self.name, other.type_str())),
            None => {
                let known: Vec<_> = keys.keys().map(String::as_str).collect();
                let known = known.join(", ");
                Err(format!("device {device} of board {} has no '{key}'; it has: {known}", self.name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimal_board_is_the_full_one_without_devices() {
        let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
        let full = Board::find(&boards, "qemu_virt_riscv64").unwrap();
        let minimal = Board::find(&boards, "qemu_virt_riscv64_minimal").unwrap();
        assert_eq!(minimal.kernel.timebase_hz, full.kernel.timebase_hz);
        assert_eq!(minimal.devices.keys().collect::<Vec<_>>(), ["power", "timer", "uart"]);
        assert!(full.devices.contains_key("npu") && minimal.emulator.is_some());
    }

    #[test]
    fn boards_that_are_like_another_say_nothing_twice() {
        let board = |text: &str| toml::from_str::<Board>(&format!("name='n'\ndescription=''\n{text}")).unwrap();
        let full = || board("[kernel]\ntimebase_hz=7\n[devices.x]\nirq=1\n[devices.y]\nirq=2");
        let like = |rest: &str| board(&format!("like='n'\n{rest}"));
        let made = like("keep=['y']").made_like(full()).unwrap();
        assert_eq!((made.kernel.timebase_hz, made.devices.len(), made.number("y", "irq")), (7, 1, Ok(2)));
        let error = |rest: &str| like(rest).made_like(full()).unwrap_err();
        assert_eq!(error("keep=['z']"), "keep: board n has no device 'z'");
        assert!(error("[devices.x]\nirq=1").contains("are those of board n"));
        assert!(like("").made_like(like("")).unwrap_err().contains("itself like another"));
    }
}
