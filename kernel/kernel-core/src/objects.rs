//! The kernel's objects. Every PD has one of each kind, so they lie together and one [`Id`] names them all.

use crate::Fault;
use kernel_layout::Cap;

/// Names a PD and each of its objects, or nothing.
///
/// 0 is nothing, so that memory full of zeros is a kernel without PDs; PD `i` is `i + 1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Id(u8);

impl Id {
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// The PD with this index, 0..=62.
    pub const fn from_index(pd: usize) -> Self {
        Self((pd as u8).wrapping_add(1) & 63)
    }

    /// The index of the PD; only for ids that are something.
    pub const fn index(self) -> usize {
        (self.0 as usize).wrapping_sub(1) & 63
    }

    /// Whether this is a PD.
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }

    /// Whether this is nothing.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Where the objects lie in the kernel's array.
    pub(crate) const fn slot(self) -> usize {
        (self.0 & 63) as usize
    }
}

/// Register numbers.
#[allow(missing_docs)]
pub mod reg {
    pub const RA: usize = 1;
    pub const SP: usize = 2;
    pub const T0: usize = 5;
    pub const A0: usize = 10;
    pub const A1: usize = 11;
    pub const A2: usize = 12;
    pub const A6: usize = 16;
    pub const A7: usize = 17;
}

/// The order of registers in the messages that read and write them.
pub(crate) const REGISTER_ORDER: [usize; 32] = [
    0, 1, 2, 3, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 10, 11, 12, 13, 14, 15, 16, 17, 5, 6, 7, 28, 29, 30, 31,
    4,
];

/// A thread's integer registers: `x[n]` is register n, and `x[0]`, which the machine does not have, the program counter.
///
/// The machine layer saves registers here before it enters the kernel. On a system call the program counter already
/// points behind the `ecall`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Frame {
    /// The registers.
    pub x: [u64; 32],
}

/// What a thread does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// It was stopped, or never started.
    #[default]
    Inactive,
    /// It runs as soon as it has a scheduling context with budget and nobody more important runs.
    Running,
    /// It waits at an endpoint for a receiver.
    BlockedOnSend,
    /// It waits at an endpoint for a sender.
    BlockedOnReceive,
    /// It called, and waits for the reply.
    BlockedOnReply,
    /// It waits for its notification.
    BlockedOnNotification,
}

/// Which of the scheduler's queues a thread is in. Those at endpoints follow from the thread's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Queued {
    #[default]
    No,
    Ready,
    Release,
}

/// First and last thread of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queue {
    pub head: Id,
    pub tail: Id,
}

/// An amount of budget, in ticks, that may be used from a time on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refill {
    pub time: u64,
    pub amount: u64,
}

/// The right to use processor time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SchedContext {
    /// The thread that runs on it.
    pub thread: Id,
    /// The notification it is bound to: who wakes a passive PD by it lends it this context.
    pub notification: Id,
    /// The innermost reply object of the calls that it was lent through.
    pub reply: Id,
    /// 1 or 2.
    pub refill_count: u8,
    /// In ticks; 0 means round robin.
    pub period: u64,
    /// In ticks.
    pub budget: u64,
    /// In the order of their times. Round robin has one, and its time is without meaning.
    pub refills: [Refill; 2],
    /// Ticks used since somebody asked.
    pub consumed: u64,
}

/// A notification. Only the PD's own thread ever waits for it, so it needs no queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Notification {
    /// The signalled bits that were not delivered yet.
    pub pending: u64,
    /// The scheduling context it lends.
    pub sc: Id,
}

/// A reply object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reply {
    /// The caller that waits for the reply, or the receiver that brought the object along and waits for a caller.
    pub thread: Id,
    /// The call that lent the same scheduling context before this one.
    pub outer: Id,
    /// The call that lent it after this one.
    pub inner: Id,
    /// The scheduling context, if this is the innermost call that lent it.
    pub sc: Id,
}

/// Who a thread is, and what it does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Thread<'a> {
    /// Capabilities of the Microkit CNode.
    pub caps: Option<&'a [Cap]>,
    /// Capabilities of the root CNode.
    pub shared_caps: Option<&'a [Cap]>,
    /// The badge that a blocked send carries.
    pub badge: u64,
    /// `1 << level` ([`crate::Kernel`] has the levels; a lower one is more important).
    pub level_bit: u64,
    pub state: State,
    pub queued: Queued,
    pub sc: Id,
    pub level: u8,
    /// The queue's neighbours.
    pub next: Id,
    pub prev: Id,
    /// The endpoint it waits at.
    pub endpoint: Id,
    /// The reply object it waits with, as caller or as receiver.
    pub reply: Id,
    /// The blocked send is a call.
    pub is_call: bool,
    /// The blocked send may be replied to.
    pub can_reply: bool,
    /// What to take off the program counter when the blocked system call is cancelled, so that it is issued again.
    pub rewind: u8,
    pub priority: u8,
    pub domain: u8,
    pub passive: bool,
    /// What it waits for its fault handler with.
    pub fault: Fault,
}

/// Everything that one PD is to the kernel. The frame comes first: the machine layer's assembly relies on it.
#[derive(Clone, Debug, Default, PartialEq)]
#[repr(C, align(512))]
pub struct Pd<'a> {
    /// The registers while the thread does not run.
    pub frame: Frame,
    /// The value of the `satp` register for its address space.
    pub satp: u64,
    pub(crate) thread: Thread<'a>,
    pub(crate) sched_context: SchedContext,
    pub(crate) notification: Notification,
    pub(crate) reply: Reply,
    /// Who waits at the PD's endpoint: all to send, or all to receive.
    pub(crate) endpoint: Queue,
}

impl Queue {
    /// No thread.
    pub(crate) const EMPTY: Self = Self { head: Id::NONE, tail: Id::NONE };
}

impl Pd<'_> {
    /// The place of a PD that does not exist. All its bytes are zero.
    pub(crate) const EMPTY: Self = Self {
        frame: Frame { x: [0; 32] },
        satp: 0,
        thread: Thread {
            caps: None,
            shared_caps: None,
            badge: 0,
            level_bit: 0,
            state: State::Inactive,
            queued: Queued::No,
            sc: Id::NONE,
            level: 0,
            next: Id::NONE,
            prev: Id::NONE,
            endpoint: Id::NONE,
            reply: Id::NONE,
            is_call: false,
            can_reply: false,
            rewind: 0,
            priority: 0,
            domain: 0,
            passive: false,
            fault: Fault::NONE,
        },
        sched_context: SchedContext {
            thread: Id::NONE,
            notification: Id::NONE,
            reply: Id::NONE,
            refill_count: 0,
            period: 0,
            budget: 0,
            refills: [Refill { time: 0, amount: 0 }; 2],
            consumed: 0,
        },
        notification: Notification { pending: 0, sc: Id::NONE },
        reply: Reply { thread: Id::NONE, outer: Id::NONE, inner: Id::NONE, sc: Id::NONE },
        endpoint: Queue::EMPTY,
    };
}

const _: () = {
    assert!(core::mem::offset_of!(Pd, frame) == 0);
    assert!(core::mem::offset_of!(Pd, satp) == 256);
    assert!(core::mem::size_of::<Pd>() == 512 || !cfg!(target_pointer_width = "64"));
};
