//! Children: protection domains whose faults come here and whose threads are in this one's hands.

use crate::abi::slot;
use crate::caps::{Registers, Tcb};
use crate::invoke::InvocationError;

/// A child protection domain, by its id in the system description.
///
/// The methods other than `new` and `index` are additions of this implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Child {
    index: usize,
}

impl Child {
    /// The child with this id.
    #[inline(always)]
    pub const fn new(index: usize) -> Self {
        Self { index }
    }

    /// The id.
    #[inline(always)]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// The child's thread.
    #[inline(always)]
    pub const fn tcb(&self) -> Tcb {
        Tcb::from_cptr(slot::BASE_CHILD_TCB + self.index as u64)
    }

    /// Stops the child wherever it is. A call it is in ends without a reply to it.
    ///
    /// # Errors
    /// When the kernel refuses: there is no such child.
    #[inline]
    pub fn stop(&self) -> Result<(), InvocationError> {
        self.tcb().suspend()
    }

    /// Lets a stopped child go on. A system call that the stop interrupted is issued again.
    ///
    /// # Errors
    /// As [`Child::stop`].
    #[inline]
    pub fn resume(&self) -> Result<(), InvocationError> {
        self.tcb().resume()
    }

    /// Starts the child at `entry`, with its other registers as they are. Protection domains of this runtime begin anew
    /// when they are started at [`ENTRY`](crate::ENTRY): stack pointer, `.data` and `.bss` are as at first boot.
    ///
    /// # Errors
    /// As [`Child::stop`].
    #[inline]
    pub fn restart(&self, entry: u64) -> Result<(), InvocationError> {
        self.tcb().write_pc(entry)
    }

    /// Writes the first `count` registers of the child, in the order of [`Registers`], and lets it run if `resume`.
    ///
    /// # Errors
    /// As [`Child::stop`].
    pub fn write_registers(&self, registers: &Registers, count: usize, resume: bool) -> Result<(), InvocationError> {
        self.tcb().write_registers(registers, count, resume)
    }

    /// Reads all registers of the child, which is stopped first if `suspend`. This overwrites the message registers, so
    /// a fault's message must have been read before.
    ///
    /// # Errors
    /// As [`Child::stop`].
    pub fn read_registers(&self, suspend: bool) -> Result<Registers, InvocationError> {
        self.tcb().read_registers(suspend)
    }
}
