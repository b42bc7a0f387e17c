//! Threads and scheduling contexts of other protection domains, as `<cspace>` in the system description shares them.
//!
//! This module is an addition of this implementation; the official crate leaves capabilities to its `sel4` crate. It is
//! for supervisors, application managers and tests.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::abi::{label, slot};
use crate::invoke::{InvocationError, invoke, invoke_plain};
use crate::message::{with_msg_regs, with_msg_regs_mut};

/// How many registers [`Registers`] has.
pub const REGISTER_COUNT: usize = 32;

/// A thread's registers, in the order of the kernel's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Registers {
    /// Program counter.
    pub pc: u64,
    /// Return address.
    pub ra: u64,
    /// Stack pointer.
    pub sp: u64,
    /// Global pointer.
    pub gp: u64,
    /// Saved registers `s0..=s11`.
    pub s: [u64; 12],
    /// Argument registers `a0..=a7`.
    pub a: [u64; 8],
    /// Temporary registers `t0..=t6`.
    pub t: [u64; 7],
    /// Thread pointer.
    pub tp: u64,
}

const _: () = assert!(size_of::<Registers>() == REGISTER_COUNT * 8);

/// The capability pointer of a shared capability in `slot` of `<cspace>`, 1..=63.
const fn shared(slot_index: u64) -> u64 {
    assert!(slot_index >= 1 && slot_index <= 63, "shared capabilities lie in slots 1 to 63");
    slot_index << slot::ROOT_SHIFT
}

/// A thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcb {
    cptr: u64,
}

impl Tcb {
    /// The thread behind a capability pointer.
    #[inline(always)]
    pub const fn from_cptr(cptr: u64) -> Self {
        Self { cptr }
    }

    /// The thread that `<cap_tcb slot="…">` shares.
    ///
    /// # Panics
    /// When the slot is not one of 1..=63.
    pub const fn from_slot(slot: u64) -> Self {
        Self { cptr: shared(slot) }
    }

    /// Stops the thread wherever it is.
    ///
    /// # Errors
    /// When the kernel refuses: the capability is not a thread's.
    #[inline]
    pub fn suspend(&self) -> Result<(), InvocationError> {
        invoke_plain(self.cptr, label::TCB_SUSPEND).map(drop)
    }

    /// Lets the thread run. What it was blocked in is issued again.
    ///
    /// # Errors
    /// As [`Tcb::suspend`].
    #[inline]
    pub fn resume(&self) -> Result<(), InvocationError> {
        invoke_plain(self.cptr, label::TCB_RESUME).map(drop)
    }

    /// Sets the program counter and lets the thread run.
    #[inline]
    pub(crate) fn write_pc(&self, pc: u64) -> Result<(), InvocationError> {
        const RESUME: u64 = 1;
        invoke(self.cptr, label::TCB_WRITE_REGISTERS, 0, 3, [RESUME, 1, pc, 0]).map(drop)
    }

    /// Writes the first `count` registers, and lets the thread run if `resume`.
    ///
    /// # Errors
    /// As [`Tcb::suspend`].
    ///
    /// # Panics
    /// When `count` is above [`REGISTER_COUNT`].
    pub fn write_registers(&self, registers: &Registers, count: usize, resume: bool) -> Result<(), InvocationError> {
        assert!(count <= REGISTER_COUNT, "a thread has 32 registers");
        let words: [u64; REGISTER_COUNT] = zerocopy::transmute!(*registers);
        with_msg_regs_mut(|message| message[2..2 + count].copy_from_slice(&words[..count]));
        let fast = [u64::from(resume), count as u64, words[0], words[1]];
        invoke(self.cptr, label::TCB_WRITE_REGISTERS, 0, 2 + count as u64, fast).map(drop)
    }

    /// Reads all registers; the thread is stopped first if `suspend`. Overwrites the message registers.
    ///
    /// # Errors
    /// As [`Tcb::suspend`].
    pub fn read_registers(&self, suspend: bool) -> Result<Registers, InvocationError> {
        let request = [u64::from(suspend), REGISTER_COUNT as u64, 0, 0];
        let fast = invoke(self.cptr, label::TCB_READ_REGISTERS, 0, 2, request)?;
        let mut words = [0; REGISTER_COUNT];
        with_msg_regs(|message| words.copy_from_slice(&message[..REGISTER_COUNT]));
        words[..4].copy_from_slice(&fast);
        Ok(zerocopy::transmute!(words))
    }
}

/// A scheduling context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchedContext {
    cptr: u64,
}

impl SchedContext {
    /// The scheduling context behind a capability pointer.
    #[inline(always)]
    pub const fn from_cptr(cptr: u64) -> Self {
        Self { cptr }
    }

    /// The scheduling context that `<cap_sc slot="…">` shares.
    ///
    /// # Panics
    /// When the slot is not one of 1..=63.
    pub const fn from_slot(slot: u64) -> Self {
        Self { cptr: shared(slot) }
    }

    /// Processor time spent on this scheduling context since the last time this was asked, in microseconds.
    ///
    /// # Errors
    /// When the kernel refuses: the capability is not a scheduling context's.
    pub fn consumed_us(&self) -> Result<u64, InvocationError> {
        invoke_plain(self.cptr, label::SCHED_CONTEXT_CONSUMED).map(|registers| registers[0])
    }

    /// Gives the scheduling context to a thread that has none.
    ///
    /// # Errors
    /// When either already is bound, or the capabilities are of other kinds.
    pub fn bind(&self, tcb: Tcb) -> Result<(), InvocationError> {
        crate::ipc_buffer::set_extra_cap(tcb.cptr);
        invoke(self.cptr, label::SCHED_CONTEXT_BIND, 1, 0, [0; 4]).map(drop)
    }

    /// Takes the scheduling context from whatever has it: that thread cannot run any more.
    ///
    /// # Errors
    /// As [`SchedContext::consumed_us`].
    pub fn unbind(&self) -> Result<(), InvocationError> {
        invoke_plain(self.cptr, label::SCHED_CONTEXT_UNBIND).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_slots_are_the_highest_bits() {
        assert_eq!(Tcb::from_slot(1).cptr, 0x0400_0000_0000_0000);
        assert_eq!(SchedContext::from_slot(63).cptr, 0xfc00_0000_0000_0000);
    }

    #[test]
    #[should_panic(expected = "slots 1 to 63")]
    fn slot_0_is_not_shared() {
        Tcb::from_slot(0);
    }
}
