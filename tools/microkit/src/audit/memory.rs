//! Who sees which memory, and what lies in it.

use super::loader::Machine;
use super::view::View;
use crate::board::Board;
use crate::elf::Elf;
use crate::image::paging::{Access, Mapping};
use crate::model::{SetVarValue, System};
use crate::patch;
use kernel_layout::{IPC_BUFFER_VADDR, IPC_WINDOW, KERNEL_VA_OFFSET, PLIC_WINDOW, STACK_TOP};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

const PAGE: u64 = 0x1000;
const LARGE: u64 = 0x20_0000;

/// A page that a PD sees: what it allows, whose memory it is, and which part of that.
type Seen = (Access, usize, u64);

/// Sentences on what the image lets a PD see, and on what the description does.
pub type FoundAndGranted = (Vec<String>, Vec<String>);

/// Reads all address spaces, and compares all memory with its promised content. Returns the sentences on each PD, and
/// findings.
pub fn check(
    machine: &Machine,
    view: &View,
    system: &System,
    elfs: &[Elf],
    board: &Board,
) -> (Vec<FoundAndGranted>, Vec<String>) {
    let mut owners = Owners::default();
    let mut findings = Findings::default();
    kernel(machine, view, board, &mut owners, &mut findings);
    let bases = region_bases(machine, view, system, elfs);
    let regions: Vec<usize> = (system.regions.iter().zip(&bases))
        .map(|(region, base)| {
            let owner = owners.add(format!("region '{}'", region.name));
            for offset in base.iter().flat_map(|_| (0..region.bytes).step_by(PAGE as usize)) {
                owners.claim(base.unwrap_or(0) + offset, owner, offset, &mut findings);
            }
            owner
        })
        .collect();
    let mut all = Vec::new();
    for (index, elf) in elfs.iter().enumerate().take(system.pds.len()) {
        let granted = granted(view, system, elf, index, &regions, &mut owners, &mut findings);
        let found = found(view, index, &mut owners);
        all.push((sentences(&found, &owners), sentences(&granted, &owners)));
    }
    contents(machine, view, system, elfs, &bases, board, &mut findings);
    (all, findings.0.into_iter().collect())
}

/// Findings, each once however many pages it concerns.
#[derive(Default)]
struct Findings(BTreeSet<String>);

impl Findings {
    fn add(&mut self, text: String) {
        self.0.insert(text);
    }
}

/// Whose memory each page is.
#[derive(Default)]
struct Owners {
    names: Vec<String>,
    pages: BTreeMap<u64, (usize, u64)>,
}

impl Owners {
    fn add(&mut self, name: String) -> usize {
        self.names.push(name);
        self.names.len() - 1
    }

    fn claim(&mut self, paddr: u64, owner: usize, offset: u64, findings: &mut Findings) {
        let (other, other_offset) = *self.pages.entry(paddr).or_insert((owner, offset));
        if (other, other_offset) != (owner, offset) {
            findings.add(format!("{} and {} share memory", self.names[other], self.names[owner]));
        }
    }
}

/// The mapping of a virtual address. Mappings are sorted by their addresses.
fn lookup(mappings: &[Mapping], vaddr: u64) -> Option<(u64, Access)> {
    let index = mappings.partition_point(|mapping| mapping.vaddr <= vaddr).checked_sub(1)?;
    let mapping = &mappings[index];
    let offset = vaddr - mapping.vaddr;
    (offset < mapping.bytes).then_some((mapping.paddr + offset, mapping.access))
}

