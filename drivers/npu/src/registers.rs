//! The accelerator's registers.
#![allow(missing_docs, clippy::modulo_one, reason = "the macros make such items")]

use core::mem::offset_of;

use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::registers::{ReadOnly, ReadWrite, WriteOnly};
use tock_registers::{register_bitfields, register_structs};
use zerocopy::{FromBytes, IntoBytes};

use crate::layout::{Answer, CONTROL_BYTES, Command, ENTRY_WORDS, RING_ENTRIES, offset};

register_bitfields! [u32,
    pub Line [
        RAISED OFFSET(0) NUMBITS(1) []
    ],
    pub State [
        STATE OFFSET(0) NUMBITS(32) [
            Starting = 0,
            Idle = 1,
            Busy = 2,
            Crashed = 3
        ]
    ]
];

register_structs! {
    /// The control page; [`crate::layout::offset`] says what each register is.
    pub Block {
        (0x000 => id: ReadOnly<u32>),
        (0x004 => version: ReadOnly<u32>),
        (0x008 => state: ReadOnly<u32, State::Register>),
        (0x00c => reset_done: ReadOnly<u32>),
        (0x010 => heartbeat: ReadOnly<u32>),
        (0x014 => error_cause: ReadOnly<u32>),
        (0x018 => error_pc: ReadOnly<u64>),
        (0x020 => error_value: ReadOnly<u64>),
        (0x028 => crashes: ReadOnly<u32>),
        (0x02c => jobs: ReadOnly<u32>),
        (0x030 => busy_ticks: ReadOnly<u64>),
        (0x038 => instructions: ReadOnly<u64>),
        (0x040 => taken: ReadOnly<u32>),
        (0x044 => answered: ReadOnly<u32>),
        (0x048 => window: ReadOnly<u64>),
        (0x050 => window_bytes: ReadOnly<u64>),
        (0x058 => _reserved0),
        (0x080 => reset: WriteOnly<u32>),
        (0x084 => given: ReadWrite<u32>),
        (0x088 => seen: ReadWrite<u32>),
        (0x08c => joined: WriteOnly<u32>),
        (0x090 => _reserved1),
        (0x400 => commands: [[ReadWrite<u32>; ENTRY_WORDS]; RING_ENTRIES as usize]),
        (0x800 => answers: [[ReadOnly<u32>; ENTRY_WORDS]; RING_ENTRIES as usize]),
        (0xc00 => _reserved2),
        (0x1000 => @END),
    }
}

register_structs! {
    /// An edu device's registers (QEMU docs/specs/edu), used for its interrupt alone.
    pub LineBlock {
        (0x00 => _reserved0),
        (0x60 => raise: WriteOnly<u32, Line::Register>),
        (0x64 => acknowledge: WriteOnly<u32, Line::Register>),
        (0x68 => @END),
    }
}

// The firmware has the same registers as plain offsets.
const _: () = {
    assert!(size_of::<Block>() == CONTROL_BYTES);
    assert!(offset_of!(Block, id) == offset::ID);
    assert!(offset_of!(Block, version) == offset::VERSION);
    assert!(offset_of!(Block, state) == offset::STATE);
    assert!(offset_of!(Block, reset_done) == offset::RESET_DONE);
    assert!(offset_of!(Block, heartbeat) == offset::HEARTBEAT);
    assert!(offset_of!(Block, error_cause) == offset::ERROR_CAUSE);
    assert!(offset_of!(Block, error_pc) == offset::ERROR_PC);
    assert!(offset_of!(Block, error_value) == offset::ERROR_VALUE);
    assert!(offset_of!(Block, crashes) == offset::CRASHES);
    assert!(offset_of!(Block, jobs) == offset::JOBS);
    assert!(offset_of!(Block, busy_ticks) == offset::BUSY_TICKS);
    assert!(offset_of!(Block, instructions) == offset::INSTRUCTIONS);
    assert!(offset_of!(Block, taken) == offset::TAKEN);
    assert!(offset_of!(Block, answered) == offset::ANSWERED);
    assert!(offset_of!(Block, window) == offset::WINDOW);
    assert!(offset_of!(Block, window_bytes) == offset::WINDOW_BYTES);
    assert!(offset_of!(Block, reset) == offset::RESET);
    assert!(offset_of!(Block, given) == offset::GIVEN);
    assert!(offset_of!(Block, seen) == offset::SEEN);
    assert!(offset_of!(Block, joined) == offset::JOINED);
    assert!(offset_of!(Block, commands) == offset::COMMANDS);
    assert!(offset_of!(Block, answers) == offset::ANSWERS);
};

