//! What the accelerator can do: find it, give it commands, hear its answers, reset it.

use core::fmt;

use crate::layout::{Answer, Command, ID, RING_ENTRIES, VERSION, state};
use crate::registers::{Counters, Registers};

/// There is no accelerator of a kind that this driver knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFound {
    /// What it identifies itself as.
    pub id: u32,
    /// Its version.
    pub version: u32,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "npu: no accelerator (id {:#x}, version {}); is the board one with an accelerator?",
            self.id, self.version
        )
    }
}

impl core::error::Error for NotFound {}

/// The ring of commands is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The accelerator's indices are impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonsense;

/// The accelerator.
pub struct Accelerator<R> {
    registers: R,
    given: u32,
    seen: u32,
    reset: u32,
}

impl<R: Registers> Accelerator<R> {
    /// The accelerator behind `registers`. Whatever it was doing for a driver before this one must first be ended by
    /// [`Accelerator::reset`].
    ///
    /// # Errors
    /// If it is not one.
    pub fn find(registers: R) -> Result<Self, NotFound> {
        match registers.identity() {
            (ID, VERSION) => {}
            (id, version) => return Err(NotFound { id, version }),
        }
        let (reset, given) = (registers.reset_done(), registers.given());
        registers.join();
        Ok(Accelerator { registers, given, seen: given, reset })
    }

    /// Asks for a reset, which also empties both rings.
    pub fn reset(&mut self) {
        self.reset = self.reset.wrapping_add(1);
        // After it the accelerator counts on from here. Until then it looks at the number of commands alone, which stays.
        self.seen = self.given;
        self.registers.set_seen(self.seen);
        self.registers.set_reset(self.reset);
        self.registers.ring();
    }

    /// Whether the last reset is done. Until then nothing else is to be asked of it.
    pub fn is_reset(&self) -> bool {
        self.registers.reset_done() == self.reset
    }

    /// Gives a command.
    ///
    /// # Errors
    /// If there are as many commands and answers under way as an entry each has in the rings.
    pub fn give(&mut self, command: &Command) -> Result<(), Full> {
        if self.given.wrapping_sub(self.seen) >= RING_ENTRIES {
            return Err(Full);
        }
        self.registers.put_command((self.given % RING_ENTRIES) as usize, command);
        self.given = self.given.wrapping_add(1);
        self.registers.set_given(self.given);
        self.registers.ring();
        Ok(())
    }

    /// Takes the next answer, if there is one.
    ///
    /// # Errors
    /// If there are more answers than commands.
    pub fn hear(&mut self) -> Result<Option<Answer>, Nonsense> {
        let waiting = self.registers.answered().wrapping_sub(self.seen);
        if waiting > self.given.wrapping_sub(self.seen) {
            return Err(Nonsense);
        }
        if waiting == 0 {
            return Ok(None);
        }
        let answer = self.registers.answer((self.seen % RING_ENTRIES) as usize);
        self.seen = self.seen.wrapping_add(1);
        self.registers.set_seen(self.seen);
        Ok(Some(answer))
    }

    /// Whether it has crashed.
    pub fn has_crashed(&self) -> bool {
        self.registers.state() == state::CRASHED
    }

    /// Takes its interrupt back.
    pub fn acknowledge(&self) {
        self.registers.acknowledge();
    }

    /// Operators that it began.
    pub fn heartbeat(&self) -> u32 {
        self.registers.heartbeat()
    }

    /// The memory that it shares with the system: where that begins, and its bytes.
    pub fn window(&self) -> (u64, u64) {
        self.registers.window()
    }

    /// What it counted.
    pub fn counters(&self) -> Counters {
        self.registers.counters()
    }
}
