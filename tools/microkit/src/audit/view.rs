//! The tables of an image, as the kernel will read them.

use super::loader::Machine;
use crate::error::{Error, Result};
use crate::image::paging::{Mapping, WalkError, root_of_satp, walk};
use kernel_layout::{BootInfo, Cap, DomainSlot, IrqInfo, MAX_PDS, PdInfo, Span, Span2};
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// A protection domain.
pub struct PdView {
    /// The kernel's description of it.
    pub info: PdInfo,
    /// What its address space maps, for itself and for the kernel.
    pub mappings: Vec<Mapping>,
    /// Where its page tables lie, the kernel's shared ones included.
    pub tables: Vec<u64>,
    /// Its capabilities by slot.
    pub caps: Vec<Cap>,
    /// The capabilities in its root CNode by slot.
    pub shared_caps: Vec<Cap>,
}

/// The whole system.
pub struct View {
    /// Start of the boot blob.
    pub boot_info: BootInfo,
    /// All protection domains.
    pub pds: Vec<PdView>,
    /// All interrupts.
    pub irqs: Vec<IrqInfo>,
    /// The domain schedule.
    pub domain_schedule: Vec<DomainSlot>,
    /// What the kernel's own root table maps.
    pub kernel_mappings: Vec<Mapping>,
    /// Where its page tables lie.
    pub kernel_tables: Vec<u64>,
}

impl View {
    /// Reads everything that the boot blob and the page tables say.
    ///
    /// # Errors
    /// A table reaches over its end, or lies where the image has nothing.
    pub fn read(machine: &Machine) -> Result<View> {
        let (boot_info, _) =
            BootInfo::read_from_prefix(&machine.blob).map_err(|_| Error::new("the image's boot blob is too short"))?;
        let pds: Vec<PdInfo> = table(machine, boot_info.pds, "protection domains")?;
        let caps: Vec<Cap> = table(machine, boot_info.caps, "capabilities")?;
        if pds.len() > MAX_PDS {
            return Err(Error::new(format!("the image has {} protection domains", pds.len())));
        }
        let part = |span: Span2| {
            let end = span.first as usize + span.count as usize;
            let part = caps.get(span.first as usize..end).map(<[Cap]>::to_vec);
            part.ok_or_else(|| Error::new("the image's capabilities reach over the end of their table"))
        };
        let mut views = Vec::new();
        for info in pds {
            let (mappings, tables) = space(machine, info.satp)?;
            let (caps, shared_caps) = (part(info.caps)?, part(info.shared_caps)?);
            views.push(PdView { info, mappings, tables, caps, shared_caps });
        }
        let (kernel_mappings, kernel_tables) = space(machine, machine.boot_block.satp)?;
        Ok(View {
            boot_info,
            pds: views,
            irqs: table(machine, boot_info.irqs, "interrupts")?,
            domain_schedule: table(machine, boot_info.domain_schedule, "domains")?,
            kernel_mappings,
            kernel_tables,
        })
    }
}

fn space(machine: &Machine, satp: u64) -> Result<(Vec<Mapping>, Vec<u64>)> {
    let root = root_of_satp(satp).ok_or_else(|| Error::new(format!("satp {satp:#x} does not select Sv39")))?;
    walk(root, &|paddr| machine.memory.read(paddr, 0x1000)).map_err(|e| {
        Error::new(match e {
            WalkError::Missing { table } => format!("the image has no page table at {table:#x}"),
            WalkError::Malformed { table, index, entry } => {
                format!("entry {index} of the page table at {table:#x} is malformed: {entry:#x}")
            }
        })
    })
}

fn table<T: FromBytes + Immutable + KnownLayout>(machine: &Machine, span: Span, what: &str) -> Result<Vec<T>> {
    let bytes = (span.count as usize).checked_mul(size_of::<T>());
    let rest = machine.blob.get(span.offset as usize..);
    let bytes = rest.zip(bytes).and_then(|(rest, bytes)| rest.get(..bytes));
    let bytes = bytes.ok_or_else(|| Error::new(format!("the image's table of {what} reaches over its end")))?;
    Ok(bytes.chunks_exact(size_of::<T>()).map(|chunk| T::read_from_bytes(chunk).expect("of that size")).collect())
}
