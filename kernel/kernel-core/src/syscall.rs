//! System calls and interrupts.

use crate::fast::Outcome;
use crate::fault::{LookupFailure, object};
use crate::invoke::How;
use crate::kernel::MAX_IRQ_SOURCE;
use crate::message::{MessageInfo, number};
use crate::objects::{Id, State, reg};
use crate::{Environment, Fault, FaultKind, Kernel};
use kernel_layout::{cap_kind, cap_rights};

const SEND: How = How { blocking: true, is_call: false, donate: false, first_phase: false };
const NB_SEND: How = How { blocking: false, ..SEND };
const CALL: How = How { blocking: true, is_call: true, donate: true, first_phase: false };
const FIRST_PHASE: How = How { blocking: false, is_call: false, donate: true, first_phase: true };

impl Kernel<'_> {
    /// The current thread made the system call `number`, with its registers in its frame.
    pub fn syscall(&mut self, env: &mut impl Environment, number: i64) {
        let frame = &self.pds[self.current.slot()].frame;
        let (cptr, info) = (frame.x[reg::A0], MessageInfo(frame.x[reg::A1]));
        match number {
            number::CALL => self.invoke(env, cptr, info, CALL),
            number::SEND => self.invoke(env, cptr, info, SEND),
            number::NB_SEND => self.invoke(env, cptr, info, NB_SEND),
            number::REPLY_RECV | number::NB_SEND_RECV | number::NB_SEND_WAIT => {
                let destination = if number == number::NB_SEND_RECV { reg::T0 } else { reg::A6 };
                self.invoke(env, frame.x[destination], info, FIRST_PHASE);
                if self.pds[self.current.slot()].thread.state == State::Running {
                    self.receive_from(env, cptr, true, number != number::NB_SEND_WAIT);
                }
            }
            number::RECV => self.receive_from(env, cptr, true, true),
            number::NB_RECV => self.receive_from(env, cptr, false, true),
            number::WAIT => self.receive_from(env, cptr, true, false),
            number::NB_WAIT => self.receive_from(env, cptr, false, false),
            number::YIELD => self.yield_turn(env),
            _ if self.debug_syscall(env, number) => {}
            _ => {
                let fault = Fault { kind: FaultKind::UnknownSyscall, words: [number as u64, 0, 0] };
                self.syscall_fault(env, fault);
            }
        }
        self.schedule(env);
    }

    /// The second phase of every system call that receives.
    fn receive_from(&mut self, env: &mut impl Environment, cptr: u64, blocking: bool, with_reply: bool) {
        let id = self.current;
        let cap = match self.lookup(id, cptr) {
            Ok(cap) => cap,
            Err(why) => return self.cap_fault(env, cptr, true, why),
        };
        let may_read = cap.rights & cap_rights::READ != 0;
        match cap.kind {
            cap_kind::ENDPOINT if may_read => {
                let mut reply = Id::NONE;
                if with_reply {
                    let reply_cptr = self.pds[id.slot()].frame.x[reg::A6];
                    match self.lookup(id, reply_cptr) {
                        Ok(cap) if cap.kind == cap_kind::REPLY => reply = object(cap),
                        Ok(_) => return self.cap_fault(env, reply_cptr, true, LookupFailure::Missing),
                        Err(why) => return self.cap_fault(env, reply_cptr, true, why),
                    }
                }
                self.receive(env, id, object(cap), reply, blocking);
            }
            // A notification belongs to one thread; nobody else may take its bits.
            cap_kind::NOTIFICATION if may_read && object(cap) == id => self.wait(id, blocking),
            _ => self.cap_fault(env, cptr, true, LookupFailure::Missing),
        }
    }

    /// The interrupt controller says that `source` wants attention. It stays claimed until the PD acknowledges it.
    pub fn interrupt(&mut self, env: &mut impl Environment, source: u32) {
        let irq = self.irq_of_source[source as usize % (MAX_IRQ_SOURCE + 1)];
        let Some(irq) = self.irqs.and_then(|irqs| irqs.get(usize::from(irq).wrapping_sub(1))) else {
            env.complete_irq(source);
            return;
        };
        let (id, badge) = (Id::from_index(usize::from(irq.pd)), irq.badge);
        if self.current.is_some() && self.fast_signal(env, id, badge) != Outcome::NotDone {
            return;
        }
        self.signal(env, id, badge);
        self.schedule(env);
    }
}
