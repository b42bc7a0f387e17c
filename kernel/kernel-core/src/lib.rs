//! The pure logic of the built-in kernel: scheduling, budgets, IPC, capabilities.
//!
//! Principles, in the order in which they win:
//!
//! 1. A protection domain (PD) harms nobody but itself: whatever it passes in registers or in its IPC buffer ends in an
//!    error, in its own fault, or in nothing. There is no panic that a PD can reach.
//! 2. All objects exist from the start, one of each kind for a PD, in arrays of a fixed size. Nothing is allocated.
//!    An [`Id`] is masked to the size of those arrays, so that indexing can neither fail nor needs a check.
//! 3. What a PD observes is what seL4's MCS kernel with Microkit shows it, except that capabilities carry no right that
//!    a correct PD would not use.
//! 4. Everything is bounded: the longest loops run over the PDs of one queue, or over the words of one message.
//! 5. Time is read only where it decides something: a system call that switches no scheduling context never looks.
//!
//! The crate knows no machine. What it needs from one, it asks of an [`Environment`]; the host's tests are another.
//! The machine layer enters by [`Kernel::syscall`], [`Kernel::exception`], [`Kernel::interrupt`] and [`Kernel::timer`],
//! and then runs [`Kernel::current`]. For what happens all the time there are short ways ([`Kernel::fast_call`] and its
//! like), which do the same or nothing.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod boot;
mod budget;
mod debug;
mod environment;
mod fast;
mod fault;
mod invoke;
mod ipc;
mod kernel;
mod message;
mod objects;
mod queue;
mod schedule;
mod syscall;
#[cfg(test)]
mod tests;

pub use boot::BootError;
pub use environment::Environment;
pub use fast::{Outcome, is_short};
pub use fault::{Exception, Fault, FaultKind};
pub use kernel::{Kernel, MAX_IRQ_SOURCE};
pub use message::{MessageInfo, error, label, number};
pub use objects::{Frame, Id, Pd, State, reg};
