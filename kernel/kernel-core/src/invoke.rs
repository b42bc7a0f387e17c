//! Invocations: what messages to capabilities of the kernel's own objects do.

use crate::fault::{LookupFailure, object};
use crate::ipc::Send;
use crate::message::{EXTRA_CAPS_WORD, MessageInfo, error, label};
use crate::objects::{Id, REGISTER_ORDER, State, reg};
use crate::{Environment, Fault, FaultKind, Kernel};
use kernel_layout::{Cap, cap_kind, cap_rights, slot};

/// How a capability is invoked.
#[derive(Clone, Copy)]
pub(crate) struct How {
    /// The thread waits, for a receiver or with a fault, if it must.
    pub blocking: bool,
    /// The thread wants an answer.
    pub is_call: bool,
    /// The thread's scheduling context may go to the receiver.
    pub donate: bool,
    /// A receive follows in the same system call; threads and scheduling contexts cannot be invoked then.
    pub first_phase: bool,
}

/// What an invocation that worked says.
enum Answer {
    /// An empty message.
    Nothing,
    /// The message registers hold this many words.
    Words(u64),
    /// Somebody else answers, or nobody.
    None,
}

/// What an invocation that did not work says: a label and up to two words.
struct Refusal {
    label: u64,
    words: &'static [u64],
}

const INVALID_CAPABILITY: Refusal = Refusal { label: error::INVALID_CAPABILITY, words: &[0] };
const INVALID_ARGUMENT_CAPABILITY: Refusal = Refusal { label: error::INVALID_CAPABILITY, words: &[1] };
const ILLEGAL_OPERATION: Refusal = Refusal { label: error::ILLEGAL_OPERATION, words: &[] };
const TRUNCATED_MESSAGE: Refusal = Refusal { label: error::TRUNCATED_MESSAGE, words: &[] };
const REGISTER_COUNT_RANGE: Refusal = Refusal { label: error::RANGE_ERROR, words: &[1, 32] };

