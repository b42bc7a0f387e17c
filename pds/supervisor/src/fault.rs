//! What a fault message says, in words. Layouts: seL4 manual, "Faults"; register order of RISC-V.

use core::fmt;

/// Faults as the kernel reports them; label of the message.
mod label {
    pub const CAP_FAULT: u64 = 1;
    pub const UNKNOWN_SYSCALL: u64 = 2;
    pub const USER_EXCEPTION: u64 = 3;
    pub const VM_FAULT: u64 = 6;
}

/// Message registers that [`Fault::decode`] looks at.
pub const REGISTERS: usize = 11;

/// A page below the stack that is never mapped; an access to it means that the stack is full.
const GUARD_BYTES: u64 = 4096;
/// Where every protection domain's stack begins, growing down.
const STACK_TOP: u64 = 0x3f_ffff_d000;

/// Why a protection domain stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It touched memory that it may not touch in this way.
    Memory(Access),
    /// It used a capability that it does not have.
    Capability,
    /// It made a system call that does not exist; the address is the call's number.
    SystemCall,
    /// The processor refused an instruction, with this value of `scause`.
    Exception(u64),
    /// Another label than the known ones.
    Unknown(u64),
}

/// What it wanted to do with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Load.
    Read,
    /// Store, or an atomic operation.
    Write,
    /// Fetch an instruction.
    Execute,
}

/// A decoded fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Label of the message.
    pub label: u64,
    /// Why.
    pub cause: Cause,
    /// Where in the program.
    pub pc: u64,
    /// The memory address, capability or system call that it was about; 0 if none.
    pub address: u64,
    /// The address lies just below the stack.
    pub stack_overflow: bool,
}

impl Fault {
    /// Decodes a message with this label and these registers; registers that are missing count as 0. `stack_bytes` is the
    /// length of the child's stack.
    pub fn decode(label: u64, registers: &[u64], stack_bytes: u64) -> Fault {
        let register = |index: usize| registers.get(index).copied().unwrap_or(0);
        let (cause, address) = match label {
            label::VM_FAULT => {
                let access = match (register(2), register(3)) {
                    (0, 7) => Access::Write,
                    (0, _) => Access::Read,
                    _ => Access::Execute,
                };
                (Cause::Memory(access), register(1))
            }
            label::CAP_FAULT => (Cause::Capability, register(1)),
            label::UNKNOWN_SYSCALL => (Cause::SystemCall, register(10)),
            label::USER_EXCEPTION => (Cause::Exception(register(2)), 0),
            other => (Cause::Unknown(other), 0),
        };
        let stack_bottom = STACK_TOP.saturating_sub(stack_bytes);
        let guard = stack_bottom.saturating_sub(GUARD_BYTES)..stack_bottom;
        let stack_overflow = matches!(cause, Cause::Memory(_)) && guard.contains(&address);
        Fault { label, cause, pc: register(0), address, stack_overflow }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match self.cause {
            Cause::Memory(_) if self.stack_overflow => write!(f, "its stack is full (address {address:#x})")?,
            Cause::Memory(Access::Read) => write!(f, "may not read address {address:#x}")?,
            Cause::Memory(Access::Write) => write!(f, "may not write address {address:#x}")?,
            Cause::Memory(Access::Execute) => write!(f, "may not execute address {address:#x}")?,
            Cause::Capability => write!(f, "has no capability {address:#x}")?,
            Cause::SystemCall => write!(f, "unknown system call {}", address as i64)?,
            Cause::Exception(0) => f.write_str("misaligned jump")?,
            Cause::Exception(2) => f.write_str("illegal instruction")?,
            Cause::Exception(3) => f.write_str("breakpoint, or a panic")?,
            Cause::Exception(4) => f.write_str("misaligned load")?,
            Cause::Exception(6) => f.write_str("misaligned store")?,
            Cause::Exception(number) => write!(f, "exception {number}")?,
            Cause::Unknown(label) => write!(f, "unknown fault {label}")?,
        }
        write!(f, ", pc {:#x}", self.pc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(label: u64, registers: &[u64]) -> String {
        Fault::decode(label, registers, 0x2000).to_string()
    }

    #[test]
    fn faults_in_words() {
        assert_eq!(told(6, &[0x200010, 0xdead0000, 0, 5]), "may not read address 0xdead0000, pc 0x200010");
        assert_eq!(told(6, &[0x200010, 0x10, 0, 7]), "may not write address 0x10, pc 0x200010");
        assert_eq!(told(6, &[0x10, 0x10, 1, 1]), "may not execute address 0x10, pc 0x10");
        assert_eq!(told(6, &[0x200010, 0x3fffffaff8, 0, 7]), "its stack is full (address 0x3fffffaff8), pc 0x200010");
        assert_eq!(told(6, &[0x200010, 0x3fffff9ff8, 0, 7]), "may not write address 0x3fffff9ff8, pc 0x200010");
        assert_eq!(told(1, &[0x200010, 0x1ff, 0, 2]), "has no capability 0x1ff, pc 0x200010");
        assert_eq!(
            told(2, &[0x200010, 0, 0, 0, 0, 0, 0, 0, 0, 0, (-99i64) as u64]),
            "unknown system call -99, pc 0x200010"
        );
        assert_eq!(told(3, &[0x200010, 0, 2, 0]), "illegal instruction, pc 0x200010");
        assert_eq!(told(9, &[]), "unknown fault 9, pc 0x0");
    }

    proptest! {
        #[test]
        fn any_message_has_a_text(label: u64, registers in prop::collection::vec(any::<u64>(), 0..16), stack: u64) {
            prop_assert!(!Fault::decode(label, &registers, stack).to_string().is_empty());
        }
    }
}
