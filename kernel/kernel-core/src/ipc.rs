//! Messages, replies and notifications.

use crate::message::REGISTER_WORDS;
use crate::objects::{Id, Queue, State, reg};
use crate::{Environment, FaultKind, Kernel};
use kernel_layout::{Cap, cap_rights};

/// How a message is sent.
#[derive(Clone, Copy)]
pub(crate) struct Send {
    /// Wait for a receiver; otherwise the message is dropped when nobody waits for it.
    pub blocking: bool,
    /// Wait for the reply.
    pub is_call: bool,
    /// A receiver without scheduling context gets the sender's.
    pub donate: bool,
}

impl Kernel<'_> {
    /// Sends the message, or the fault, that thread `sender` holds, to the endpoint of `endpoint`.
    pub(crate) fn send(&mut self, env: &mut impl Environment, sender: Id, endpoint: Id, cap: Cap, how: Send) {
        let receiver = self.pds[endpoint.slot()].endpoint.head;
        let can_reply = cap.rights & cap_rights::GRANT_REPLY != 0;
        if receiver.is_none() || self.pds[receiver.slot()].thread.state != State::BlockedOnReceive {
            if how.blocking {
                let thread = &mut self.pds[sender.slot()].thread;
                thread.state = State::BlockedOnSend;
                thread.badge = cap.badge;
                thread.is_call = how.is_call;
                thread.can_reply = can_reply;
                thread.rewind = if thread.fault.kind == FaultKind::None { 4 } else { 0 };
                self.wait_at(endpoint, sender);
            }
            return;
        }
        self.pds[endpoint.slot()].endpoint = self.unlink(self.pds[endpoint.slot()].endpoint, receiver);
        self.transfer(env, sender, receiver, cap.badge);
        let reply = core::mem::take(&mut self.pds[receiver.slot()].thread.reply);
        self.pds[reply.slot()].reply.thread = Id::NONE;
        self.pds[receiver.slot()].thread.state = State::Running;
        if how.is_call || self.pds[sender.slot()].thread.fault.kind != FaultKind::None {
            self.await_reply(sender, receiver, reply, can_reply, how.donate);
        } else if how.donate && self.pds[receiver.slot()].thread.sc.is_none() {
            self.donate(self.pds[sender.slot()].thread.sc, receiver);
        }
        self.wake(env, receiver);
    }

    /// Lets thread `receiver`, which is the current one, receive from the endpoint of `endpoint`. `reply` is the reply
    /// object that a caller will wait with, if the receiver brought one.
    pub(crate) fn receive(
        &mut self,
        env: &mut impl Environment,
        receiver: Id,
        endpoint: Id,
        reply: Id,
        blocking: bool,
    ) {
        if reply.is_some() {
            let waiting = self.pds[reply.slot()].reply.thread;
            if waiting.is_some() && waiting != receiver {
                // The earlier caller is never answered.
                self.cancel_ipc(waiting);
            }
        }
        if self.pds[receiver.slot()].notification.pending != 0 {
            self.take_pending(receiver, receiver);
            return;
        }
        if blocking {
            self.return_lent_context(receiver, receiver);
        }
        let sender = self.pds[endpoint.slot()].endpoint.head;
        if sender.is_none() || self.pds[sender.slot()].thread.state != State::BlockedOnSend {
            if blocking {
                let thread = &mut self.pds[receiver.slot()].thread;
                thread.state = State::BlockedOnReceive;
                thread.reply = reply;
                thread.rewind = 4;
                self.pds[reply.slot()].reply.thread = receiver;
                self.wait_at(endpoint, receiver);
            } else {
                self.pds[receiver.slot()].frame.x[reg::A0] = 0;
            }
            return;
        }
        self.pds[endpoint.slot()].endpoint = self.unlink(self.pds[endpoint.slot()].endpoint, sender);
        let thread = &self.pds[sender.slot()].thread;
        let (badge, is_call, can_reply) = (thread.badge, thread.is_call, thread.can_reply);
        self.transfer(env, sender, receiver, badge);
        if is_call || self.pds[sender.slot()].thread.fault.kind != FaultKind::None {
            self.await_reply(sender, receiver, reply, can_reply, true);
        } else {
            self.pds[sender.slot()].thread.state = State::Running;
            self.wake(env, sender);
        }
    }

    /// Queues a thread at an endpoint: more important ones first, then in the order in which they came.
    fn wait_at(&mut self, endpoint: Id, id: Id) {
        let priority = self.pds[id.slot()].thread.priority;
        self.pds[id.slot()].thread.endpoint = endpoint;
        let queue = self.pds[endpoint.slot()].endpoint;
        self.pds[endpoint.slot()].endpoint = if queue.head.is_none() {
            self.push_front(queue, id)
        } else {
            self.insert_before(queue, id, |kernel, other| kernel.pds[other.slot()].thread.priority < priority)
        };
    }

    /// The caller waits for the reply of `callee`, which has `reply` to give it with. Without that it waits for ever.
    fn await_reply(&mut self, caller: Id, callee: Id, reply: Id, can_reply: bool, donate: bool) {
        let thread = &mut self.pds[caller.slot()].thread;
        thread.rewind = if thread.fault.kind == FaultKind::None { 4 } else { 0 };
        if reply.is_none() || !can_reply {
            thread.state = State::Inactive;
            self.rewind(caller);
            return;
        }
        thread.state = State::BlockedOnReply;
        thread.reply = reply;
        let sc = thread.sc;
        self.pds[reply.slot()].reply.thread = caller;
        if donate && sc.is_some() && self.pds[callee.slot()].thread.sc.is_none() {
            let outer = self.pds[sc.slot()].sched_context.reply;
            self.pds[outer.slot()].reply.inner = reply;
            self.pds[outer.slot()].reply.sc = Id::NONE;
            let object = &mut self.pds[reply.slot()].reply;
            object.outer = outer;
            object.sc = sc;
            self.pds[sc.slot()].sched_context.reply = reply;
            self.donate(sc, callee);
        }
    }

    /// Gives a scheduling context to a thread that has none; who had it stops running.
    pub(crate) fn donate(&mut self, sc: Id, to: Id) {
        if sc.is_none() {
            return;
        }
        let from = self.pds[sc.slot()].sched_context.thread;
        if from.is_some() {
            self.dequeue(from);
            self.pds[from.slot()].thread.sc = Id::NONE;
        }
        self.pds[sc.slot()].sched_context.thread = to;
        self.pds[to.slot()].thread.sc = sc;
    }

    /// Answers who waits with `reply`, with the message that thread `sender` holds.
    pub(crate) fn reply(&mut self, env: &mut impl Environment, sender: Id, reply: Id) {
        let caller = self.pds[reply.slot()].reply.thread;
        if caller.is_none() || self.pds[caller.slot()].thread.state != State::BlockedOnReply {
            return;
        }
        self.detach_reply(reply, true);
        let fault = core::mem::take(&mut self.pds[caller.slot()].thread.fault);
        let goes_on = if fault.kind == FaultKind::None {
            self.transfer(env, sender, caller, 0);
            true
        } else {
            self.apply_fault_reply(env, sender, caller, &fault)
        };
        self.pds[caller.slot()].thread.state = if goes_on { State::Running } else { State::Inactive };
        self.wake(env, caller);
    }

    /// Ends a call: the reply object is free again. If it is the innermost call that lent a scheduling context and
    /// `give_back` says so, the caller gets the context back, unless it has another one meanwhile.
    fn detach_reply(&mut self, reply: Id, give_back: bool) {
        let object = core::mem::take(&mut self.pds[reply.slot()].reply);
        self.pds[object.thread.slot()].thread.reply = Id::NONE;
        if object.sc.is_some() {
            let outer = if give_back { object.outer } else { Id::NONE };
            self.pds[object.sc.slot()].sched_context.reply = outer;
            if outer.is_some() {
                self.pds[outer.slot()].reply.inner = Id::NONE;
                self.pds[outer.slot()].reply.sc = object.sc;
            }
            if give_back && self.pds[object.thread.slot()].thread.sc.is_none() {
                self.donate(object.sc, object.thread);
            }
            if !give_back {
                self.break_chain(object.outer);
            }
        } else {
            self.pds[object.inner.slot()].reply.outer = Id::NONE;
            self.break_chain(object.outer);
        }
    }

    /// No scheduling context comes back to the call `reply` any more, nor to those outside it: they are no chain any
    /// longer. So a call that has neither a context to give back nor an inner call has no outer one either, which
    /// [`Self::fast_reply_receive`] relies on.
    pub(crate) fn break_chain(&mut self, mut reply: Id) {
        while reply.is_some() {
            let object = &mut self.pds[reply.slot()].reply;
            object.inner = Id::NONE;
            object.sc = Id::NONE;
            reply = core::mem::take(&mut object.outer);
        }
    }

    /// Takes a thread out of whatever it waits for. Its program counter stays where it is.
    pub(crate) fn stop_waiting(&mut self, id: Id) {
        let thread = &self.pds[id.slot()].thread;
        match thread.state {
            State::BlockedOnSend | State::BlockedOnReceive => {
                let endpoint = thread.endpoint;
                let reply = if thread.state == State::BlockedOnReceive { thread.reply } else { Id::NONE };
                let queue: Queue = self.pds[endpoint.slot()].endpoint;
                self.pds[endpoint.slot()].endpoint = self.unlink(queue, id);
                self.pds[reply.slot()].reply.thread = Id::NONE;
                self.pds[id.slot()].thread.reply = Id::NONE;
            }
            State::BlockedOnReply => self.detach_reply(thread.reply, false),
            State::BlockedOnNotification | State::Inactive | State::Running => {}
        }
    }

    /// Cancels what a thread waits for. When it is resumed, it issues the same system call again.
    pub(crate) fn cancel_ipc(&mut self, id: Id) {
        self.stop_waiting(id);
        let thread = &mut self.pds[id.slot()].thread;
        thread.fault = crate::Fault::NONE;
        if !matches!(thread.state, State::Running | State::Inactive) {
            thread.state = State::Inactive;
            self.rewind(id);
        }
    }

    /// Moves the program counter back to the system call that the thread was blocked in.
    fn rewind(&mut self, id: Id) {
        let pd = &mut self.pds[id.slot()];
        pd.frame.x[0] = pd.frame.x[0].wrapping_sub(u64::from(pd.thread.rewind));
        pd.thread.rewind = 0;
    }

    /// Copies a message, or the message that a fault makes.
    fn transfer(&mut self, env: &mut impl Environment, sender: Id, receiver: Id, badge: u64) {
        if self.pds[sender.slot()].thread.fault.kind == FaultKind::None {
            self.copy_message(env, sender, receiver, badge);
        } else {
            let info = self.write_fault_message(env, sender, receiver);
            let to = &mut self.pds[receiver.slot()].frame;
            to.x[reg::A0] = badge;
            to.x[reg::A1] = info.0;
        }
    }

    /// Message word `word` of the message that a thread holds.
    pub(crate) fn message_word(&self, env: &impl Environment, id: Id, word: usize) -> u64 {
        if word < REGISTER_WORDS { self.pds[id.slot()].frame.x[reg::A2 + word] } else { env.ipc_word(id, word + 1) }
    }

    /// Writes what [`Self::message_word`] reads.
    pub(crate) fn set_message_word(&mut self, env: &mut impl Environment, id: Id, word: usize, value: u64) {
        if word < REGISTER_WORDS {
            self.pds[id.slot()].frame.x[reg::A2 + word] = value;
        } else {
            env.set_ipc_word(id, word + 1, value);
        }
    }

    /// Sets bits of the notification of `id`, and wakes its thread if it waits for a message or for them.
    #[inline(always)]
    pub(crate) fn signal(&mut self, env: &mut impl Environment, id: Id, badge: u64) {
        let pd = &mut self.pds[id.slot()];
        match pd.thread.state {
            State::BlockedOnReceive | State::BlockedOnNotification => {
                self.stop_waiting(id);
                let pd = &mut self.pds[id.slot()];
                pd.thread.state = State::Running;
                pd.frame.x[reg::A0] = badge;
                self.lend_context(id, id);
                self.wake(env, id);
            }
            _ => pd.notification.pending |= badge,
        }
    }

    /// Lets the current thread wait for its notification.
    pub(crate) fn wait(&mut self, id: Id, blocking: bool) {
        if self.pds[id.slot()].notification.pending != 0 {
            self.take_pending(id, id);
        } else if blocking {
            let thread = &mut self.pds[id.slot()].thread;
            thread.state = State::BlockedOnNotification;
            thread.rewind = 4;
            self.return_lent_context(id, id);
        } else {
            self.pds[id.slot()].frame.x[reg::A0] = 0;
        }
    }

    fn take_pending(&mut self, id: Id, notification: Id) {
        let bits = core::mem::take(&mut self.pds[notification.slot()].notification.pending);
        self.pds[id.slot()].frame.x[reg::A0] = bits;
        self.lend_context(id, notification);
    }

    /// A thread without scheduling context that its notification wakes runs on the one bound to the notification.
    fn lend_context(&mut self, id: Id, notification: Id) {
        let sc = self.pds[notification.slot()].notification.sc;
        if self.pds[id.slot()].thread.sc.is_none() && sc.is_some() && self.pds[sc.slot()].sched_context.thread.is_none()
        {
            self.donate(sc, id);
        }
    }

    /// A thread that blocks again gives back what [`Self::lend_context`] lent it.
    fn return_lent_context(&mut self, id: Id, notification: Id) {
        let sc = self.pds[notification.slot()].notification.sc;
        if sc.is_some() && self.pds[id.slot()].thread.sc == sc {
            self.pds[id.slot()].thread.sc = Id::NONE;
            self.pds[sc.slot()].sched_context.thread = Id::NONE;
        }
    }
}
