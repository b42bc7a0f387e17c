//! The control page from the accelerator's side.

use npu::layout::{Answer, Command, ENTRY_BYTES, ENTRY_WORDS, ID, RING_ENTRIES, VERSION, offset, state};
use zerocopy::{FromBytes, IntoBytes};

use crate::machine::fence;

/// The control page. The driver may write any of it at any time, so nothing read here is trusted.
pub struct Control {
    base: usize,
}

impl Control {
    /// The page at `base`, which is the board's.
    pub fn new(base: usize) -> Self {
        Control { base }
    }

    fn read(&self, offset: usize) -> u32 {
        // SAFETY: `base` is the control page's address (`npu.ld`) and the offsets lie in it; plain memory.
        unsafe { ((self.base + offset) as *const u32).read_volatile() }
    }

    /// Writes a register.
    pub fn write(&self, offset: usize, value: u32) {
        // SAFETY: as in `read`; nothing of this program lies there.
        unsafe { ((self.base + offset) as *mut u32).write_volatile(value) }
    }

    fn write64(&self, offset: usize, value: u64) {
        self.write(offset, value as u32);
        self.write(offset + 4, (value >> 32) as u32);
    }

    fn add64(&self, offset: usize, value: u64) {
        let old = u64::from(self.read(offset)) | u64::from(self.read(offset + 4)) << 32;
        self.write64(offset, old.wrapping_add(value));
    }

    fn add(&self, offset: usize, value: u32) {
        self.write(offset, self.read(offset).wrapping_add(value));
    }

    /// After power-on or reset: forgets all commands and answers under way. `window` is where the shared memory begins,
    /// and its bytes.
    pub fn start(&self, window: (usize, usize)) {
        self.write(offset::STATE, state::STARTING);
        let reset = self.read(offset::RESET);
        self.write(offset::TAKEN, self.read(offset::GIVEN));
        self.write(offset::ANSWERED, self.read(offset::SEEN));
        self.write(offset::ERROR_CAUSE, 0);
        self.write64(offset::ERROR_PC, 0);
        self.write64(offset::ERROR_VALUE, 0);
        self.write(offset::VERSION, VERSION);
        self.write64(offset::WINDOW, window.0 as u64);
        self.write64(offset::WINDOW_BYTES, window.1 as u64);
        fence();
        self.write(offset::ID, ID);
        self.write(offset::RESET_DONE, reset);
    }

    /// Whether the driver asks for a reset.
    pub fn reset_wanted(&self) -> bool {
        self.read(offset::RESET) != self.read(offset::RESET_DONE)
    }

    /// Whether a driver will ring the doorbell.
    pub fn joined(&self) -> bool {
        self.read(offset::JOINED) != 0
    }

    /// Shows that the accelerator lives.
    pub fn beat(&self) {
        self.add(offset::HEARTBEAT, 1);
    }

    /// Takes the next command.
    pub fn take(&self) -> Option<Command> {
        let taken = self.read(offset::TAKEN);
        if self.read(offset::GIVEN) == taken {
            return None;
        }
        fence();
        let mut words = [0u32; ENTRY_WORDS];
        let at = offset::COMMANDS + (taken % RING_ENTRIES) as usize * ENTRY_BYTES;
        for (index, word) in words.iter_mut().enumerate() {
            *word = self.read(at + 4 * index);
        }
        self.write(offset::TAKEN, taken.wrapping_add(1));
        Command::read_from_bytes(words.as_bytes()).ok()
    }

    /// Gives an answer, and counts it.
    pub fn answer(&self, answer: &Answer) {
        let answered = self.read(offset::ANSWERED);
        let at = offset::ANSWERS + (answered % RING_ENTRIES) as usize * ENTRY_BYTES;
        for (index, word) in answer.as_bytes().chunks_exact(4).enumerate() {
            self.write(at + 4 * index, u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        }
        self.add(offset::JOBS, 1);
        self.add64(offset::BUSY_TICKS, answer.ticks);
        self.add64(offset::INSTRUCTIONS, answer.instructions);
        fence();
        self.write(offset::ANSWERED, answered.wrapping_add(1));
    }

    /// Reports a crash.
    pub fn crashed(&self, cause: u64, pc: u64, value: u64) {
        // Of the cause, which has the width of a register, only the lower bits are used.
        self.write(offset::ERROR_CAUSE, cause as u32);
        self.write64(offset::ERROR_PC, pc);
        self.write64(offset::ERROR_VALUE, value);
        self.add(offset::CRASHES, 1);
        fence();
        self.write(offset::STATE, state::CRASHED);
    }
}
