//! What a fault says, in words.

use core::fmt;
pub use sel4_microkit::Fault;

/// Where every protection domain's stack begins, growing down.
const STACK_TOP: u64 = 0x3f_ffff_d000;
/// A fault, with what is needed to tell it well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The fault.
    pub fault: Fault,
    /// The child's stack pointer, if it could be read.
    pub stack_pointer: Option<u64>,
    /// Length of the stack of the child that faulted.
    pub stack_bytes: u64,
}

impl Told {
    /// Where in the program it happened.
    pub fn pc(&self) -> u64 {
        self.fault.pc()
    }

    /// The memory address that it was about, or 0.
    pub fn address(&self) -> u64 {
        self.fault.address()
    }

    /// The stack pointer is below the stack: it is moved before what it is to point to is written.
    fn is_stack_overflow(&self) -> bool {
        let bottom = STACK_TOP.saturating_sub(self.stack_bytes);
        matches!(self.fault, Fault::VmFault(_)) && self.stack_pointer.is_some_and(|pointer| pointer < bottom)
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_stack_overflow() {
            write!(f, "its stack of {} bytes is full (address {:#x})", self.stack_bytes, self.address())?;
        } else {
            self.fault.fmt(f)?;
        }
        write!(f, ", pc {:#x}", self.pc())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sel4_microkit::{CapFault, UnknownSyscall, UserException, VmFault};

    fn told(fault: Fault) -> String {
        Told { fault, stack_pointer: Some(0x3fffffc000), stack_bytes: 0x2000 }.to_string()
    }

    fn memory(addr: u64, is_prefetch: bool, fsr: u64) -> String {
        told(Fault::VmFault(VmFault { ip: 0x200010, addr, is_prefetch, fsr }))
    }

    #[test]
    fn faults_in_words() {
        assert_eq!(memory(0xdead0000, false, 5), "may not read address 0xdead0000, pc 0x200010");
        assert_eq!(memory(0x10, false, 7), "may not write address 0x10, pc 0x200010");
        assert_eq!(memory(0x10, true, 1), "may not execute address 0x10, pc 0x200010");
        let fault = CapFault { ip: 0x200010, cptr: 0x1ff, in_recv_phase: false, lookup_failure: 2 };
        assert_eq!(told(Fault::CapFault(fault)), "has no capability 0x1ff, pc 0x200010");
        let fault = UnknownSyscall { ip: 0x200010, sp: 0, ra: 0, number: (-99i64) as u64 };
        assert_eq!(told(Fault::UnknownSyscall(fault)), "unknown system call -99, pc 0x200010");
        let fault = UserException { ip: 0x200010, sp: 0, number: 3 };
        assert_eq!(told(Fault::UserException(fault)), "breakpoint, pc 0x200010");
        assert_eq!(told(Fault::Unknown { label: 9 }), "unknown fault 9, pc 0x0");
    }

    #[test]
    fn a_stack_pointer_below_the_stack_tells_why() {
        let fault = Fault::VmFault(VmFault { ip: 0x200010, addr: 0x3fffff6838, is_prefetch: false, fsr: 7 });
        let told = |pointer| Told { fault, stack_pointer: Some(pointer), stack_bytes: 0x2000 }.to_string();
        assert_eq!(told(0x3fffff6800), "its stack of 8192 bytes is full (address 0x3fffff6838), pc 0x200010");
        assert_eq!(told(0x3fffffb000), "may not write address 0x3fffff6838, pc 0x200010");
        let endless = Told { fault, stack_pointer: Some(0), stack_bytes: u64::MAX };
        assert!(endless.to_string().starts_with("may not write"));
    }
}
