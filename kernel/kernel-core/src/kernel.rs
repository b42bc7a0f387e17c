//! The kernel's state.

use crate::objects::{Id, Pd, Queue};
use kernel_layout::{DomainSlot, IrqInfo, PdInfo};

/// The highest source number that an interrupt controller has.
pub const MAX_IRQ_SOURCE: usize = 1023;

/// All objects and the scheduler.
///
/// A new kernel is all zeros, so that a static one needs no room in the image; [`Kernel::boot`] fills it.
///
/// What every entry looks at comes first and the PDs follow, so that all of it is within reach of one base register.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Kernel<'a> {
    /// The thread that runs, or nothing. It is in no queue.
    pub(crate) current: Id,
    /// The scheduling context that pays. It is the current thread's except while a system call is at work.
    pub(crate) current_sc: Id,
    /// What the scheduler is to do at the end of this entry.
    pub(crate) action: Action,
    /// The deadline must be computed anew.
    pub(crate) deadline_stale: bool,
    /// Threads without budget, in the order in which they get some.
    pub(crate) release: Queue,
    /// Until when the current scheduling context has paid.
    pub(crate) charged_until: u64,
    /// Levels with threads in their ready queue: bit 0 is level 0, the most important.
    pub(crate) ready: u64,
    /// Levels of the domain whose turn it is.
    pub(crate) domain_levels: u64,
    /// When the first of the released threads gets budget, or the turn of the current domain ends.
    pub(crate) next_event: u64,
    /// When the turn of the current domain ends.
    pub(crate) domain_end: u64,
    /// Budgets below this many ticks are too small to do anything with.
    pub(crate) min_budget: u64,
    /// `time` ticks per microsecond.
    pub(crate) ticks_per_us: u64,
    /// Ready threads. Every pair of domain and priority that some PD has is a level of its own.
    pub(crate) levels: [Queue; 64],
    pub(crate) level_domains: [u8; 64],
    /// The entry of the domain schedule whose turn it is.
    pub(crate) domain_index: usize,
    pub(crate) domain_start: usize,
    pub(crate) domain_schedule: Option<&'a [DomainSlot]>,
    pub(crate) infos: Option<&'a [PdInfo]>,
    pub(crate) irqs: Option<&'a [IrqInfo]>,
    pub(crate) pds: [Pd<'a>; 64],
    /// The index in `irqs` plus one, by source.
    pub(crate) irq_of_source: [u16; MAX_IRQ_SOURCE + 1],
}

const _: () = assert!(core::mem::offset_of!(Kernel, pds) == 512);

/// What the scheduler is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Action {
    /// Go on with the current thread, if it can.
    #[default]
    Resume,
    /// Go on with this thread, which is in no queue, unless a more important one is ready.
    Switch(Id),
    /// Look who is the most important.
    Choose,
}

impl<'a> Kernel<'a> {
    /// A kernel without PDs.
    pub const fn new() -> Self {
        Self {
            current: Id::NONE,
            current_sc: Id::NONE,
            action: Action::Resume,
            deadline_stale: false,
            charged_until: 0,
            ready: 0,
            domain_levels: 0,
            next_event: 0,
            domain_end: 0,
            min_budget: 0,
            ticks_per_us: 0,
            release: Queue::EMPTY,
            domain_index: 0,
            domain_start: 0,
            domain_schedule: None,
            infos: None,
            irqs: None,
            levels: [Queue::EMPTY; 64],
            level_domains: [0; 64],
            irq_of_source: [0; MAX_IRQ_SOURCE + 1],
            pds: [const { Pd::EMPTY }; 64],
        }
    }

    /// The thread to run now. Nothing: wait for an interrupt.
    pub fn current(&self) -> Id {
        self.current
    }

    /// The objects of a PD, for the machine layer's loading and saving of registers.
    pub fn pd(&self, id: Id) -> &Pd<'a> {
        &self.pds[id.slot()]
    }

    /// The objects of a PD.
    pub fn pd_mut(&mut self, id: Id) -> &mut Pd<'a> {
        &mut self.pds[id.slot()]
    }

    /// What the composer says of the PDs.
    pub fn infos(&self) -> &'a [PdInfo] {
        self.infos.unwrap_or_default()
    }

    /// What the composer says of a PD.
    pub fn info(&self, id: Id) -> Option<&'a PdInfo> {
        self.infos?.get(id.index())
    }

    /// The sources of the interrupts that PDs receive.
    pub fn irq_sources(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.irqs.unwrap_or_default().iter().map(|irq| irq.source)
    }

    /// The bits that a notification has collected and nobody has received.
    pub fn pending(&self, id: Id) -> u64 {
        self.pds[id.slot()].notification.pending
    }
}

impl Default for Kernel<'_> {
    fn default() -> Self {
        Self::new()
    }
}
