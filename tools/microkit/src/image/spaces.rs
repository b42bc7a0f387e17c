//! Address spaces: which frames a protection domain and the kernel have, and where they see them.

use super::kernel::Kernel;
use super::memory::{Block, BlockId, Memory, PAGE, Placed};
use super::paging::{Access, AddressSpace, LARGE, Occupied, Target};
use crate::board::Board;
use crate::elf::Elf;
use crate::error::{Error, Result};
use crate::model::{ProtectionDomain, System};
use kernel_layout::{IPC_BUFFER_VADDR, IPC_WINDOW, KERNEL_ROOT_INDEX, KERNEL_VA_OFFSET, PLIC_WINDOW, STACK_TOP};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

/// Where a memory region lies.
#[derive(Clone, Copy, Debug)]
pub enum Region {
    /// The region has no bytes.
    Nowhere,
    /// The composer fills it.
    Block(BlockId),
    /// Device memory at this address, which nobody touches before the PDs do.
    Device(u64),
}

impl Region {
    /// Physical address; 0 if there is none.
    pub fn paddr(&self, placed: &Placed) -> u64 {
        match self {
            Region::Nowhere => 0,
            Region::Block(id) => placed.start(*id),
            Region::Device(paddr) => *paddr,
        }
    }

    fn target(&self, offset: u64) -> Target {
        match self {
            Region::Block(id) => Target::Block(*id, offset),
            Region::Device(paddr) => Target::Fixed(paddr + offset),
            Region::Nowhere => unreachable!("a region without bytes has no pages"),
        }
    }
}

/// Adds all memory regions.
pub fn regions(system: &System, memory: &mut Memory) -> Result<Vec<Region>> {
    let mut regions = Vec::new();
    for region in &system.regions {
        let name = format!("memory region '{}'", region.name);
        if region.bytes == 0 {
            regions.push(Region::Nowhere);
            continue;
        }
        let mut in_ram = true;
        if let Some(paddr) = region.paddr {
            // Sv39 has 56 bits of physical addresses.
            let end = paddr.checked_add(region.bytes).filter(|end| *end <= 1 << 56).ok_or_else(|| {
                Error::at(region.location, format!("{name} at {paddr:#x} ends beyond the last physical address, 2^56"))
            })?;
            in_ram = memory.classify(&name, &(paddr..end)).map_err(|e| Error::at(region.location, e.message()))?;
        }
        regions.push(match (&region.prefill, region.paddr) {
            (None, Some(paddr)) if !in_ram => Region::Device(paddr),
            (prefill, fixed) => Region::Block(memory.add(Block {
                name,
                bytes: region.bytes,
                align: region.page_bytes,
                fixed,
                stored_bytes: prefill.as_ref().map_or(0, |bytes| bytes.len() as u64),
                location: Some(region.location),
            })),
        });
    }
    Ok(regions)
}

/// Page tables with the blocks that they lie in.
#[derive(Clone, Debug)]
struct Tables {
    space: AddressSpace,
    blocks: Vec<BlockId>,
}

impl Tables {
    fn new(space: AddressSpace, owner: &str, memory: &mut Memory) -> Tables {
        let blocks =
            (0..space.table_count()).map(|_| memory.add_page(format!("a page table of {owner}"), true)).collect();
        Tables { space, blocks }
    }

    fn render(&self, placed: &Placed, contents: &mut BTreeMap<BlockId, Cow<[u8]>>) {
        let own: Vec<u64> = self.blocks.iter().map(|id| placed.start(*id)).collect();
        for (table, id) in self.blocks.iter().enumerate() {
            contents.insert(*id, self.space.render(table, &own, |block| placed.start(block)).into());
        }
    }
}

/// What the kernel alone sees.
#[derive(Clone, Debug)]
pub struct KernelSpace {
    tables: Tables,
}

