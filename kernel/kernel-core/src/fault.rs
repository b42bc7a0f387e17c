//! Faults: what they are, the message they make, and what a reply to them does.

use crate::ipc::Send;
use crate::message::MessageInfo;
use crate::objects::{Id, State, reg};
use crate::{Environment, Frame, Kernel};
use kernel_layout::{Cap, cap_kind, cap_rights, slot};

/// Kinds of faults; the values are the labels of their messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum FaultKind {
    /// No fault.
    #[default]
    None = 0,
    /// A capability that a system call needs is not there.
    Cap = 1,
    /// The system call does not exist.
    UnknownSyscall = 2,
    /// An illegal instruction, a misaligned access, a breakpoint.
    UserException = 3,
    /// An access that the address space does not allow.
    Vm = 6,
}

/// A fault that its handler has not dealt with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// Cap: capability pointer, 1 if it was needed to receive, the kind of lookup failure. UnknownSyscall: the number.
    /// UserException: the cause. Vm: address, 1 for an instruction, the status.
    pub words: [u64; 3],
}

impl Fault {
    /// No fault.
    pub const NONE: Self = Self { kind: FaultKind::None, words: [0; 3] };

    /// The fault that an exception is. A page fault and an access fault differ in the machine, not for a PD: seL4 reports
    /// the latter's numbers.
    #[inline(always)]
    pub(crate) fn of(exception: Exception) -> Self {
        let (kind, words) = match exception.cause {
            1 | 12 => (FaultKind::Vm, [exception.value, 1, 1]),
            5 | 13 => (FaultKind::Vm, [exception.value, 0, 5]),
            7 | 15 => (FaultKind::Vm, [exception.value, 0, 7]),
            cause => (FaultKind::UserException, [cause, 0, 0]),
        };
        Self { kind, words }
    }

    /// The message that a fault of kind `Vm` or `UserException` makes.
    #[inline(always)]
    pub(crate) fn short_words(&self, frame: &Frame) -> [u64; 4] {
        let [first, second, third] = self.words;
        match self.kind {
            FaultKind::UserException => [frame.x[0], frame.x[reg::SP], first, 0],
            _ => [frame.x[0], first, second, third],
        }
    }
}

/// An exception that a PD's instruction raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The value of `scause`.
    pub cause: u64,
    /// The value of `stval`.
    pub value: u64,
}

/// Why a capability pointer leads nowhere; the values are those of fault messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LookupFailure {
    /// The slot has no such capability.
    Missing = 2,
    /// A small pointer with bits where there must be none.
    Guard = 4,
}

/// Bits of a capability pointer below the root slot, of which all but nine must be zero when the root slot is 0.
const BITS_BELOW_ROOT: u64 = 58;
const GUARD_BITS: u64 = 49;
/// The registers of the messages about unknown system calls and user exceptions.
const UNKNOWN_SYSCALL_REGISTERS: [usize; 10] = [0, reg::SP, reg::RA, 10, 11, 12, 13, 14, 15, 16];
const USER_EXCEPTION_REGISTERS: [usize; 2] = [0, reg::SP];

impl Kernel<'_> {
    /// The current thread's instruction raised an exception other than a system call.
    pub fn exception(&mut self, env: &mut impl Environment, exception: Exception) {
        self.fault(env, Fault::of(exception));
        self.schedule(env);
    }

    /// The system call of the current thread needs a capability that is not there.
    pub(crate) fn cap_fault(&mut self, env: &mut impl Environment, cptr: u64, receiving: bool, why: LookupFailure) {
        self.syscall_fault(env, Fault { kind: FaultKind::Cap, words: [cptr, u64::from(receiving), why as u64] });
    }

    /// A fault of a system call, which is issued again if the handler lets the thread go on.
    pub(crate) fn syscall_fault(&mut self, env: &mut impl Environment, fault: Fault) {
        let frame = &mut self.pds[self.current.slot()].frame;
        frame.x[0] = frame.x[0].wrapping_sub(4);
        self.fault(env, fault);
    }

    /// Sends the current thread's fault to its handler.
    pub(crate) fn fault(&mut self, env: &mut impl Environment, fault: Fault) {
        let id = self.current;
        let pd = &mut self.pds[id.slot()];
        let cap = pd.thread.caps.and_then(|caps| caps.get(slot::FAULT as usize)).copied().unwrap_or_default();
        if cap.kind != cap_kind::ENDPOINT || cap.rights & cap_rights::WRITE == 0 {
            // The default handler reports and never answers.
            env.report_fault(id, &pd.frame, &fault);
            pd.thread.state = State::Inactive;
            return;
        }
        pd.thread.fault = fault;
        let donate = pd.thread.sc.is_some();
        self.send(env, id, object(cap), cap, Send { blocking: true, is_call: false, donate });
    }

    /// Writes the message about the fault of `sender` to `receiver`.
    pub(crate) fn write_fault_message(&mut self, env: &mut impl Environment, sender: Id, receiver: Id) -> MessageInfo {
        let pd = &self.pds[sender.slot()];
        let fault = pd.thread.fault;
        let short = fault.short_words(&pd.frame);
        let count = match fault.kind {
            FaultKind::Cap if fault.words[2] == LookupFailure::Guard as u64 => {
                for (word, value) in [BITS_BELOW_ROOT, 0, GUARD_BITS].into_iter().enumerate() {
                    self.set_message_word(env, receiver, 4 + word, value);
                }
                7
            }
            FaultKind::Cap => {
                self.set_message_word(env, receiver, 4, 0);
                5
            }
            FaultKind::UnknownSyscall => {
                for (word, register) in UNKNOWN_SYSCALL_REGISTERS.iter().enumerate() {
                    let value = self.pds[sender.slot()].frame.x[*register];
                    self.set_message_word(env, receiver, word, value);
                }
                self.set_message_word(env, receiver, 10, fault.words[0]);
                return MessageInfo::new(fault.kind as u64, 11);
            }
            FaultKind::UserException | FaultKind::Vm | FaultKind::None => 4,
        };
        self.pds[receiver.slot()].frame.x[reg::A2..reg::A2 + 4].copy_from_slice(&short);
        MessageInfo::new(fault.kind as u64, count)
    }

    /// Does what the handler's reply says. True if the thread goes on.
    pub(crate) fn apply_fault_reply(&mut self, env: &mut impl Environment, handler: Id, id: Id, fault: &Fault) -> bool {
        let registers: &[usize] = match fault.kind {
            FaultKind::UnknownSyscall => &UNKNOWN_SYSCALL_REGISTERS,
            FaultKind::UserException => &USER_EXCEPTION_REGISTERS,
            FaultKind::Cap | FaultKind::Vm | FaultKind::None => return true,
        };
        let info = MessageInfo(self.pds[handler.slot()].frame.x[reg::A1]);
        for (word, register) in registers.iter().take(info.words() as usize).enumerate() {
            self.pds[id.slot()].frame.x[*register] = self.message_word(env, handler, word);
        }
        info.label() == 0
    }
}

/// The PD whose object a capability names.
#[inline(always)]
pub(crate) fn object(cap: Cap) -> Id {
    Id::from_index(usize::from(cap.object))
}