/// What holds for any description: the kernel's part of all address spaces, and all page tables.
fn kernel(machine: &Machine, view: &View, board: &Board, owners: &mut Owners, findings: &mut Findings) {
    let (kernel, plic) = (owners.add("the kernel".into()), owners.add("the interrupt controller".into()));
    let facts = &board.kernel;
    let registers = facts.plic_base / LARGE * LARGE..facts.plic_base + facts.plic_bytes;
    let image = board.ram();
    for mapping in &view.kernel_mappings {
        let Mapping { vaddr, paddr, bytes, access } = *mapping;
        if access.user || access.write && access.execute {
            findings.add(format!("the kernel's page at {vaddr:#x} is writable and executable, or open to user mode"));
        }
        let buffer = vaddr.checked_sub(IPC_WINDOW).map(|offset| (offset / PAGE) as usize);
        if vaddr.checked_sub(PLIC_WINDOW).is_some_and(|at| registers.contains(&(registers.start + at))) {
            if paddr != registers.start + (vaddr - PLIC_WINDOW) || access.execute {
                findings.add(format!("the kernel sees {paddr:#x} in place of the interrupt controller"));
            }
            (0..bytes).step_by(PAGE as usize).for_each(|at| owners.claim(paddr + at, plic, paddr + at, findings));
        } else if let Some(pd) = buffer.and_then(|index| view.pds.get(index)) {
            let own = lookup(&pd.mappings, IPC_BUFFER_VADDR).map(|(paddr, _)| paddr);
            if own != Some(paddr) || bytes != PAGE || access.execute {
                findings.add(format!("the kernel sees {paddr:#x} in place of an IPC buffer"));
            }
        } else if bytes == PAGE && image.contains(&paddr) && vaddr == paddr + KERNEL_VA_OFFSET {
            owners.claim(paddr, kernel, paddr, findings);
            let blob = machine.blob_paddr..machine.blob_paddr + machine.blob.len() as u64;
            if blob.contains(&paddr) && access != Access::kernel(true, false, false) {
                findings.add("the boot blob is not read-only".into());
            }
        } else {
            findings.add(format!("the kernel maps {paddr:#x} at {vaddr:#x}, which it does not need"));
        }
    }
    let tables = owners.add("the kernel's page tables".into());
    view.kernel_tables.iter().for_each(|paddr| owners.claim(*paddr, tables, *paddr, findings));
    for (index, pd) in view.pds.iter().enumerate() {
        if !pd.mappings.iter().filter(|mapping| !mapping.access.user).eq(&view.kernel_mappings) {
            findings.add(format!("the kernel's part of address space {index} is not that of the others"));
        }
        let tables = owners.add(format!("the page tables of address space {index}"));
        for paddr in pd.tables.iter().filter(|paddr| !view.kernel_tables.contains(paddr)) {
            owners.claim(*paddr, tables, *paddr, findings);
        }
    }
}

/// Where each region lies: where the description has it, or else where the first PD that sees it sees it, or else where
/// a variable says it is. A region that nobody sees and nobody is told of may lie anywhere.
fn region_bases(machine: &Machine, view: &View, system: &System, elfs: &[Elf]) -> Vec<Option<u64>> {
    let mut bases: Vec<Option<u64>> = system.regions.iter().map(|region| region.paddr).collect();
    for (pd, view) in system.pds.iter().zip(&view.pds) {
        for map in &pd.maps {
            let seen = lookup(&view.mappings, map.vaddr).filter(|_| system.regions[map.region].bytes > 0);
            bases[map.region] = bases[map.region].or(seen.map(|(paddr, _)| paddr));
        }
    }
    for ((pd, view), elf) in system.pds.iter().zip(&view.pds).zip(elfs) {
        for setvar in &pd.setvars {
            let SetVarValue::RegionPaddr(region) = setvar.value else { continue };
            let Some(symbol) = elf.symbols.get(&setvar.symbol) else { continue };
            let word = lookup(&view.mappings, symbol.vaddr).and_then(|(paddr, _)| machine.memory.read(paddr, 8));
            let word = word.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
            let told = word.filter(|paddr| paddr.is_multiple_of(PAGE) && *paddr < 1 << 56);
            bases[region] = bases[region].or(told.filter(|_| system.regions[region].bytes > 0));
        }
    }
    bases
}

/// The pages of a PD that are its own: where, and whether they belong to its program, its stack or its IPC buffer.
fn own_pages(elf: &Elf, stack_bytes: u64) -> Vec<(u64, Access, &'static str)> {
    let mut pages = Vec::new();
    for segment in &elf.segments {
        let access = Access::user(segment.read, segment.write, segment.execute);
        pages.extend(segment.pages().step_by(PAGE as usize).map(|vaddr| (vaddr, access, "program")));
    }
    let data = Access::user(true, true, false);
    pages.extend((STACK_TOP - stack_bytes..STACK_TOP).step_by(PAGE as usize).map(|vaddr| (vaddr, data, "stack")));
    pages.push((IPC_BUFFER_VADDR, data, "IPC buffer"));
    pages.retain(|(_, access, _)| *access != Access::user(false, false, false));
    pages
}

/// What the description lets a PD see. Claims the memory that is the PD's own, wherever the image has it.
fn granted(
    view: &View,
    system: &System,
    elf: &Elf,
    pd: usize,
    regions: &[usize],
    owners: &mut Owners,
    findings: &mut Findings,
) -> BTreeMap<u64, Seen> {
    let this = &system.pds[pd];
    let mut granted = BTreeMap::new();
    let parts =
        ["program", "stack", "IPC buffer"].map(|part| (part, owners.add(format!("the {part} of '{}'", this.name))));
    for (vaddr, access, part) in own_pages(elf, this.stack_bytes) {
        let owner = parts.iter().find(|(name, _)| *name == part).map_or(0, |(_, owner)| *owner);
        granted.insert(vaddr, (access, owner, vaddr));
        if let Some((paddr, _)) = lookup(&view.pds[pd].mappings, vaddr) {
            owners.claim(paddr, owner, vaddr, findings);
        }
    }
    for map in &this.maps {
        let access = Access::user(map.read, map.write, map.execute);
        if access != Access::user(false, false, false) {
            for offset in (0..system.regions[map.region].bytes).step_by(PAGE as usize) {
                granted.insert(map.vaddr + offset, (access, regions[map.region], offset));
            }
        }
    }
    granted
}

