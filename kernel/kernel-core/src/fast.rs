//! Short ways for what happens all the time: a call to a server that waits, its answer, a signal, and waiting for one.
//!
//! Each looks at all it needs first. If something is out of the ordinary it has changed nothing, and the general way of
//! the other modules does the whole. Where both apply they come to the same state; the tests compare them.

use crate::fault::object;
use crate::message::{MAX_WORDS, MessageInfo, REGISTER_WORDS, label};
use crate::objects::{Id, Queue, Queued, State, reg};
use crate::schedule::lowest_bit;
use crate::{Environment, Exception, Fault, FaultKind, Kernel};
use kernel_layout::{Cap, cap_kind, cap_rights, slot};

#[inline(always)]
fn is_cap(cap: &Cap, kind: u8, rights: u8) -> bool {
    cap.kind == kind && cap.rights & rights == rights
}

/// Whether a message has no capabilities and is not too long.
#[inline(always)]
fn is_plain(info: u64, long: bool) -> bool {
    info & 0xfff <= if long { MAX_WORDS } else { REGISTER_WORDS as u64 }
}

/// How many words a plain message has. Computed where it is needed: a register is free there again.
#[inline(always)]
fn plain_words(info: u64, long: bool) -> usize {
    (info & if long { 0x7f } else { 7 }) as usize
}

/// Whether a message has no more words than registers, and no capabilities.
#[inline(always)]
pub fn is_short(info: u64) -> bool {
    info & 0xfff <= REGISTER_WORDS as u64
}

/// What became of an attempt to do it the short way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was done; the general way must be taken.
    NotDone,
    /// Done; the current thread goes on.
    SameThread,
    /// Done; another thread, this one, is current now.
    OtherThread(Id),
}

/// A caller and a server that waits for it.
struct Meeting {
    server: Id,
    /// What the server brought along for the caller to wait with.
    reply: Id,
    /// The caller's scheduling context.
    sc: Id,
    /// The server's own, if it has one.
    server_sc: Id,
}

