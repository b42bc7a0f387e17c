//! Faults of children, as the kernel reports them to the parent.

use core::fmt;

/// [`VmFault::fsr`] of a store.
const STORE: u64 = 7;

/// Why a child stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No fault: a message with label 0, which a well-formed system never sends here.
    NullFault,
    /// A system call named a capability that the child does not have.
    CapFault(CapFault),
    /// A system call with a number that does not exist.
    UnknownSyscall(UnknownSyscall),
    /// An exception of the processor other than a failed access to memory.
    UserException(UserException),
    /// A failed access to memory.
    VmFault(VmFault),
    /// The child's budget is used up. Microkit installs no handler for it, so it does not arrive.
    Timeout(Timeout),
    /// A label that no fault has.
    Unknown {
        /// The label.
        label: u64,
    },
}

/// See [`Fault::CapFault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapFault {
    /// Address of the system call.
    pub ip: u64,
    /// The capability pointer.
    pub cptr: u64,
    /// The receiving half of the system call failed, not the sending one.
    pub in_recv_phase: bool,
    /// Why the lookup failed: 0 none, 1 invalid root, 2 missing capability, 3 depth mismatch, 4 guard mismatch.
    pub lookup_failure: u64,
}

/// See [`Fault::UnknownSyscall`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownSyscall {
    /// Address of the system call.
    pub ip: u64,
    /// Stack pointer.
    pub sp: u64,
    /// Return address register.
    pub ra: u64,
    /// The number, from `a7`.
    pub number: u64,
}

/// See [`Fault::UserException`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserException {
    /// Address of the instruction.
    pub ip: u64,
    /// Stack pointer.
    pub sp: u64,
    /// Cause as in the `scause` register: 0 and 4 and 6 misaligned, 2 illegal instruction, 3 breakpoint.
    pub number: u64,
}

/// See [`Fault::VmFault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmFault {
    /// Address of the instruction.
    pub ip: u64,
    /// The address accessed.
    pub addr: u64,
    /// The access was a fetch of an instruction.
    pub is_prefetch: bool,
    /// Kind of access: 1 fetch, 5 load, 7 store.
    pub fsr: u64,
}

/// See [`Fault::Timeout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// Badge of the scheduling context.
    pub data: u64,
    /// Time consumed, in microseconds.
    pub consumed_us: u64,
}

impl Fault {
    /// Reads the message of a fault. Registers beyond `count` are taken as 0.
    pub(crate) fn from_message(label: u64, count: usize, registers: &[u64]) -> Self {
        let mr = |i: usize| if i < count { registers.get(i).copied().unwrap_or(0) } else { 0 };
        match label {
            0 => Self::NullFault,
            1 => Self::CapFault(CapFault { ip: mr(0), cptr: mr(1), in_recv_phase: mr(2) != 0, lookup_failure: mr(3) }),
            2 => Self::UnknownSyscall(UnknownSyscall { ip: mr(0), sp: mr(1), ra: mr(2), number: mr(10) }),
            3 => Self::UserException(UserException { ip: mr(0), sp: mr(1), number: mr(2) }),
            5 => Self::Timeout(Timeout { data: mr(0), consumed_us: mr(1) }),
            6 => Self::VmFault(VmFault { ip: mr(0), addr: mr(1), is_prefetch: mr(2) != 0, fsr: mr(3) }),
            label => Self::Unknown { label },
        }
    }
}

impl Fault {
    /// Where in the program it happened; 0 if the kernel does not say.
    pub fn pc(&self) -> u64 {
        match self {
            Self::CapFault(fault) => fault.ip,
            Self::UnknownSyscall(fault) => fault.ip,
            Self::UserException(fault) => fault.ip,
            Self::VmFault(fault) => fault.ip,
            Self::NullFault | Self::Timeout(_) | Self::Unknown { .. } => 0,
        }
    }

    /// The memory address that it was about, or 0.
    pub fn address(&self) -> u64 {
        if let Self::VmFault(fault) = self { fault.addr } else { 0 }
    }
}

/// The cause in words.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address();
        match self {
            Self::VmFault(fault) if fault.is_prefetch => write!(f, "may not execute address {address:#x}"),
            Self::VmFault(fault) if fault.fsr == STORE => write!(f, "may not write address {address:#x}"),
            Self::VmFault(_) => write!(f, "may not read address {address:#x}"),
            Self::CapFault(fault) => write!(f, "has no capability {:#x}", fault.cptr),
            Self::UnknownSyscall(fault) => write!(f, "unknown system call {}", fault.number as i64),
            // Numbers of exceptions: RISC-V privileged architecture, table of `scause`.
            Self::UserException(fault) => match fault.number {
                0 => f.write_str("misaligned jump"),
                2 => f.write_str("illegal instruction (a panic ends in one)"),
                3 => f.write_str("breakpoint"),
                4 => f.write_str("misaligned load"),
                6 => f.write_str("misaligned store"),
                number => write!(f, "exception {number}"),
            },
            Self::Timeout(_) => f.write_str("its budget is used up"),
            Self::NullFault => f.write_str("a fault without a cause"),
            Self::Unknown { label } => write!(f, "unknown fault {label}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_has_its_reading() {
        let registers: [u64; 12] = core::array::from_fn(|i| 100 + i as u64);
        let read = |label, count| Fault::from_message(label, count, &registers);
        assert_eq!(read(0, 0), Fault::NullFault);
        assert_eq!(
            read(1, 5),
            Fault::CapFault(CapFault { ip: 100, cptr: 101, in_recv_phase: true, lookup_failure: 103 })
        );
        assert_eq!(read(2, 11), Fault::UnknownSyscall(UnknownSyscall { ip: 100, sp: 101, ra: 102, number: 110 }));
        assert_eq!(read(3, 4), Fault::UserException(UserException { ip: 100, sp: 101, number: 102 }));
        assert_eq!(read(5, 2), Fault::Timeout(Timeout { data: 100, consumed_us: 101 }));
        assert_eq!(read(6, 4), Fault::VmFault(VmFault { ip: 100, addr: 101, is_prefetch: true, fsr: 103 }));
        assert_eq!(read(9, 4), Fault::Unknown { label: 9 });
    }

    #[test]
    fn registers_beyond_the_count_are_not_read() {
        let fault = Fault::from_message(6, 1, &[7, 8, 9, 10]);
        assert_eq!(fault, Fault::VmFault(VmFault { ip: 7, addr: 0, is_prefetch: false, fsr: 0 }));
    }
}
