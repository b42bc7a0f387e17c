//! The system, validated and resolved: what the front end hands to the back end.
//!
//! Everything is plain data. Names are resolved to indices, defaults are filled in, page sizes are chosen, and every rule
//! of the description has been checked, so the back end may rely on each sentence of these comments. What it must still
//! check is what only placing can tell: that everything fits into the board's memory.
//!
//! Source of the rules: the Microkit 2.3 manual and the verdicts of its tool.

use std::path::PathBuf;

/// The smallest page, in bytes.
pub const SMALL_PAGE_BYTES: u64 = 0x1000;
/// The large page of RISC-V Sv39 that descriptions may ask for, in bytes.
pub const LARGE_PAGE_BYTES: u64 = 0x20_0000;

/// First physical address that no PD may map: what seL4 manages with Sv39.
pub const DEVICE_TOP: u64 = 1 << 39;

/// Where an element of the description stands; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

/// A whole system.
#[derive(Clone, Debug, Default)]
pub struct System {
    /// All protection domains, 1 to 63, parents before their children, otherwise in the order of the file.
    /// The index in this list is the index of the PD everywhere.
    pub pds: Vec<ProtectionDomain>,
    /// All memory regions, in the order of the file. The index in this list is the index of the region everywhere.
    pub regions: Vec<MemoryRegion>,
    /// All channels, in the order of the file.
    pub channels: Vec<Channel>,
    /// The domain schedule; `None` means that everything runs in domain 0 for ever.
    pub domains: Option<DomainSchedule>,
}

/// One protection domain (PD).
#[derive(Clone, Debug)]
pub struct ProtectionDomain {
    /// Unique in the system, never `monitor`. May be longer than the 64 bytes that a PD and the kernel get to see.
    pub name: String,
    /// 0..=254, higher wins.
    pub priority: u8,
    /// Execution time per period in microseconds, at least 20.
    pub budget_us: u64,
    /// Microseconds, not less than the budget, and small enough that 8 times as many ticks fit a `u64`. Equal to the budget means round robin.
    pub period_us: u64,
    /// Gives up its scheduling context after `init`.
    pub passive: bool,
    /// May execute floating-point instructions.
    pub fpu: bool,
    /// A multiple of 4 KiB, 4 KiB..=16 MiB. The stack ends at [`kernel_layout::STACK_TOP`].
    pub stack_bytes: u64,
    /// Scheduling domain; 0 when the system has no domains.
    pub domain: u8,
    /// The PD that handles the faults of this one, and under which id.
    pub parent: Option<Parent>,
    /// Path of the ELF as the description has it (relative to the search path).
    pub program_image: PathBuf,
    /// Path of the ELF whose symbol table is used instead of `program_image`'s own.
    pub program_image_for_symbols: Option<PathBuf>,
    /// Mappings. They overlap neither each other nor the stack, the page below it, or what is above it.
    pub maps: Vec<Map>,
    /// Interrupts. Ids are unique among this PD's interrupts and channel ends.
    pub irqs: Vec<Irq>,
    /// Variables that the composer writes into the ELF. Symbols are unique within the PD.
    pub setvars: Vec<SetVar>,
    /// Capabilities of other PDs' objects in the root CNode. Slots are unique within the PD.
    pub shared_caps: Vec<SharedCap>,
    /// The `protection_domain` element.
    pub location: Location,
}

/// A PD's parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Index of the parent, always less than the child's own.
    pub pd: usize,
    /// 0..=61, unique among the parent's children.
    pub child_id: u8,
}

/// A memory region mapped into a PD.
#[derive(Clone, Debug)]
pub struct Map {
    /// Index of the region.
    pub region: usize,
    /// Start, a multiple of the region's page size.
    pub vaddr: u64,
    /// May be read. Without it nothing may be written either, whatever the description says: RISC-V has no such mapping,
    /// and seL4 leaves the write right out. All three may be false: the pages are placed, but not accessible.
    pub read: bool,
    /// May be written.
    pub write: bool,
    /// May be executed.
    pub execute: bool,
    /// The description asked for a cached mapping. RISC-V takes that from the physical address, so it changes nothing.
    pub cached: bool,
    /// The `map` element.
    pub location: Location,
}

/// How an interrupt is signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// As long as the line is active.
    Level,
    /// When the line becomes active.
    Edge,
}

/// An interrupt that a PD receives.
#[derive(Clone, Copy, Debug)]
pub struct Irq {
    /// 0..=61: the bit in the badge and in `microkit_irqs`.
    pub id: u8,
    /// Source number at the interrupt controller, valid on the board, unique in the system.
    pub source: u32,
    /// How it is signalled.
    pub trigger: Trigger,
    /// The `irq` element.
    pub location: Location,
}

/// A variable in a PD's ELF that the composer sets.
#[derive(Clone, Debug)]
pub struct SetVar {
    /// Name in the symbol table.
    pub symbol: String,
    /// What is written, as a 64-bit little-endian word.
    pub value: SetVarValue,
    /// The element that asks for it.
    pub location: Location,
}

/// What a [`SetVar`] is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetVarValue {
    /// A number known from the description: an address, an id, a size.
    Number(u64),
    /// The physical address of the region with this index; the back end chooses it where the description does not.
    RegionPaddr(usize),
}