impl Kernel<'_> {
    /// Finds the capability that a pointer of thread `id` names; an empty slot has one of kind `NULL`.
    #[inline(always)]
    pub(crate) fn lookup(&self, id: Id, cptr: u64) -> Result<Cap, LookupFailure> {
        let thread = &self.pds[id.slot()].thread;
        let (caps, index) = if cptr < slot::COUNT {
            (thread.caps, cptr)
        } else if cptr >> slot::ROOT_SHIFT != 0 {
            // The root node's slot decides; the bits below it are not looked at, as nothing is left to resolve.
            (thread.shared_caps, cptr >> slot::ROOT_SHIFT)
        } else {
            return Err(LookupFailure::Guard);
        };
        Ok(caps.and_then(|caps| caps.get(index as usize)).copied().unwrap_or_default())
    }

    /// The first phase of every system call that sends: the current thread's message goes to the capability at `cptr`.
    pub(crate) fn invoke(&mut self, env: &mut impl Environment, cptr: u64, info: MessageInfo, how: How) {
        let cap = match self.lookup(self.current, cptr) {
            Ok(cap) => cap,
            Err(why) => {
                if how.blocking {
                    self.cap_fault(env, cptr, false, why);
                }
                return;
            }
        };
        let mut extra = Cap::default();
        for index in 0..info.extra_caps() as usize {
            let extra_cptr = env.ipc_word(self.current, EXTRA_CAPS_WORD + index);
            match self.lookup(self.current, extra_cptr) {
                Ok(found) if index == 0 => extra = found,
                Ok(_) => {}
                Err(why) => {
                    if how.blocking {
                        self.cap_fault(env, extra_cptr, false, why);
                    }
                    return;
                }
            }
        }
        let caller = self.current;
        let answer = self.invoke_cap(env, cap, extra, info, how);
        if !how.is_call {
            return;
        }
        let (label, words) = match answer {
            Ok(Answer::None) => return,
            Ok(Answer::Nothing) => (0, 0),
            Ok(Answer::Words(words)) => (0, words),
            Err(refusal) => {
                for (word, value) in refusal.words.iter().enumerate() {
                    self.set_message_word(env, caller, word, *value);
                }
                (refusal.label, refusal.words.len() as u64)
            }
        };
        let frame = &mut self.pds[caller.slot()].frame;
        frame.x[reg::A0] = 0;
        frame.x[reg::A1] = MessageInfo::new(label, words).0;
    }

    fn invoke_cap(
        &mut self,
        env: &mut impl Environment,
        cap: Cap,
        extra: Cap,
        info: MessageInfo,
        how: How,
    ) -> Result<Answer, Refusal> {
        match cap.kind {
            cap_kind::ENDPOINT if cap.rights & cap_rights::WRITE != 0 => {
                let send = Send { blocking: how.blocking, is_call: how.is_call, donate: how.donate };
                self.send(env, self.current, object(cap), cap, send);
                Ok(Answer::None)
            }
            cap_kind::NOTIFICATION if cap.rights & cap_rights::WRITE != 0 => {
                self.signal(env, object(cap), cap.badge);
                Ok(Answer::Nothing)
            }
            cap_kind::REPLY => {
                self.reply(env, self.current, object(cap));
                Ok(Answer::Nothing)
            }
            cap_kind::MONITOR => {
                self.message_to_monitor(env, info, how);
                Ok(Answer::None)
            }
            cap_kind::IRQ_HANDLER if info.label() == label::IRQ_ACK => {
                self.acknowledge(env, cap);
                Ok(Answer::Nothing)
            }
            cap_kind::THREAD if !how.first_phase => self.invoke_thread(env, object(cap), info),
            cap_kind::SCHED_CONTEXT if !how.first_phase => self.invoke_sched_context(env, object(cap), extra, info),
            cap_kind::IRQ_HANDLER | cap_kind::VSPACE => Err(ILLEGAL_OPERATION),
            _ => Err(INVALID_CAPABILITY),
        }
    }

    /// A message to the default handler. An empty label is the wish of a passive PD to run on its clients' and its
    /// notification's scheduling context from now on; anything else is taken for a fault, and never answered.
    fn message_to_monitor(&mut self, env: &mut impl Environment, info: MessageInfo, how: How) {
        let id = self.current;
        if info.label() == 0 {
            let pd = &self.pds[id.slot()];
            if pd.thread.passive && pd.notification.sc.is_none() && pd.sched_context.notification.is_none() {
                self.bind_notification(id, id);
            }
        }
        if how.is_call {
            let pd = &mut self.pds[id.slot()];
            env.report_fault(id, &pd.frame, &Fault { kind: FaultKind::None, words: [info.label(), 0, 0] });
            pd.frame.x[0] = pd.frame.x[0].wrapping_sub(4);
            pd.thread.state = State::Inactive;
        }
    }

    fn bind_notification(&mut self, sc: Id, notification: Id) {
        self.pds[notification.slot()].notification.sc = sc;
        self.pds[sc.slot()].sched_context.notification = notification;
    }

    fn invoke_thread(&mut self, env: &mut impl Environment, id: Id, info: MessageInfo) -> Result<Answer, Refusal> {
        match info.label() {
            label::TCB_READ_REGISTERS => self.read_registers(env, id, info),
            label::TCB_WRITE_REGISTERS => self.write_registers(env, id, info),
            label::TCB_SUSPEND => {
                self.suspend(id);
                Ok(Answer::Nothing)
            }
            label::TCB_RESUME => {
                self.resume(env, id);
                Ok(Answer::Nothing)
            }
            _ => Err(ILLEGAL_OPERATION),
        }
    }

    fn read_registers(&mut self, env: &mut impl Environment, id: Id, info: MessageInfo) -> Result<Answer, Refusal> {
        if info.words() < 2 {
            return Err(TRUNCATED_MESSAGE);
        }
        let flags = self.message_word(env, self.current, 0);
        let count = self.message_word(env, self.current, 1);
        if !(1..=REGISTER_ORDER.len() as u64).contains(&count) {
            return Err(REGISTER_COUNT_RANGE);
        }
        if id == self.current {
            return Err(ILLEGAL_OPERATION);
        }
        if flags & 1 != 0 {
            self.suspend(id);
        }
        for (word, register) in REGISTER_ORDER.iter().take(count as usize).enumerate() {
            let pd = &self.pds[id.slot()];
            let mut value = pd.frame.x[*register];
            if word == 0 && !matches!(pd.thread.state, State::Running | State::Inactive) {
                // A thread that waits in a system call is where it would begin again.
                value = value.wrapping_sub(u64::from(pd.thread.rewind));
            }
            self.set_message_word(env, self.current, word, value);
        }
        Ok(Answer::Words(count))
    }

    fn write_registers(&mut self, env: &mut impl Environment, id: Id, info: MessageInfo) -> Result<Answer, Refusal> {
        if info.words() < 2 {
            return Err(TRUNCATED_MESSAGE);
        }
        let flags = self.message_word(env, self.current, 0);
        let count = self.message_word(env, self.current, 1);
        if info.words() - 2 < count {
            return Err(TRUNCATED_MESSAGE);
        }
        if id == self.current {
            return Err(ILLEGAL_OPERATION);
        }
        for (word, register) in REGISTER_ORDER.iter().take(count as usize).enumerate() {
            let value = self.message_word(env, self.current, word + 2);
            let pd = &mut self.pds[id.slot()];
            pd.frame.x[*register] = value;
            if word == 0 {
                pd.thread.rewind = 0;
            }
        }
        if flags & 1 != 0 {
            self.resume(env, id);
        }
        Ok(Answer::Nothing)
    }

    /// Stops a thread, whatever it does.
    fn suspend(&mut self, id: Id) {
        self.cancel_ipc(id);
        self.dequeue(id);
        self.pds[id.slot()].thread.state = State::Inactive;
    }

    /// Lets a stopped thread run. What it waited for is cancelled.
    fn resume(&mut self, env: &mut impl Environment, id: Id) {
        if self.pds[id.slot()].thread.state != State::Running {
            self.cancel_ipc(id);
            self.pds[id.slot()].thread.state = State::Running;
            self.wake(env, id);
        }
    }

    fn invoke_sched_context(
        &mut self,
        env: &mut impl Environment,
        sc: Id,
        extra: Cap,
        info: MessageInfo,
    ) -> Result<Answer, Refusal> {
        match info.label() {
            label::SCHED_CONTEXT_CONSUMED => {
                let now = env.now();
                self.charge(now);
                let consumed = core::mem::take(&mut self.pds[sc.slot()].sched_context.consumed);
                let ticks_per_us = self.ticks_per_us.max(1);
                self.set_message_word(env, self.current, 0, consumed / ticks_per_us);
                Ok(Answer::Words(1))
            }
            label::SCHED_CONTEXT_BIND if info.extra_caps() == 0 => Err(TRUNCATED_MESSAGE),
            label::SCHED_CONTEXT_BIND => self.bind_sched_context(env, sc, extra),
            label::SCHED_CONTEXT_UNBIND => self.unbind_sched_context(sc),
            _ => Err(ILLEGAL_OPERATION),
        }
    }

    fn bind_sched_context(&mut self, env: &mut impl Environment, sc: Id, extra: Cap) -> Result<Answer, Refusal> {
        let to = object(extra);
        match extra.kind {
            cap_kind::THREAD => {
                let now = env.now();
                let thread = &self.pds[to.slot()].thread;
                let context = &self.pds[sc.slot()].sched_context;
                let is_blocked = !matches!(thread.state, State::Running | State::Inactive);
                if context.thread.is_some() || thread.sc.is_some() || is_blocked && !context.is_ready(now) {
                    return Err(ILLEGAL_OPERATION);
                }
                self.donate(sc, to);
                self.wake(env, to);
                Ok(Answer::Nothing)
            }
            cap_kind::NOTIFICATION => {
                if self.pds[sc.slot()].sched_context.notification.is_some()
                    || self.pds[to.slot()].notification.sc.is_some()
                {
                    return Err(ILLEGAL_OPERATION);
                }
                self.bind_notification(sc, to);
                Ok(Answer::Nothing)
            }
            _ => Err(INVALID_ARGUMENT_CAPABILITY),
        }
    }

    fn unbind_sched_context(&mut self, sc: Id) -> Result<Answer, Refusal> {
        let thread = self.pds[sc.slot()].sched_context.thread;
        if thread == self.current {
            return Err(ILLEGAL_OPERATION);
        }
        if thread.is_some() {
            self.dequeue(thread);
            self.pds[thread.slot()].thread.sc = Id::NONE;
        }
        let context = &mut self.pds[sc.slot()].sched_context;
        context.thread = Id::NONE;
        let notification = core::mem::take(&mut context.notification);
        let reply = core::mem::take(&mut context.reply);
        self.pds[notification.slot()].notification.sc = Id::NONE;
        self.break_chain(reply);
        Ok(Answer::Nothing)
    }

    fn acknowledge(&mut self, env: &mut impl Environment, cap: Cap) {
        if let Some(irq) = self.irqs.and_then(|irqs| irqs.get(usize::from(cap.object))) {
            env.complete_irq(irq.source);
        }
    }
}
