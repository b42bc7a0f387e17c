//! What the composer writes and the kernel reads: the boot information.
//!
//! Every object that a Microkit system can have belongs to one protection domain (PD): a thread, a scheduling context,
//! a notification, an endpoint and a reply object. So an object is named by its kind and the index of its PD, the kernel
//! needs no allocator, and this crate is the whole contract between the two programs:
//!
//! - the composer links nothing into the kernel: it fills the symbol [`BOOT_BLOCK_SYMBOL`] of the kernel's ELF with a
//!   [`BootBlock`] and places one *boot blob* right behind the kernel's last page;
//! - the blob starts with a [`BootInfo`]; its [`Span`]s say where in the blob the tables lie;
//! - page tables are made by the composer too. Those of a PD map, in root entry [`KERNEL_ROOT_INDEX`], the kernel's own
//!   level-1 table, which is the same for all.
//!
//! All integers are little-endian, as both the target and the supported hosts are.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The most protection domains a system can have (Microkit 2.3).
pub const MAX_PDS: usize = 63;
/// Channel and interrupt ids of a PD, one shared number space: 0..=61.
pub const MAX_CHANNEL_ID: u64 = 61;
/// The most entries of a domain schedule.
pub const MAX_DOMAIN_SCHEDULE: usize = 100;
/// The most scheduling domains.
pub const MAX_DOMAINS: usize = 16;
/// Priorities of threads: 0..=254 for PDs.
pub const MAX_PRIORITY: u8 = 254;

/// A kernel virtual address is the physical one plus this offset (only for the kernel image and the boot blob).
pub const KERNEL_VA_OFFSET: u64 = 0xffff_ffff_0000_0000;
/// The entry of every PD's root page table that holds the kernel's level-1 table. It covers
/// `0xffff_ffff_8000_0000..0xffff_ffff_c000_0000`.
pub const KERNEL_ROOT_INDEX: usize = 510;
/// The IPC buffer of PD `i` is mapped, for the kernel alone, at `IPC_WINDOW + i * 4096`.
pub const IPC_WINDOW: u64 = 0xffff_ffff_b000_0000;
/// The interrupt controller's registers are mapped, for the kernel alone, from here on (2 MiB pages).
pub const PLIC_WINDOW: u64 = 0xffff_ffff_b100_0000;

/// The IPC buffer's address in every PD.
pub const IPC_BUFFER_VADDR: u64 = 0x3f_ffff_e000;
/// The initial stack pointer of every PD; an unmapped page lies between it and the IPC buffer.
pub const STACK_TOP: u64 = 0x3f_ffff_d000;

/// Symbol in the kernel's ELF (8-aligned, in `.data`) that the composer overwrites with a [`BootBlock`].
pub const BOOT_BLOCK_SYMBOL: &str = "kernel_boot_block";
/// Symbol in the kernel's ELF: a `u64` in `.rodata` with the bytes the kernel keeps for one PD outside the boot blob
/// (thread, FPU state, scheduling context, notification, endpoint, reply object); for the report and the benchmark.
pub const BYTES_PER_PD_SYMBOL: &str = "kernel_bytes_per_pd";
/// First word of [`BootBlock`] and [`BootInfo`].
pub const MAGIC: u64 = u64::from_le_bytes(*b"KINGLET\x01");

/// What the kernel needs before its page tables are on. All addresses are physical unless they say otherwise.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct BootBlock {
    /// [`MAGIC`].
    pub magic: u64,
    /// Value of the `satp` register for the kernel's own root table (used until the first PD runs, and when idle).
    pub satp: u64,
    /// Kernel virtual address of the [`BootInfo`].
    pub boot_info_vaddr: u64,
    /// Where an array of [`CopyRange`] lies: done first, in order. Empty in ELF images, whose loader places the segments.
    pub copies_paddr: u64,
    /// How many [`CopyRange`]s.
    pub copies_count: u64,
    /// Where an array of [`ZeroRange`] lies: done after the copies.
    pub zeros_paddr: u64,
    /// How many [`ZeroRange`]s.
    pub zeros_count: u64,
}

/// Memory that the boot code moves. Source and destination do not overlap; all fields are multiples of 8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CopyRange {
    /// Physical address read from.
    pub source: u64,
    /// Physical address written to.
    pub destination: u64,
    /// Length in bytes.
    pub bytes: u64,
}

/// Memory that the boot code clears. Both fields are multiples of 8. Includes the kernel's own `.bss` only in images
/// whose format does not clear it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ZeroRange {
    /// Physical address.
    pub start: u64,
    /// Length in bytes.
    pub bytes: u64,
}

/// A table in the boot blob.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Span {
    /// Offset of the first entry from the start of the [`BootInfo`], a multiple of 8.
    pub offset: u32,
    /// How many entries.
    pub count: u32,
}

/// Start of the boot blob.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct BootInfo {
    /// [`MAGIC`].
    pub magic: u64,
    /// Length of the whole blob in bytes.
    pub bytes: u64,
    /// Kernel virtual address of the interrupt controller ([`PLIC_WINDOW`] plus the offset within its 2 MiB page).
    pub plic_vaddr: u64,
    /// The interrupt controller's context of the boot hart in S-mode.
    pub plic_context: u32,
    /// How many interrupt sources the controller has, without source 0.
    pub plic_sources: u32,
    /// Ticks per second of the `time` register.
    pub timebase_hz: u64,
    /// [`PdInfo`]s; the index in this table is the index of the PD everywhere.
    pub pds: Span,
    /// [`Cap`]s of all PDs.
    pub caps: Span,
    /// [`IrqInfo`]s.
    pub irqs: Span,
    /// [`DomainSlot`]s; empty means domain 0 for ever.
    pub domain_schedule: Span,
    /// Index in the schedule to begin with.
    pub domain_start: u32,
    /// Must be 0.
    pub reserved: u32,
}