impl KernelSpace {
    /// Maps the kernel's segments, the blob, the IPC buffers and the interrupt controller.
    pub fn new(
        kernel: &Kernel,
        blob: Range<u64>,
        ipc_buffers: &[BlockId],
        board: &Board,
        memory: &mut Memory,
    ) -> Result<KernelSpace> {
        let twice = |Occupied { vaddr }| Error::new(format!("internal: kernel address {vaddr:#x} is mapped twice"));
        let mut space = AddressSpace::default();
        for segment in &kernel.segments {
            let access = Access::kernel(true, segment.write, segment.execute);
            for paddr in (segment.paddr..segment.paddr + segment.bytes).step_by(PAGE as usize) {
                space.map(paddr + KERNEL_VA_OFFSET, PAGE, Target::Fixed(paddr), access).map_err(twice)?;
            }
        }
        for paddr in blob.step_by(PAGE as usize) {
            let access = Access::kernel(true, false, false);
            space.map(paddr + KERNEL_VA_OFFSET, PAGE, Target::Fixed(paddr), access).map_err(twice)?;
        }
        let device = Access::kernel(true, true, false);
        for (index, buffer) in ipc_buffers.iter().enumerate() {
            let vaddr = IPC_WINDOW + index as u64 * PAGE;
            space.map(vaddr, PAGE, Target::Block(*buffer, 0), device).map_err(twice)?;
        }
        let plic = board.kernel.plic_base / LARGE * LARGE..board.kernel.plic_base + board.kernel.plic_bytes;
        for (index, paddr) in plic.step_by(LARGE as usize).enumerate() {
            let vaddr = PLIC_WINDOW + index as u64 * LARGE;
            space.map(vaddr, LARGE, Target::Fixed(paddr), device).map_err(twice)?;
        }
        if space.level1_table(KERNEL_ROOT_INDEX).is_none() {
            return Err(Error::new("internal: the kernel has no table of its own"));
        }
        Ok(KernelSpace { tables: Tables::new(space, "the kernel", memory) })
    }

    /// The level-1 table that all address spaces share.
    pub fn shared_table(&self) -> BlockId {
        let table = self.tables.space.level1_table(KERNEL_ROOT_INDEX).expect("checked when the space was made");
        self.tables.blocks[table]
    }

    /// Physical address of the kernel's own root table.
    pub fn root_paddr(&self, placed: &Placed) -> u64 {
        placed.start(self.tables.blocks[0])
    }

    /// What the tables take.
    pub fn table_bytes(&self) -> u64 {
        self.tables.blocks.len() as u64 * PAGE
    }

    /// Adds the tables' contents.
    pub fn render(&self, placed: &Placed, contents: &mut BTreeMap<BlockId, Cow<[u8]>>) {
        self.tables.render(placed, contents);
    }
}

/// What a PD sees.
#[derive(Clone, Debug)]
pub struct PdSpace {
    name: String,
    tables: Tables,
    /// Pages of the program image: virtual address and block.
    elf_pages: Vec<(u64, BlockId)>,
    stack: BlockId,
    ipc_buffer: BlockId,
}

impl PdSpace {
    /// Maps a PD's program image, memory regions, stack and IPC buffer.
    pub fn new(
        system: &System,
        pd: &ProtectionDomain,
        elf: &Elf,
        regions: &[Region],
        ipc_buffer: BlockId,
        kernel_table: BlockId,
        memory: &mut Memory,
    ) -> Result<PdSpace> {
        let owner = format!("protection domain '{}'", pd.name);
        let twice = |what: &str| {
            let message = format!("{owner}: {what} overlaps something else in its address space");
            move |Occupied { vaddr }| Error::at(pd.location, format!("{message} at {vaddr:#x}"))
        };
        let mut space = AddressSpace::default();
        let mut elf_pages = Vec::new();
        for segment in &elf.segments {
            let access = Access::user(segment.read, segment.write, segment.execute);
            let end = segment.vaddr.saturating_add(segment.bytes.len() as u64);
            if end > STACK_TOP - pd.stack_bytes {
                return Err(twice(&format!("the segment at {:#x} of the program image", segment.vaddr))(Occupied {
                    vaddr: end - 1,
                }));
            }
            for vaddr in (segment.vaddr / PAGE * PAGE..end).step_by(PAGE as usize) {
                let stored = will_be_stored(pd, elf, vaddr);
                let block = memory.add_page(format!("the program image of {owner}"), stored);
                space.map(vaddr, PAGE, Target::Block(block, 0), access).map_err(twice("the program image"))?;
                elf_pages.push((vaddr, block));
            }
        }
        for map in &pd.maps {
            let region = &system.regions[map.region];
            let access = Access::user(map.read, map.write, map.execute);
            for offset in (0..region.bytes).step_by(region.page_bytes as usize) {
                let target = regions[map.region].target(offset);
                space.map(map.vaddr + offset, region.page_bytes, target, access).map_err(|Occupied { vaddr }| {
                    let message = format!("memory region '{}' overlaps something else of {owner}", region.name);
                    Error::at(map.location, format!("{message} at {vaddr:#x}"))
                })?;
            }
        }
        let stack = memory.add(Block {
            name: format!("the stack of {owner}"),
            bytes: pd.stack_bytes,
            align: PAGE,
            fixed: None,
            stored_bytes: 0,
            location: Some(pd.location),
        });
        let data = Access::user(true, true, false);
        for offset in (0..pd.stack_bytes).step_by(PAGE as usize) {
            let vaddr = STACK_TOP - pd.stack_bytes + offset;
            space.map(vaddr, PAGE, Target::Block(stack, offset), data).map_err(twice("the stack"))?;
        }
        space.map(IPC_BUFFER_VADDR, PAGE, Target::Block(ipc_buffer, 0), data).map_err(twice("the IPC buffer"))?;
        space.link(KERNEL_ROOT_INDEX, kernel_table).map_err(twice("the kernel"))?;
        let tables = Tables::new(space, &owner, memory);
        Ok(PdSpace { name: pd.name.clone(), tables, elf_pages, stack, ipc_buffer })
    }