impl Kernel<'_> {
    /// A capability of the Microkit CNode.
    #[inline(always)]
    fn small_cap(&self, id: Id, cptr: u64) -> Option<&Cap> {
        self.pds[id.slot()].thread.caps?.get(cptr as usize)
    }

    /// The short way of [`crate::number::SEND`].
    #[inline(always)]
    pub fn fast_send(&mut self, env: &mut impl Environment, cptr: u64, info: u64) -> Outcome {
        let Some(cap) = self.small_cap(self.current, cptr) else { return Outcome::NotDone };
        if !is_cap(cap, cap_kind::NOTIFICATION, cap_rights::WRITE) || MessageInfo(info).extra_caps() != 0 {
            return Outcome::NotDone;
        }
        self.fast_signal(env, object(*cap), cap.badge)
    }

    /// The short way of a signal, while a thread runs.
    #[inline(always)]
    pub(crate) fn fast_signal(&mut self, env: &mut impl Environment, id: Id, badge: u64) -> Outcome {
        let pd = &mut self.pds[id.slot()];
        let state = pd.thread.state;
        if state != State::BlockedOnReceive && state != State::BlockedOnNotification {
            pd.notification.pending |= badge;
            return Outcome::SameThread;
        }
        let (sc, bit, endpoint, reply) = (pd.thread.sc, pd.thread.level_bit, pd.thread.endpoint, pd.thread.reply);
        let current_bit = self.pds[self.current.slot()].thread.level_bit;
        let queue = self.pds[endpoint.slot()].endpoint;
        if sc.is_none()
            || !self.pds[sc.slot()].sched_context.is_round_robin()
            || !self.pds[self.current_sc.slot()].sched_context.is_round_robin()
            || bit & self.domain_levels == 0
            || bit == current_bit
            || state == State::BlockedOnReceive && (queue.head != id || queue.tail != id)
        {
            return Outcome::NotDone;
        }
        if state == State::BlockedOnReceive {
            self.pds[endpoint.slot()].endpoint = Queue::EMPTY;
            self.pds[reply.slot()].reply.thread = Id::NONE;
        }
        let pd = &mut self.pds[id.slot()];
        pd.frame.x[reg::A0] = badge;
        pd.thread.state = State::Running;
        pd.thread.reply = Id::NONE;
        if bit > current_bit {
            self.enqueue_first(id);
            return Outcome::SameThread;
        }
        let now = env.now();
        let preempted = self.current;
        if self.charge_round_robin(now) {
            self.enqueue_last(preempted);
        } else {
            self.enqueue_first(preempted);
        }
        self.current = id;
        self.enter_round_robin(env, sc);
        Outcome::OtherThread(id)
    }

    /// The short way of [`crate::number::RECV`], when there is nothing to receive and another thread is ready.
    #[inline(always)]
    pub fn fast_receive(&mut self, env: &mut impl Environment, cptr: u64) -> Outcome {
        let id = self.current;
        let Some(cap) = self.small_cap(id, cptr) else { return Outcome::NotDone };
        let input = object(*cap);
        let pd = &self.pds[id.slot()];
        let ready = self.ready & self.domain_levels;
        if cap.rights & cap_rights::READ == 0
            || pd.notification.pending != 0
            || pd.notification.sc.is_some()
            || ready == 0
            || !self.pds[self.current_sc.slot()].sched_context.is_round_robin()
        {
            return Outcome::NotDone;
        }
        let level = lowest_bit(ready);
        let next = self.levels[level].head;
        let sc = self.pds[next.slot()].thread.sc;
        if !self.pds[sc.slot()].sched_context.is_round_robin() {
            return Outcome::NotDone;
        }
        if cap.kind == cap_kind::ENDPOINT {
            let Some(reply_cap) = self.small_cap(id, pd.frame.x[reg::A6]) else { return Outcome::NotDone };
            let reply = object(*reply_cap);
            if reply_cap.kind != cap_kind::REPLY
                || self.pds[reply.slot()].reply.thread.is_some()
                || self.pds[input.slot()].endpoint.head.is_some()
            {
                return Outcome::NotDone;
            }
            self.wait_alone(id, input, reply);
        } else if cap.kind == cap_kind::NOTIFICATION && input == id {
            let thread = &mut self.pds[id.slot()].thread;
            thread.state = State::BlockedOnNotification;
            thread.rewind = 4;
        } else {
            return Outcome::NotDone;
        }
        self.take_first(level, next);
        let now = env.now();
        self.charge_round_robin(now);
        self.current = next;
        self.enter_round_robin(env, sc);
        Outcome::OtherThread(next)
    }

    /// Takes the first thread of a level out of its queue.
    #[inline(always)]
    fn take_first(&mut self, level: usize, id: Id) {
        let thread = &mut self.pds[id.slot()].thread;
        let (second, bit) = (thread.next, thread.level_bit);
        thread.next = Id::NONE;
        thread.queued = Queued::No;
        if second.is_some() {
            self.levels[level & 63].head = second;
            self.pds[second.slot()].thread.prev = Id::NONE;
        } else {
            self.levels[level & 63] = Queue::EMPTY;
            self.ready &= !bit;
        }
    }

    /// Blocks a thread at an endpoint where nobody waits.
    #[inline(always)]
    fn wait_alone(&mut self, id: Id, endpoint: Id, reply: Id) {
        self.pds[reply.slot()].reply.thread = id;
        self.pds[endpoint.slot()].endpoint = Queue { head: id, tail: id };
        let thread = &mut self.pds[id.slot()].thread;
        thread.state = State::BlockedOnReceive;
        thread.endpoint = endpoint;
        thread.reply = reply;
        thread.rewind = 4;
        thread.next = Id::NONE;
        thread.prev = Id::NONE;
    }

    /// The short way of [`crate::number::CALL`] to a server above the caller that waits for it. Made twice, because
    /// the registers that long messages need to be copied with are missed by those that fit into registers.
    #[inline(always)]
    pub fn fast_call<const LONG: bool>(&mut self, env: &mut impl Environment, cptr: u64, info: u64) -> Outcome {
        let caller = self.current;
        let Some(cap) = self.small_cap(caller, cptr) else { return Outcome::NotDone };
        if !is_plain(info, LONG) {
            return Outcome::NotDone;
        }
        if !is_cap(cap, cap_kind::ENDPOINT, cap_rights::WRITE | cap_rights::GRANT_REPLY) {
            return Outcome::NotDone;
        }
        let (endpoint, badge) = (object(*cap), cap.badge);
        let Some(meeting) = self.meet(caller, endpoint) else { return Outcome::NotDone };
        self.put_message::<LONG>(env, (caller, meeting.server), badge, info, plain_words(info, LONG));
        self.enter_server(env, caller, endpoint, &meeting, 4);
        Outcome::OtherThread(meeting.server)
    }

    /// Who waits at an endpoint to serve `caller` at once.
    #[inline(always)]
    fn meet(&self, caller: Id, endpoint: Id) -> Option<Meeting> {
        let queue = self.pds[endpoint.slot()].endpoint;
        let server = queue.head;
        let target = &self.pds[server.slot()].thread;
        let (reply, server_sc) = (target.reply, target.sc);
        // The current thread is at least as important as every ready one, so a server above it is above them all.
        if target.state != State::BlockedOnReceive
            || reply.is_none()
            || queue.tail != server
            || target.level_bit & self.domain_levels == 0
            || target.level_bit >= self.pds[caller.slot()].thread.level_bit
        {
            return None;
        }
        let sc = self.pds[caller.slot()].thread.sc;
        if server_sc.is_some()
            && (!self.pds[server_sc.slot()].sched_context.is_round_robin()
                || !self.pds[sc.slot()].sched_context.is_round_robin())
        {
            return None;
        }
        Some(Meeting { server, reply, sc, server_sc })
    }

    /// The caller waits for the reply of the server, which goes on now: on its own scheduling context, or on the
    /// caller's.
    #[inline(always)]
    fn enter_server(&mut self, env: &mut impl Environment, caller: Id, endpoint: Id, meeting: &Meeting, rewind: u8) {
        let Meeting { server, reply, sc, server_sc } = *meeting;
        self.pds[endpoint.slot()].endpoint = Queue::EMPTY;
        self.pds[reply.slot()].reply.thread = caller;
        let thread = &mut self.pds[caller.slot()].thread;
        thread.state = State::BlockedOnReply;
        thread.reply = reply;
        thread.rewind = rewind;
        let thread = &mut self.pds[server.slot()].thread;
        thread.state = State::Running;
        thread.reply = Id::NONE;
        self.current = server;
        if server_sc.is_none() {
            self.pds[caller.slot()].thread.sc = Id::NONE;
            self.pds[server.slot()].thread.sc = sc;
            let context = &mut self.pds[sc.slot()].sched_context;
            context.thread = server;
            let outer = core::mem::replace(&mut context.reply, reply);
            let object = &mut self.pds[reply.slot()].reply;
            object.outer = outer;
            object.sc = sc;
            if outer.is_some() {
                self.pds[outer.slot()].reply.inner = reply;
                self.pds[outer.slot()].reply.sc = Id::NONE;
            }
        } else {
            let now = env.now();
            self.charge_round_robin(now);
            self.enter_round_robin(env, server_sc);
        }
    }

    /// The short way of a fault of the current thread, if its message fits into registers and its handler, above it,
    /// waits for it.
    #[inline(always)]
    pub fn fast_exception(&mut self, env: &mut impl Environment, exception: Exception) -> Outcome {
        let id = self.current;
        let fault = Fault::of(exception);
        let Some(cap) = self.small_cap(id, slot::FAULT) else { return Outcome::NotDone };
        if !is_cap(cap, cap_kind::ENDPOINT, cap_rights::WRITE | cap_rights::GRANT_REPLY) {
            return Outcome::NotDone;
        }
        let (endpoint, badge) = (object(*cap), cap.badge);
        let Some(meeting) = self.meet(id, endpoint) else { return Outcome::NotDone };
        let pd = &mut self.pds[id.slot()];
        pd.thread.fault = fault;
        let words = fault.short_words(&pd.frame);
        let to = &mut self.pds[meeting.server.slot()].frame;
        to.x[reg::A0] = badge;
        to.x[reg::A1] = MessageInfo::new(fault.kind as u64, REGISTER_WORDS as u64).0;
        to.x[reg::A2..reg::A2 + REGISTER_WORDS].copy_from_slice(&words);
        self.enter_server(env, id, endpoint, &meeting, 0);
        Outcome::OtherThread(meeting.server)
    }

    /// The short way of a restart: the program counter is all that is written to a less important thread that has faulted
    /// and waits for its handler, and that is resumed.
    pub fn fast_restart(&mut self, cptr: u64, info: u64) -> Outcome {
        let current = self.current;
        let Some(cap) = self.small_cap(current, cptr) else { return Outcome::NotDone };
        let id = object(*cap);
        let [flags, count, pc] = self.pds[current.slot()].frame.x[reg::A2..reg::A2 + 3] else {
            return Outcome::NotDone;
        };
        let thread = &self.pds[id.slot()].thread;
        let reply = thread.reply;
        let call = &self.pds[reply.slot()].reply;
        if cap.kind != cap_kind::THREAD
            || MessageInfo(info).label() != label::TCB_WRITE_REGISTERS
            || MessageInfo(info).words() < 3
            || MessageInfo(info).extra_caps() != 0
            || flags & 1 == 0
            || count != 1
            || id == current
            || thread.state != State::BlockedOnReply
            || call.sc.is_some()
            || call.inner.is_some()
            || call.outer.is_some()
            || thread.sc.is_none()
            || !self.pds[thread.sc.slot()].sched_context.is_round_robin()
            || thread.level_bit & self.domain_levels == 0
            || thread.level_bit <= self.pds[current.slot()].thread.level_bit
        {
            return Outcome::NotDone;
        }
        self.pds[reply.slot()].reply.thread = Id::NONE;
        let pd = &mut self.pds[id.slot()];
        pd.frame.x[0] = pc;
        pd.thread.rewind = 0;
        pd.thread.fault.kind = FaultKind::None;
        pd.thread.reply = Id::NONE;
        pd.thread.state = State::Running;
        self.enqueue_first(id);
        let frame = &mut self.pds[current.slot()].frame;
        frame.x[reg::A0] = 0;
        frame.x[reg::A1] = 0;
        Outcome::SameThread
    }

    /// The short way of [`crate::number::REPLY_RECV`] when a caller waits for the reply and nothing else has happened.
    #[inline(always)]
    pub fn fast_reply_receive<const LONG: bool>(
        &mut self,
        env: &mut impl Environment,
        cptr: u64,
        info: u64,
        reply_cptr: u64,
    ) -> Outcome {
        let server = self.current;
        if !is_plain(info, LONG) {
            return Outcome::NotDone;
        }
        let Some(reply_cap) = self.small_cap(server, reply_cptr) else { return Outcome::NotDone };
        let Some(cap) = self.small_cap(server, cptr) else { return Outcome::NotDone };
        if reply_cap.kind != cap_kind::REPLY || !is_cap(cap, cap_kind::ENDPOINT, cap_rights::READ) {
            return Outcome::NotDone;
        }
        let (reply, endpoint) = (object(*reply_cap), object(*cap));
        let call = &self.pds[reply.slot()].reply;
        let (caller, lent) = (call.thread, call.sc);
        let target = &self.pds[caller.slot()].thread;
        let bit = target.level_bit;
        let pd = &self.pds[server.slot()];
        if target.state != State::BlockedOnReply
            || target.fault.kind != FaultKind::None
            || self.pds[endpoint.slot()].endpoint.head.is_some()
            || pd.notification.pending != 0
            || self.ready & self.domain_levels & bit.wrapping_sub(1) != 0
            || self.domain_levels & bit == 0
        {
            return Outcome::NotDone;
        }
        // Either the server runs on its caller's context, or both have one that never waits for budget.
        let (own, caller_sc) = (pd.thread.sc, target.sc);
        if lent.is_some() {
            if own != lent || caller_sc.is_some() || pd.notification.sc == lent {
                return Outcome::NotDone;
            }
        } else if caller_sc.is_none()
            || pd.notification.sc.is_some()
            || !self.pds[own.slot()].sched_context.is_round_robin()
            || !self.pds[caller_sc.slot()].sched_context.is_round_robin()
        {
            return Outcome::NotDone;
        }
        self.wait_alone(server, endpoint, reply);
        let thread = &mut self.pds[caller.slot()].thread;
        thread.state = State::Running;
        thread.reply = Id::NONE;
        self.current = caller;
        self.put_message::<LONG>(env, (server, caller), 0, info, plain_words(info, LONG));
        if lent.is_some() {
            self.pds[caller.slot()].thread.sc = lent;
            self.pds[server.slot()].thread.sc = Id::NONE;
            let object = &mut self.pds[reply.slot()].reply;
            let outer = core::mem::take(&mut object.outer);
            object.sc = Id::NONE;
            let context = &mut self.pds[lent.slot()].sched_context;
            context.reply = outer;
            context.thread = caller;
            if outer.is_some() {
                self.pds[outer.slot()].reply.inner = Id::NONE;
                self.pds[outer.slot()].reply.sc = lent;
            }
        } else {
            let now = env.now();
            self.charge_round_robin(now);
            self.enter_round_robin(env, caller_sc);
        }
        Outcome::OtherThread(caller)
    }

    /// Copies the message of thread `sender`: registers first, the rest from IPC buffer to IPC buffer.
    pub(crate) fn copy_message(&mut self, env: &mut impl Environment, sender: Id, receiver: Id, badge: u64) {
        let from = &self.pds[sender.slot()].frame;
        let info = MessageInfo(from.x[reg::A1]).without_caps();
        self.put_message::<true>(env, (sender, receiver), badge, info.0, info.words() as usize);
    }

    /// Gives the second thread a message of the first; not `LONG`: it has no more words than registers.
    #[inline(always)]
    fn put_message<const LONG: bool>(
        &mut self,
        env: &mut impl Environment,
        (sender, receiver): (Id, Id),
        badge: u64,
        info: u64,
        words: usize,
    ) {
        let to = &mut self.pds[receiver.slot()].frame;
        to.x[reg::A0] = badge;
        to.x[reg::A1] = info;
        // Only as many registers as the message has: the others are the sender's own affair.
        // Of the numbers up to four, four is the one with that bit.
        let fills_registers = if LONG { words >= REGISTER_WORDS } else { words & REGISTER_WORDS != 0 };
        if fills_registers {
            let from = &self.pds[sender.slot()].frame;
            let registers = [from.x[reg::A2], from.x[reg::A2 + 1], from.x[reg::A2 + 2], from.x[reg::A2 + 3]];
            let to = &mut self.pds[receiver.slot()].frame;
            to.x[reg::A2..reg::A2 + REGISTER_WORDS].copy_from_slice(&registers);
            if LONG && words > REGISTER_WORDS {
                env.copy_ipc_words(sender, receiver, REGISTER_WORDS + 1, words - REGISTER_WORDS);
            }
            // Or the compiler joins the last store with one below, at the price of two instructions and a jump.
            core::hint::black_box(());
        } else if words != 0 {
            self.copy_register(sender, receiver, reg::A2);
            if words > 1 {
                self.copy_register(sender, receiver, reg::A2 + 1);
            }
            if words > 2 {
                self.copy_register(sender, receiver, reg::A2 + 2);
            }
        }
    }

    #[inline(always)]
    fn copy_register(&mut self, from: Id, to: Id, register: usize) {
        self.pds[to.slot()].frame.x[register] = self.pds[from.slot()].frame.x[register];
    }

    /// [`Self::charge`] for a current scheduling context that is known to be round robin.
    #[inline(always)]
    fn charge_round_robin(&mut self, now: u64) -> bool {
        let used = now.wrapping_sub(self.charged_until);
        self.charged_until = now;
        let min_budget = self.min_budget;
        self.pds[self.current_sc.slot()].sched_context.charge_round_robin(used, min_budget)
    }

    /// The scheduling context `sc`, of the new current thread, pays from now on; it is round robin.
    #[inline(always)]
    fn enter_round_robin(&mut self, env: &mut impl Environment, sc: Id) {
        self.current_sc = sc;
        let available = self.pds[sc.slot()].sched_context.available();
        // The sum is far from overflowing: budgets are bounded at boot.
        env.set_deadline(self.next_event.min(self.charged_until.wrapping_add(available)));
    }
}
