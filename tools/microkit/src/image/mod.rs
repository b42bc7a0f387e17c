//! The back end: from a checked system and its program images to one file that boots.
//!
//! [`place`] gives everything a physical address; after that the front end can patch the addresses into the program images,
//! and [`write`] makes page tables, capability tables and the file.
//!
//! From the start of the RAM up: firmware, kernel, boot blob, page tables and other stored pages, memory regions with
//! content, and at last what is merely zero. Regions with a fixed address lie where they must.

pub mod blob;
pub mod caps;
pub mod format;
pub mod kernel;
pub mod memory;
pub mod paging;
mod spaces;

pub use format::ImageType;

use crate::board::Board;
use crate::elf::Elf;
use crate::error::{Error, Result};
use crate::model::System;
use crate::report::{ImageFacts, PdFacts};
use blob::Blob;
use format::{Contents, Plan};
use kernel::Kernel;
use kernel_layout::{BootBlock, CopyRange, IPC_WINDOW, KERNEL_VA_OFFSET, MAGIC, ZeroRange};
use memory::{Block, BlockId, Memory, PAGE, Placed};
use spaces::{KernelSpace, PdSpace, Region};
use std::borrow::Cow;
use std::collections::BTreeMap;
use zerocopy::IntoBytes;

/// Where everything lies.
pub struct Placement {
    /// Physical address of each memory region, by its index; 0 for a region of length zero.
    pub region_paddrs: Vec<u64>,
    placed: Placed,
    kernel: Kernel,
    kernel_blocks: Vec<BlockId>,
    blob: BlockId,
    regions: Vec<Region>,
    kernel_space: KernelSpace,
    pd_spaces: Vec<PdSpace>,
}

/// Gives everything a physical address. `elfs` are the program images, one per PD; their symbols are known but need
/// not be patched yet.
///
/// # Errors
/// Something does not fit, or overlaps something else; the message names both and says what would help.
pub fn place(system: &System, elfs: &[Elf], kernel: &Kernel, board: &Board) -> Result<Placement> {
    // The lists for the boot code lie in the blob, and how long they are depends on where everything lies. One or two
    // rounds suffice in practice: a longer blob seldom makes the lists longer again.
    let mut lists_bytes = 0;
    for _ in 0..8 {
        let placement = place_with_lists(system, elfs, kernel, board, lists_bytes)?;
        let mut needed = 0;
        for kind in format::ALL {
            // A type that has no room is refused when it is asked for.
            let Ok(plan) = Plan::new(kind, &placement.placed, kernel.entry, &board.loader_data()) else { continue };
            let bytes = plan.copies.len() * size_of::<CopyRange>() + plan.zeros.len() * size_of::<ZeroRange>();
            needed = needed.max(bytes as u64);
        }
        if needed <= lists_bytes {
            return Ok(placement);
        }
        lists_bytes = needed;
    }
    Err(Error::new("the fixed memory regions leave the RAM in too many pieces; move them together"))
}

fn place_with_lists(
    system: &System,
    elfs: &[Elf],
    kernel: &Kernel,
    board: &Board,
    lists_bytes: u64,
) -> Result<Placement> {
    let reserved = board.kernel.reserved.iter();
    let mut taken: Vec<_> =
        reserved.map(|reserved| (format!("the {}", reserved.name), reserved.start..reserved.end)).collect();
    for pair in kernel.segments.windows(2) {
        let gap = pair[0].paddr + pair[0].bytes..pair[1].paddr;
        if !gap.is_empty() {
            taken.push(("the kernel".to_string(), gap));
        }
    }
    let mut memory = Memory::new(board.ram(), taken);
    let kernel_blocks: Vec<BlockId> = kernel
        .segments
        .iter()
        .map(|segment| {
            memory.add(Block {
                name: "the kernel".to_string(),
                bytes: segment.bytes,
                align: PAGE,
                fixed: Some(segment.paddr),
                stored_bytes: segment.data.len() as u64,
                location: None,
            })
        })
        .collect();
    let tables = Blob::new(system, elfs, board, &vec![0; system.pds.len()])?.encode(&[], &[]);
    let stored_bytes = tables.bytes.len() as u64 + lists_bytes;
    let blob_bytes = stored_bytes.next_multiple_of(PAGE);
    if (kernel.end() + blob_bytes).saturating_add(KERNEL_VA_OFFSET) > IPC_WINDOW {
        return Err(Error::new("the kernel and its tables are too long for their window of addresses"));
    }
    let blob = memory.add(Block {
        name: "the boot blob".to_string(),
        bytes: blob_bytes,
        align: PAGE,
        fixed: Some(kernel.end()),
        stored_bytes,
        location: None,
    });
    let regions = spaces::regions(system, &mut memory)?;
    let ipc_buffers: Vec<BlockId> = (system.pds.iter())
        .map(|pd| memory.add_page(format!("the IPC buffer of protection domain '{}'", pd.name), false))
        .collect();
    let blob_range = kernel.end()..kernel.end() + blob_bytes;
    let kernel_space = KernelSpace::new(kernel, blob_range, &ipc_buffers, board, &mut memory)?;
    let mut pd_spaces = Vec::new();
    for (index, pd) in system.pds.iter().enumerate() {
        let shared = kernel_space.shared_table();
        pd_spaces.push(PdSpace::new(system, pd, &elfs[index], &regions, ipc_buffers[index], shared, &mut memory)?);
    }
    let placed = memory.place()?;
    let region_paddrs = regions.iter().map(|region| region.paddr(&placed)).collect();
    let kernel = kernel.clone();
    Ok(Placement { region_paddrs, placed, kernel, kernel_blocks, blob, regions, kernel_space, pd_spaces })
}