/// [`PdInfo::flags`]: the PD gives up its scheduling context once it is initialised.
pub const PD_PASSIVE: u32 = 1 << 0;
/// [`PdInfo::flags`]: floating-point instructions are allowed.
pub const PD_FPU: u32 = 1 << 1;

/// One protection domain.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PdInfo {
    /// The name, padded with zeros.
    pub name: [u8; 64],
    /// Initial program counter.
    pub entry: u64,
    /// Initial stack pointer, [`STACK_TOP`].
    pub stack_top: u64,
    /// Lowest address of the stack, for the report of a fault ("stack overflow").
    pub stack_bottom: u64,
    /// Value of the `satp` register for the PD's root table (ASID included, if the composer gives any).
    pub satp: u64,
    /// Budget in ticks of the `time` register.
    pub budget_ticks: u64,
    /// Period in ticks; equal to the budget means round robin.
    pub period_ticks: u64,
    /// Capabilities 0..n of the Microkit CNode, dense up to the highest one used.
    pub caps: Span2,
    /// Capabilities of the root CNode, slots 0..n; slot 0 is never used. Capability pointer: `slot << 58`.
    pub shared_caps: Span2,
    /// 0..=[`MAX_PRIORITY`].
    pub priority: u32,
    /// Scheduling domain.
    pub domain: u32,
    /// `PD_*` flags.
    pub flags: u32,
    /// Must be 0.
    pub reserved: u32,
}

/// A part of the table of capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Span2 {
    /// Index of the first entry in [`BootInfo::caps`].
    pub first: u32,
    /// How many entries.
    pub count: u32,
}

/// Kinds of capabilities ([`Cap::kind`]).
pub mod cap_kind {
    /// An empty slot.
    pub const NULL: u8 = 0;
    /// The endpoint of PD `object`.
    pub const ENDPOINT: u8 = 1;
    /// The notification of PD `object`.
    pub const NOTIFICATION: u8 = 2;
    /// The reply object of PD `object`.
    pub const REPLY: u8 = 3;
    /// The thread of PD `object`.
    pub const THREAD: u8 = 4;
    /// The scheduling context of PD `object`.
    pub const SCHED_CONTEXT: u8 = 5;
    /// The address space of PD `object`.
    pub const VSPACE: u8 = 6;
    /// The handler of interrupt `object`, an index in [`super::BootInfo::irqs`].
    pub const IRQ_HANDLER: u8 = 7;
    /// The default handler of faults, which also serves "become passive"; the kernel itself. `object` is the sender's PD.
    pub const MONITOR: u8 = 8;
}

/// Rights of capabilities ([`Cap::rights`]); only endpoints and notifications look at them.
pub mod cap_rights {
    /// Receive from an endpoint, wait for a notification.
    pub const READ: u8 = 1 << 0;
    /// Send, signal.
    pub const WRITE: u8 = 1 << 1;
    /// Call: the receiver may reply.
    pub const GRANT_REPLY: u8 = 1 << 2;
}

/// One capability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Cap {
    /// What the receiver sees: `1 << id` for notifications, `1 << 63 | id` for calls, `1 << 62 | id` for faults of a child.
    pub badge: u64,
    /// What `kind` says: the index of a PD or of an interrupt.
    pub object: u16,
    /// One of [`cap_kind`].
    pub kind: u8,
    /// Any of [`cap_rights`].
    pub rights: u8,
    /// Must be 0.
    pub reserved: u32,
}

/// [`IrqInfo::trigger`]: level.
pub const IRQ_LEVEL: u16 = 0;
/// [`IrqInfo::trigger`]: edge.
pub const IRQ_EDGE: u16 = 1;

/// One interrupt that a PD receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IrqInfo {
    /// Source number at the interrupt controller.
    pub source: u32,
    /// The PD whose notification is signalled.
    pub pd: u16,
    /// [`IRQ_LEVEL`] or [`IRQ_EDGE`].
    pub trigger: u16,
    /// The bits that the signal sets.
    pub badge: u64,
}

/// One entry of the domain schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DomainSlot {
    /// The scheduling domain.
    pub domain: u64,
    /// How long it runs, in ticks of the `time` register; 0 is the end marker.
    pub duration_ticks: u64,
}

/// Slots of the Microkit CNode: where a PD finds what it may use.
pub mod slot {
    /// Endpoint or notification that the PD receives from.
    pub const INPUT: u64 = 1;
    /// Endpoint that faults of this PD go to.
    pub const FAULT: u64 = 2;
    /// Own address space.
    pub const VSPACE: u64 = 3;
    /// The reply object.
    pub const REPLY: u64 = 4;
    /// The default handler; passive PDs only.
    pub const MONITOR: u64 = 5;
    /// First of the notifications of channels.
    pub const BASE_NOTIFICATION: u64 = 10;
    /// First of the endpoints of channels.
    pub const BASE_ENDPOINT: u64 = 74;
    /// First of the interrupt handlers.
    pub const BASE_IRQ: u64 = 138;
    /// First of the children's threads.
    pub const BASE_CHILD_TCB: u64 = 202;
    /// Slots in the Microkit CNode.
    pub const COUNT: u64 = 512;
    /// Slots in the root CNode.
    pub const ROOT_COUNT: u64 = 64;
    /// A capability pointer's root slot is its highest bits: `cptr >> ROOT_SHIFT`.
    pub const ROOT_SHIFT: u32 = 58;
}
