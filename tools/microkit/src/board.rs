//! What the composer knows of a board: the table `[kernel]` of its `board.toml`.

use crate::error::{Error, Result};
use serde::Deserialize;
use std::ops::Range;

/// A board.
#[derive(Clone, Debug, Deserialize)]
pub struct Board {
    /// Name on the command line.
    pub name: String,
    /// Other names that are accepted.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What the kernel must know.
    pub kernel: KernelFacts,
}

/// Facts of the board that the kernel and the composer need. Addresses are physical, lengths in bytes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelFacts {
    /// Start of the managed RAM.
    pub ram_base: u64,
    /// Length of the managed RAM.
    pub ram_bytes: u64,
    /// The firmware keeps this much at the start of the RAM.
    pub firmware_bytes: u64,
    /// Where the kernel image lies.
    pub kernel_paddr: u64,
    /// The interrupt controller's registers.
    pub plic_base: u64,
    /// Their length.
    pub plic_bytes: u64,
    /// Interrupt sources are 1..=this.
    pub plic_sources: u32,
    /// The interrupt controller's context of the boot hart in S-mode.
    pub plic_context: u32,
    /// Ticks per second of the `time` register.
    pub timebase_hz: u64,
    /// RAM where the loader leaves data for the firmware. Systems can use it, but a loader of ELFs would refuse to load
    /// anything there, so it is the kernel's boot code that fills it.
    #[serde(default)]
    pub loader_data: Option<Reserved>,
    /// Device memory that belongs to the kernel or the firmware; no PD may map it.
    pub reserved: Vec<Reserved>,
}

/// A reserved range of device memory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reserved {
    /// What lies there.
    pub name: String,
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
}

impl Board {
    /// Reads the text of a `board.toml`.
    pub fn parse(text: &str) -> Result<Board> {
        let board: Board =
            toml::from_str(text).map_err(|e| Error::new(format!("not a description of a board: {e}")))?;
        let facts = &board.kernel;
        let ram_end = facts.ram_base.checked_add(facts.ram_bytes);
        if ram_end.is_none() || facts.firmware_bytes > facts.ram_bytes || facts.timebase_hz == 0 {
            return Err(Error::new("board.toml: [kernel] is inconsistent: RAM, firmware or time base"));
        }
        Ok(board)
    }

    /// The RAM that systems can use: all that is managed, without the firmware's part.
    pub fn ram(&self) -> Range<u64> {
        self.firmware().end..self.kernel.ram_base + self.kernel.ram_bytes
    }

    /// RAM that a loader of ELFs leaves to the kernel's boot code; may be empty.
    pub fn loader_data(&self) -> Range<u64> {
        self.kernel.loader_data.as_ref().map_or(0..0, |data| data.start..data.end)
    }

    /// The part of the RAM that the firmware keeps. It protects itself: to the kernel this is a device that nobody may
    /// touch. A description may have it nevertheless, as with Microkit, and whoever reads it faults.
    pub fn firmware(&self) -> Range<u64> {
        self.kernel.ram_base..self.kernel.ram_base + self.kernel.firmware_bytes
    }
}
