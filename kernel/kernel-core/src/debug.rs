//! The system calls of Microkit's debug configuration.

use crate::message::number;
use crate::objects::{Id, Queued, reg};
use crate::{Environment, Kernel};
use kernel_layout::cap_kind;

impl Kernel<'_> {
    /// Serves a debug system call. False if there is no such call in this configuration.
    pub(crate) fn debug_syscall<E: Environment>(&mut self, env: &mut E, number: i64) -> bool {
        if !E::DEBUG {
            return false;
        }
        match number {
            number::DEBUG_PUT_CHAR => env.put_char(self.pds[self.current.slot()].frame.x[reg::A0] as u8),
            number::DEBUG_CAP_IDENTIFY => {
                let cptr = self.pds[self.current.slot()].frame.x[reg::A0];
                let kind = self.lookup(self.current, cptr).map_or(cap_kind::NULL, |cap| cap.kind);
                self.pds[self.current.slot()].frame.x[reg::A0] = sel4_cap_type(kind);
            }
            number::DEBUG_DUMP_SCHEDULER => {
                for index in 0..self.infos().len() {
                    let id = Id::from_index(index);
                    let thread = &self.pds[id.slot()].thread;
                    let is_out_of_time = thread.queued == Queued::Release || thread.sc.is_none();
                    env.report_thread(id, thread.state, is_out_of_time, thread.priority);
                }
            }
            // The names of threads are those of the system description, and there is nothing to take a snapshot of.
            number::DEBUG_SNAPSHOT | number::DEBUG_NAME_THREAD => {}
            // Halting the machine would be more than one PD's own affair.
            _ => return false,
        }
        true
    }
}

/// seL4's number for a kind of capability.
const fn sel4_cap_type(kind: u8) -> u64 {
    match kind {
        cap_kind::ENDPOINT | cap_kind::MONITOR => 4,
        cap_kind::NOTIFICATION => 6,
        cap_kind::REPLY => 8,
        cap_kind::THREAD => 12,
        cap_kind::IRQ_HANDLER => 16,
        cap_kind::SCHED_CONTEXT => 22,
        cap_kind::VSPACE => 3,
        _ => 0,
    }
}