/// Makes the file. `placement` is what [`place`] returned for the same system, and `elfs` are the patched program images.
///
/// # Errors
/// The system does not fit the type of image.
pub fn write(
    placement: &Placement,
    system: &System,
    elfs: &[Elf],
    board: &Board,
    kind: ImageType,
) -> Result<(Vec<u8>, ImageFacts)> {
    let Placement { placed, kernel, .. } = placement;
    let plan = Plan::new(kind, placed, kernel.entry, &board.loader_data())?;
    let satps: Vec<u64> = (placement.pd_spaces.iter())
        .zip(1..)
        .map(|(space, asid)| paging::satp(space.root_paddr(placed), asid))
        .collect();
    let blob = Blob::new(system, elfs, board, &satps)?;
    let encoded = blob.encode(&plan.copies, &plan.zeros);
    let blob_paddr = placed.start(placement.blob);
    let boot_block = BootBlock {
        magic: MAGIC,
        satp: paging::satp(placement.kernel_space.root_paddr(placed), 0),
        boot_info_vaddr: blob_paddr + KERNEL_VA_OFFSET,
        copies_paddr: blob_paddr + encoded.copies_offset,
        copies_count: plan.copies.len() as u64,
        zeros_paddr: blob_paddr + encoded.zeros_offset,
        zeros_count: plan.zeros.len() as u64,
    };
    if encoded.bytes.len() as u64 > placed.block(placement.blob).stored_bytes {
        return Err(Error::new("internal: the boot blob grew after it was placed"));
    }

    let mut contents: BTreeMap<BlockId, Cow<[u8]>> = BTreeMap::new();
    for (segment, id) in kernel.segments.iter().zip(&placement.kernel_blocks) {
        let mut data = segment.data.clone();
        if (segment.paddr..segment.paddr + segment.bytes).contains(&kernel.boot_block_paddr) {
            let offset = (kernel.boot_block_paddr - segment.paddr) as usize;
            data[offset..offset + size_of::<BootBlock>()].copy_from_slice(boot_block.as_bytes());
        }
        contents.insert(*id, data.into());
    }
    contents.insert(placement.blob, encoded.bytes.into());
    for (region, place) in system.regions.iter().zip(&placement.regions) {
        if let (Some(prefill), Region::Block(id)) = (&region.prefill, place) {
            contents.insert(*id, prefill.as_slice().into());
        }
    }
    placement.kernel_space.render(placed, &mut contents);
    for (space, elf) in placement.pd_spaces.iter().zip(elfs) {
        space.render(elf, placed, &mut contents)?;
    }
    let file = format::write(kind, &plan, &Contents { placed, bytes: &contents }, kernel.entry)?;
    let facts = facts(placement, system, &blob, file.len() as u64);
    Ok((file, facts))
}

fn facts(placement: &Placement, system: &System, blob: &Blob, image_bytes: u64) -> ImageFacts {
    let Placement { placed, kernel, .. } = placement;
    let range = |id: BlockId| placed.start(id)..placed.start(id) + placed.block(id).bytes;
    let region = |(region, paddr): (&crate::model::MemoryRegion, &u64)| *paddr..*paddr + region.bytes;
    let pd = |(index, space): (usize, &PdSpace)| PdFacts {
        page_tables: space.page_tables(placed),
        elf_frames: space.elf_frames(placed),
        stack: range(space.stack()),
        ipc_buffer: placed.start(space.ipc_buffer()),
        table_bytes: blob.bytes_of_pd(index),
    };
    let ram = placed.ram();
    let firmware_and_used = kernel.segments[0].paddr - ram.start + placed.used_ram_bytes();
    ImageFacts {
        image_bytes,
        kernel: kernel.segments[0].paddr..kernel.end(),
        boot_blob: range(placement.blob),
        kernel_bytes_per_pd: kernel.bytes_per_pd,
        kernel_page_table_bytes: placement.kernel_space.table_bytes(),
        regions: system.regions.iter().zip(&placement.region_paddrs).map(region).collect(),
        pds: placement.pd_spaces.iter().enumerate().map(pd).collect(),
        free_ram_bytes: (ram.end - ram.start).saturating_sub(firmware_and_used),
        used_ram_bytes: placed.used_ram_bytes(),
    }
}