/// What the image lets a PD see.
fn found(view: &View, pd: usize, owners: &mut Owners) -> BTreeMap<u64, Seen> {
    let mut found = BTreeMap::new();
    for mapping in view.pds[pd].mappings.iter().filter(|mapping| mapping.access.user) {
        for offset in (0..mapping.bytes).step_by(PAGE as usize) {
            let paddr = mapping.paddr + offset;
            let (owner, part) = match owners.pages.get(&paddr) {
                Some(page) => *page,
                None => (owners.add(format!("physical memory {paddr:#x}, which is nobody's")), 0),
            };
            found.insert(mapping.vaddr + offset, (mapping.access, owner, part));
        }
    }
    found
}

/// One sentence for each run of pages.
fn sentences(pages: &BTreeMap<u64, Seen>, owners: &Owners) -> Vec<String> {
    let mut runs: Vec<(Range<u64>, Seen)> = Vec::new();
    for (&vaddr, &(access, owner, part)) in pages {
        match runs.last_mut() {
            Some((range, seen))
                if range.end == vaddr && *seen == (access, owner, part.wrapping_sub(vaddr - range.start)) =>
            {
                range.end += PAGE;
            }
            _ => runs.push((vaddr..vaddr + PAGE, (access, owner, part))),
        }
    }
    let sentence = |(range, (access, owner, part)): (Range<u64>, Seen)| {
        let can: Vec<&str> = [(access.read, "read"), (access.write, "write"), (access.execute, "execute")]
            .iter()
            .filter_map(|(can, what)| can.then_some(*what))
            .collect();
        let from = if part == 0 || part == range.start { String::new() } else { format!(", from {part:#x} on") };
        format!("can {} {:#x}..{:#x}: {}{from}", can.join(" and "), range.start, range.end, owners.names[owner])
    };
    runs.into_iter().map(sentence).collect()
}

/// Whether all memory holds what was promised: program images with their variables, prefilled regions, and zeros elsewhere.
fn contents(
    machine: &Machine,
    view: &View,
    system: &System,
    elfs: &[Elf],
    bases: &[Option<u64>],
    board: &Board,
    findings: &mut Findings,
) {
    let ram = board.ram();
    for (region, base) in system.regions.iter().zip(bases) {
        let outside = |base: &u64| *base < ram.start || base.saturating_add(region.bytes) > ram.end;
        if region.paddr.is_none() && base.is_some_and(|base| outside(&base)) {
            findings.add(format!("region '{}' does not lie in the RAM", region.name));
        }
        let Some(base) = base.filter(|base| region.prefill.is_some() || ram.contains(base)) else { continue };
        let prefill = region.prefill.as_deref().unwrap_or(&[]);
        for offset in (0..region.bytes).step_by(PAGE as usize) {
            let promised = prefill.get(offset as usize..).unwrap_or(&[]);
            if !holds(machine, base + offset, &promised[..promised.len().min(PAGE as usize)]) {
                findings.add(format!("region '{}' does not hold what it should at offset {offset:#x}", region.name));
                break;
            }
        }
    }
    let mut elfs = elfs.to_vec();
    let known: Vec<u64> = bases.iter().map(|base| base.unwrap_or(0)).collect();
    if let Err(e) = patch::patch(system, &mut elfs, &known) {
        findings.add(format!("the program images do not fit the description: {}", e.message()));
    }
    for ((pd, elf), view) in system.pds.iter().zip(&elfs).zip(&view.pds) {
        for (vaddr, _, part) in own_pages(elf, pd.stack_bytes) {
            let Some((paddr, _)) = lookup(&view.mappings, vaddr) else { continue };
            let mut promised = vec![0; PAGE as usize];
            for segment in &elf.segments {
                let range = segment.range();
                let (from, to) = (range.start.max(vaddr), range.end.min(vaddr + PAGE));
                if from < to {
                    promised[(from - vaddr) as usize..(to - vaddr) as usize]
                        .copy_from_slice(&segment.bytes[(from - range.start) as usize..(to - range.start) as usize]);
                }
            }
            if !holds(machine, paddr, &promised) {
                findings.add(format!("the {part} of '{}' does not hold what it should at {vaddr:#x}", pd.name));
            }
        }
    }
}

/// Whether a page holds these bytes and zeros behind them.
fn holds(machine: &Machine, paddr: u64, promised: &[u8]) -> bool {
    machine.memory.read(paddr, PAGE).is_some_and(|page| {
        let (head, tail) = page.split_at(promised.len());
        head == promised && tail == &[0; PAGE as usize][..tail.len()]
    })
}