/// The object that a [`SharedCap`] gives access to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SharedCapKind {
    /// The thread.
    Tcb,
    /// The scheduling context.
    SchedContext,
    /// The address space.
    VSpace,
}

impl SharedCapKind {
    /// The name of the element in the description.
    pub fn element(self) -> &'static str {
        match self {
            SharedCapKind::Tcb => "cap_tcb",
            SharedCapKind::SchedContext => "cap_sc",
            SharedCapKind::VSpace => "cap_vspace",
        }
    }
}

/// A capability of a named PD's object, at `slot << 58`.
#[derive(Clone, Copy, Debug)]
pub struct SharedCap {
    /// Which of the PD's objects.
    pub kind: SharedCapKind,
    /// Index of the PD whose object it is.
    pub pd: usize,
    /// Slot in the root CNode, 1..=63.
    pub slot: u8,
    /// The element in `cspace`.
    pub location: Location,
}

/// A piece of memory that PDs can map.
#[derive(Clone, Debug)]
pub struct MemoryRegion {
    /// Unique in the system.
    pub name: String,
    /// Length: a multiple of `page_bytes`. Zero only for a region that no PD maps.
    pub bytes: u64,
    /// [`SMALL_PAGE_BYTES`] or [`LARGE_PAGE_BYTES`]; already the largest size that the region's length, its fixed address
    /// and all its mappings allow, unless the description fixes it.
    pub page_bytes: u64,
    /// Fixed physical address, a multiple of `page_bytes`. `None`: anywhere in managed RAM, aligned to `page_bytes`.
    /// Fixed regions overlap neither each other nor reserved devices, have no prefill in the firmware, and end below [`DEVICE_TOP`].
    /// Whether one collides with the kernel image is for the back end to say.
    pub paddr: Option<u64>,
    /// First bytes of the region, never more than `bytes` and never empty; the rest is zero. Memory without prefill is
    /// zeroed where it is RAM that the kernel manages, and left as it is where it is a device.
    pub prefill: Option<Vec<u8>>,
    /// The `memory_region` element.
    pub location: Location,
}

/// One end of a channel.
#[derive(Clone, Copy, Debug)]
pub struct ChannelEnd {
    /// Index of the PD.
    pub pd: usize,
    /// 0..=61, unique among this PD's channel ends and interrupts.
    pub id: u8,
    /// This end may notify the other one.
    pub notify: bool,
    /// This end may call the other one, whose priority is strictly higher.
    pub pp: bool,
    /// The `end` element.
    pub location: Location,
}

/// A channel. At most one of the ends may call.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    /// The ends, in the order of the file.
    pub ends: [ChannelEnd; 2],
}

impl Channel {
    /// Each end with the opposite one: `(own end, peer's end)`.
    pub fn directions(&self) -> [(&ChannelEnd, &ChannelEnd); 2] {
        [(&self.ends[0], &self.ends[1]), (&self.ends[1], &self.ends[0])]
    }
}

/// The schedule of domains.
#[derive(Clone, Debug)]
pub struct DomainSchedule {
    /// Names of the domains in use with their numbers, 0..=15, sorted by number.
    pub names: Vec<(String, u8)>,
    /// Index in `slots` to begin with, and to go back to at an end marker and after the last slot. Never an end marker.
    /// (The description's `index_shift` only moves the table within the kernel's, which nothing can notice.)
    pub start: usize,
    /// The slots in order, 1 to 99 of them.
    pub slots: Vec<DomainSlot>,
}

/// An entry of the domain schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DomainSlot {
    /// A domain runs for a while.
    Run {
        /// The domain.
        domain: u8,
        /// How long; never zero.
        duration: Duration,
    },
    /// Back to [`DomainSchedule::start`].
    EndMarker,
}

/// A length of time in the unit of the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duration {
    /// Microseconds.
    Micros(u64),
    /// Ticks of the board's time base.
    Ticks(u64),
}

impl System {
    /// Whether a PD needs an endpoint to receive from: it has children, or somebody may call it.
    pub fn needs_endpoint(&self, pd: usize) -> bool {
        self.pds.iter().any(|other| other.parent.is_some_and(|parent| parent.pd == pd))
            || self.channels.iter().flat_map(Channel::directions).any(|(own, peer)| own.pp && peer.pd == pd)
    }

    /// The children of a PD: their index and their id.
    pub fn children(&self, pd: usize) -> impl Iterator<Item = (usize, u8)> + '_ {
        self.pds
            .iter()
            .enumerate()
            .filter_map(move |(index, other)| other.parent.filter(|p| p.pd == pd).map(|p| (index, p.child_id)))
    }

    /// The channel ends of a PD with the opposite end.
    pub fn channel_ends(&self, pd: usize) -> impl Iterator<Item = (&ChannelEnd, &ChannelEnd)> + '_ {
        self.channels.iter().flat_map(Channel::directions).filter(move |(own, _)| own.pd == pd)
    }

    /// Whether any PD maps the region.
    pub fn is_mapped(&self, region: usize) -> bool {
        self.pds.iter().any(|pd| pd.maps.iter().any(|map| map.region == region))
    }
}