    /// Physical address of the root table.
    pub fn root_paddr(&self, placed: &Placed) -> u64 {
        placed.start(self.tables.blocks[0])
    }

    /// The stack.
    pub fn stack(&self) -> BlockId {
        self.stack
    }

    /// The IPC buffer.
    pub fn ipc_buffer(&self) -> BlockId {
        self.ipc_buffer
    }

    /// Level and physical address of each page table.
    pub fn page_tables(&self, placed: &Placed) -> Vec<(u8, u64)> {
        let addresses = self.tables.blocks.iter().map(|id| placed.start(*id));
        self.tables.space.levels().map(|level| level as u8).zip(addresses).collect()
    }

    /// Runs of the program image's pages: virtual address, physical address, length.
    pub fn elf_frames(&self, placed: &Placed) -> Vec<(u64, u64, u64)> {
        let mut runs: Vec<(u64, u64, u64)> = Vec::new();
        for (vaddr, block) in &self.elf_pages {
            let paddr = placed.start(*block);
            match runs.last_mut() {
                Some((v, p, bytes)) if *v + *bytes == *vaddr && *p + *bytes == paddr => *bytes += PAGE,
                _ => runs.push((*vaddr, paddr, PAGE)),
            }
        }
        runs
    }

    /// Adds the contents of the page tables and of the program image.
    pub fn render(&self, elf: &Elf, placed: &Placed, contents: &mut BTreeMap<BlockId, Cow<[u8]>>) -> Result<()> {
        self.tables.render(placed, contents);
        for (vaddr, block) in &self.elf_pages {
            let page = page_of(elf, *vaddr);
            if placed.block(*block).stored_bytes > 0 {
                contents.insert(*block, page.into());
            } else if page.iter().any(|byte| *byte != 0) {
                return Err(Error::new(format!(
                    "internal: the page at {vaddr:#x} of '{}' was patched unexpectedly",
                    self.name
                )));
            }
        }
        Ok(())
    }
}

/// The content of a page of the program image.
fn page_of(elf: &Elf, vaddr: u64) -> Vec<u8> {
    let mut page = vec![0; PAGE as usize];
    for segment in &elf.segments {
        let end = segment.vaddr + segment.bytes.len() as u64;
        let (from, to) = (segment.vaddr.max(vaddr), end.min(vaddr + PAGE));
        if from < to {
            page[(from - vaddr) as usize..(to - vaddr) as usize]
                .copy_from_slice(&segment.bytes[(from - segment.vaddr) as usize..(to - segment.vaddr) as usize]);
        }
    }
    page
}

/// Whether a page has content, or may get some when symbols in it are patched. The prefix is that of all variables
/// that a composer sets on its own account (Microkit 2.3).
fn will_be_stored(pd: &ProtectionDomain, elf: &Elf, vaddr: u64) -> bool {
    let patched = |name: &str| name.starts_with("microkit_") || pd.setvars.iter().any(|var| var.symbol == name);
    let within = |start: u64, bytes: u64| start < vaddr + PAGE && vaddr < start.saturating_add(bytes);
    elf.symbols.iter().any(|(name, symbol)| within(symbol.vaddr, symbol.bytes) && patched(name))
        || page_of(elf, vaddr).iter().any(|byte| *byte != 0)
}
