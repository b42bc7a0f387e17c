//! The control page, as driver and firmware share it. All numbers are little-endian.
//!
//! Registers that the accelerator writes come first, then those that the driver writes, then the two rings. Counters of
//! rings run freely; an entry's place is its counter modulo [`RING_ENTRIES`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Value of [`offset::ID`].
pub const ID: u32 = u32::from_le_bytes(*b"KNPU");
/// Value of [`offset::VERSION`].
pub const VERSION: u32 = 2;
/// Entries of each ring.
pub const RING_ENTRIES: u32 = 16;
/// Bytes of the control page.
pub const CONTROL_BYTES: usize = 4096;

/// Where the registers lie.
pub mod offset {
    /// Read: [`super::ID`], written last when the firmware starts.
    pub const ID: usize = 0x00;
    /// Read: [`super::VERSION`].
    pub const VERSION: usize = 0x04;
    /// Read: one of [`super::state`].
    pub const STATE: usize = 0x08;
    /// Read: the last value of [`RESET`] that was obeyed.
    pub const RESET_DONE: usize = 0x0c;
    /// Read: counts operators that were begun; it stands still when a job hangs.
    pub const HEARTBEAT: usize = 0x10;
    /// Read: cause of the last crash (the hart's `mcause`), 0 if there was none.
    pub const ERROR_CAUSE: usize = 0x14;
    /// Read: where it was (`mepc`).
    pub const ERROR_PC: usize = 0x18;
    /// Read: which address or instruction (`mtval`).
    pub const ERROR_VALUE: usize = 0x20;
    /// Read: crashes since power-on.
    pub const CRASHES: usize = 0x28;
    /// Read: jobs that were answered since power-on.
    pub const JOBS: usize = 0x2c;
    /// Read: ticks of the clock spent in jobs since power-on.
    pub const BUSY_TICKS: usize = 0x30;
    /// Read: instructions spent in jobs since power-on.
    pub const INSTRUCTIONS: usize = 0x38;
    /// Read: commands taken.
    pub const TAKEN: usize = 0x40;
    /// Read: answers given.
    pub const ANSWERED: usize = 0x44;
    /// Read: physical address of the memory that the accelerator shares with the system.
    pub const WINDOW: usize = 0x48;
    /// Read: its bytes.
    pub const WINDOW_BYTES: usize = 0x50;

    /// Write: a new value, and the doorbell, reset the accelerator, whatever it is doing.
    pub const RESET: usize = 0x80;
    /// Write: commands given.
    pub const GIVEN: usize = 0x84;
    /// Write: answers seen.
    pub const SEEN: usize = 0x88;
    /// Write: 1 when a driver has found the accelerator and will ring the doorbell.
    pub const JOINED: usize = 0x8c;

    /// Commands, written by the driver.
    pub const COMMANDS: usize = 0x400;
    /// Answers, written by the accelerator.
    pub const ANSWERS: usize = 0x800;
}

/// Values of [`offset::STATE`].
pub mod state {
    /// Not yet ready.
    pub const STARTING: u32 = 0;
    /// Waits for commands.
    pub const IDLE: u32 = 1;
    /// Runs a job.
    pub const BUSY: u32 = 2;
    /// Crashed, and waits for a reset.
    pub const CRASHED: u32 = 3;
}

/// Values of [`Command::operation`].
pub mod operation {
    /// Runs a model.
    pub const RUN: u32 = 1;
    /// Provokes a fault, so that one can see that the system lives on; [`super::provoke`] in [`super::Command::model_at`].
    pub const PROVOKE: u32 = 2;
}

/// Faults to provoke.
pub mod provoke {
    /// Never ends.
    pub const HANG: u32 = 1;
    /// Reads memory outside the window.
    pub const CRASH: u32 = 2;
    /// Answers with another job's number.
    pub const NONSENSE: u32 = 3;
}

