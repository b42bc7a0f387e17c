//! Driver of the root of trust, which is at the other end of a serial line.
//!
//! * [`pci`]: the serial card sits behind PCI; how it is told where its registers are;
//! * [`mailbox`]: requests under way, their times, what is sent when, and what is made of what arrives;
//! * [`plausible`]: whether a reply can be the answer to a request at all;
//! * [`driver`]: the device and the clients' links.
//!
//! The card itself is a 16550, so its registers and operations are those of `uart-ns16550`.
//!
//! What is at the other end may be dead, slow, broken or lying. Each request still ends, with a status that says what happened,
//! when its time is over at the latest; no client waits for another one's request longer than that takes on the line.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod driver;
pub mod mailbox;
pub mod pci;
pub mod plausible;

#[cfg(test)]
mod tests;