/// Counters and the error registers, read at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Operators begun.
    pub heartbeat: u32,
    /// Crashes since power-on.
    pub crashes: u32,
    /// Jobs answered since power-on.
    pub jobs: u32,
    /// Ticks spent in jobs since power-on.
    pub busy_ticks: u64,
    /// Instructions spent in jobs since power-on.
    pub instructions: u64,
    /// Cause of the last crash.
    pub error_cause: u32,
    /// Where it was.
    pub error_pc: u64,
    /// Which address it was about.
    pub error_value: u64,
}

/// The accesses that the driver makes: the interface behind which another accelerator can take this one's place. Tests have
/// a device of their own behind it.
pub trait Registers {
    /// Identification and version.
    fn identity(&self) -> (u32, u32);
    /// One of [`crate::layout::state`].
    fn state(&self) -> u32;
    /// The last reset obeyed.
    fn reset_done(&self) -> u32;
    /// Commands taken.
    fn taken(&self) -> u32;
    /// Answers given.
    fn answered(&self) -> u32;
    /// What was counted.
    fn counters(&self) -> Counters;
    /// Operators begun.
    fn heartbeat(&self) -> u32;
    /// Where the memory that it shares with the system begins, and its bytes.
    fn window(&self) -> (u64, u64);
    /// How many commands this driver, or the one before it, has given.
    fn given(&self) -> u32;
    /// Asks for a reset.
    fn set_reset(&self, value: u32);
    /// Says how many commands there are.
    fn set_given(&self, value: u32);
    /// Says how many answers were seen.
    fn set_seen(&self, value: u32);
    /// Says that a driver is there.
    fn join(&self);
    /// Writes a command at a place of its ring.
    fn put_command(&self, place: usize, command: &Command);
    /// Reads the answer at a place of its ring.
    fn answer(&self, place: usize) -> Answer;
    /// Wakes the accelerator; everything written before is visible to it.
    fn ring(&self);
    /// Takes its interrupt back; everything it wrote before is then visible.
    fn acknowledge(&self);
}

/// The device: its control page and its two interrupt lines.
#[derive(Clone, Copy)]
pub struct Device<'d> {
    /// The control page.
    pub block: &'d Block,
    /// The line to the accelerator.
    pub doorbell: &'d LineBlock,
    /// The line from it.
    pub completion: &'d LineBlock,
}

/// Orders accesses to memory that the accelerator shares. Orders between memory and the doorbell come with it: the
/// system maps both uncached.
fn fence() {
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
}

impl Registers for Device<'_> {
    fn identity(&self) -> (u32, u32) {
        (self.block.id.get(), self.block.version.get())
    }

    fn state(&self) -> u32 {
        self.block.state.get()
    }

    fn reset_done(&self) -> u32 {
        let value = self.block.reset_done.get();
        fence();
        value
    }

    fn taken(&self) -> u32 {
        self.block.taken.get()
    }

    fn answered(&self) -> u32 {
        let value = self.block.answered.get();
        fence();
        value
    }

    fn counters(&self) -> Counters {
        Counters {
            heartbeat: self.block.heartbeat.get(),
            crashes: self.block.crashes.get(),
            jobs: self.block.jobs.get(),
            busy_ticks: self.block.busy_ticks.get(),
            instructions: self.block.instructions.get(),
            error_cause: self.block.error_cause.get(),
            error_pc: self.block.error_pc.get(),
            error_value: self.block.error_value.get(),
        }
    }

    fn heartbeat(&self) -> u32 {
        self.block.heartbeat.get()
    }

    fn window(&self) -> (u64, u64) {
        (self.block.window.get(), self.block.window_bytes.get())
    }

    fn given(&self) -> u32 {
        self.block.given.get()
    }

    fn set_reset(&self, value: u32) {
        fence();
        self.block.reset.set(value);
    }

    fn set_given(&self, value: u32) {
        fence();
        self.block.given.set(value);
    }

    fn set_seen(&self, value: u32) {
        fence();
        self.block.seen.set(value);
    }

    fn join(&self) {
        self.block.joined.set(1);
    }

    fn put_command(&self, place: usize, command: &Command) {
        let Some(target) = self.block.commands.get(place) else { return };
        for (register, word) in target.iter().zip(command.as_bytes().as_chunks::<4>().0) {
            register.set(u32::from_le_bytes(*word));
        }
    }

    fn answer(&self, place: usize) -> Answer {
        let mut words = [0u32; ENTRY_WORDS];
        if let Some(source) = self.block.answers.get(place) {
            for (word, register) in words.iter_mut().zip(source) {
                *word = register.get();
            }
        }
        Answer::read_from_bytes(words.as_bytes()).unwrap_or_default()
    }

    fn ring(&self) {
        fence();
        self.doorbell.raise.write(Line::RAISED::SET);
    }

    fn acknowledge(&self) {
        self.completion.acknowledge.write(Line::RAISED::SET);
        fence();
    }
}