/// Values of [`Answer::status`].
pub mod status {
    /// The output is complete.
    pub const DONE: u32 = 0;
    /// The command names an operation that does not exist, or memory outside the shared part of the window, or parts that
    /// overlap or are not aligned.
    pub const BAD_COMMAND: u32 = 1;
    /// The bytes are not a model that the runtime can run.
    pub const BAD_MODEL: u32 = 2;
    /// The arena is too small; [`super::Answer::detail`] has the bytes that are needed.
    pub const SMALL_ARENA: u32 = 3;
    /// Input or output have other sizes than the model's.
    pub const BAD_BUFFER: u32 = 4;
    /// The model's bytes changed while it ran.
    pub const MODEL_CHANGED: u32 = 5;
}

/// A job. Places are offsets in the shared part of the window, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Command {
    /// Number of the job, chosen by the driver; the answer repeats it.
    pub job: u64,
    /// One of [`operation`].
    pub operation: u32,
    /// Where the model's file lies, aligned to 16.
    pub model_at: u32,
    /// Its bytes.
    pub model_bytes: u32,
    /// Where the arena lies, aligned to 16.
    pub arena_at: u32,
    /// Its bytes.
    pub arena_bytes: u32,
    /// Where the input lies.
    pub input_at: u32,
    /// Its bytes.
    pub input_bytes: u32,
    /// Where the output goes.
    pub output_at: u32,
    /// Its bytes.
    pub output_bytes: u32,
    /// Always 0.
    pub reserved: [u32; 5],
}

/// How a job ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Answer {
    /// The job's number.
    pub job: u64,
    /// One of [`status`].
    pub status: u32,
    /// What the status says of it.
    pub detail: u32,
    /// Ticks of the clock it took.
    pub ticks: u64,
    /// The accelerator's instructions it took.
    pub instructions: u64,
    /// Multiply-accumulates of the model.
    pub macs: u64,
    /// Operators of the model, and how many of them ran on the vector kernels.
    pub operators: u32,
    /// See there.
    pub vector_operators: u32,
    /// Bytes of tensors moved without computing anything.
    pub bytes_copied: u64,
    /// Its instructions, but a vector instruction counts as often as there are vector registers that it works on.
    pub vector_work: u64,
}

/// Bytes of an entry of either ring.
pub const ENTRY_BYTES: usize = 64;
/// Words of 32 bits of an entry.
pub const ENTRY_WORDS: usize = ENTRY_BYTES / 4;

const _: () = assert!(size_of::<Command>() == ENTRY_BYTES && size_of::<Answer>() == ENTRY_BYTES);
const _: () = assert!(offset::COMMANDS + RING_ENTRIES as usize * ENTRY_BYTES <= offset::ANSWERS);
const _: () = assert!(offset::ANSWERS + RING_ENTRIES as usize * ENTRY_BYTES <= CONTROL_BYTES);

/// Whether a command's parts lie in a shared memory of `bytes` bytes, aligned, and apart from each other where one of them
/// is written.
pub fn command_fits(command: &Command, bytes: usize) -> bool {
    let Command {
        model_at, model_bytes, arena_at, arena_bytes, input_at, input_bytes, output_at, output_bytes, ..
    } = *command;
    let spans = [(model_at, model_bytes), (input_at, input_bytes), (arena_at, arena_bytes), (output_at, output_bytes)]
        .map(|(at, bytes)| (u64::from(at), u64::from(at) + u64::from(bytes)));
    let apart = |a: usize, b: usize| spans[a].1 <= spans[b].0 || spans[b].1 <= spans[a].0;
    spans.iter().all(|(_, end)| *end <= bytes as u64)
        && model_at.is_multiple_of(16)
        && arena_at.is_multiple_of(16)
        // The arena and the output are written.
        && [(2, 0), (2, 1), (2, 3), (3, 0), (3, 1)].iter().all(|(a, b)| apart(*a, *b))
}
