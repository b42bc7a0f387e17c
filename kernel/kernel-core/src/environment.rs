//! What the kernel's logic needs from the machine.

use crate::{Fault, Frame, Id, State};

/// The machine as the kernel's logic sees it.
pub trait Environment {
    /// Whether the system calls of Microkit's debug configuration exist.
    const DEBUG: bool;

    /// The `time` register, in ticks.
    fn now(&mut self) -> u64;

    /// Asks for [`crate::Kernel::timer`] to be called once the `time` register reaches `ticks`. Replaces the earlier
    /// request; `u64::MAX` is never.
    fn set_deadline(&mut self, ticks: u64);

    /// Word `word` of the IPC buffer of `pd`; 0 is the tag, 1 the first message register. `word` is below 128.
    fn ipc_word(&self, pd: Id, word: usize) -> u64;

    /// Writes what [`Self::ipc_word`] reads.
    fn set_ipc_word(&mut self, pd: Id, word: usize, value: u64);

    /// Copies `count` words, at least one, from the IPC buffer of `from` to that of `to`, beginning with word `first`.
    /// `first + count` is at most 128.
    fn copy_ipc_words(&mut self, from: Id, to: Id, first: usize, count: usize);

    /// Lets the interrupt controller deliver the source again. Harmless when it was not claimed.
    fn complete_irq(&mut self, source: u32);

    /// Writes one character to the debug console.
    fn put_char(&mut self, character: u8);

    /// The default handler of faults: says what happened to a thread that will not run again.
    fn report_fault(&mut self, pd: Id, frame: &Frame, fault: &Fault);

    /// One line of the list that [`crate::number::DEBUG_DUMP_SCHEDULER`] asks for. `is_out_of_time`: it waits for its
    /// scheduling context to have budget again, or has no context.
    fn report_thread(&mut self, pd: Id, state: State, is_out_of_time: bool, priority: u8);
}
