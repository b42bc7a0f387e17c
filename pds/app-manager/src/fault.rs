//! Why an app was stopped, and where it was.

use app_abi::map;
use core::fmt;
use heapless::Vec;
use sel4_microkit::Fault;

use crate::memory::SlotMemory;

/// Frames of a backtrace.
pub const MAX_FRAMES: usize = 12;

/// Why an app was stopped against its will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The kernel says so.
    Fault(Fault),
    /// The counts in its page of requests make no sense.
    BadRing,
}

/// The registers of an app that tell where it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Program counter.
    pub pc: u64,
    /// Return address register.
    pub ra: u64,
    /// Stack pointer.
    pub sp: u64,
    /// Frame pointer.
    pub fp: u64,
}

/// What is known of an app's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Why.
    pub cause: Cause,
    /// Where, if that could be read.
    pub place: Place,
    /// Return addresses, innermost first, without the place itself.
    pub frames: Vec<u64, MAX_FRAMES>,
}

fn is_code(address: u64) -> bool {
    (map::CODE..map::CODE + map::CODE_BYTES).contains(&address)
}

fn is_stack(address: u64) -> bool {
    (map::STACK..=map::STACK_TOP).contains(&address)
}

impl Report {
    /// Reads where the app was from its registers and its stack: along the frame pointers (RISC-V ELF psABI, "Frame
    /// Pointer Convention"), as long as they lead up the stack. An app can write what it likes there; it misleads only its reader.
    pub fn new(cause: Cause, place: Place, memory: &SlotMemory) -> Self {
        let mut frames = Vec::new();
        let add = |frames: &mut Vec<u64, MAX_FRAMES>, address: u64| {
            let repeated = frames.last() == Some(&address);
            // Beyond the most frames, the outer ones are left out.
            repeated || !is_code(address) || frames.push(address).is_ok()
        };
        if place.ra != place.pc {
            add(&mut frames, place.ra);
        }
        let mut fp = place.fp;
        for _ in 0..MAX_FRAMES {
            let mut saved = [0; 16];
            if !is_stack(fp) || !fp.is_multiple_of(8) || memory.read(fp.wrapping_sub(16), &mut saved).is_err() {
                break;
            }
            let (outer, ra) = saved.split_at(8);
            let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
            if !add(&mut frames, number(ra)) {
                break;
            }
            let outer = number(outer);
            if outer <= fp {
                break;
            }
            fp = outer;
        }
        Self { cause, place, frames }
    }

    /// The stack pointer is below the stack: it is moved before what it is to point to is written.
    fn is_stack_overflow(&self) -> bool {
        matches!(self.cause, Cause::Fault(Fault::VmFault(_))) && self.place.sp < map::STACK
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Fault(fault) if self.is_stack_overflow() => {
                write!(f, "its stack of {} bytes is full (address {:#x})", map::STACK_BYTES, fault.address())?;
            }
            Cause::Fault(fault) => fault.fmt(f)?,
            Cause::BadRing => f.write_str("the counts of its ring make no sense")?,
        }
        write!(f, ", pc {:#x}", self.place.pc)?;
        if !self.frames.is_empty() {
            f.write_str(", called from")?;
            self.frames.iter().try_for_each(|frame| write!(f, " {frame:#x}"))?;
        }
        Ok(())
    }
}
