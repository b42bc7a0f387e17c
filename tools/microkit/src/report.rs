//! The report on a composed system, readable and complete enough to check by hand.

use crate::board::Board;
use crate::description::xml::shown;
use crate::error::Result;
use crate::image::caps;
use crate::model::{DomainSlot, Duration, Map, ProtectionDomain, SetVarValue, System, Trigger};
use kernel_layout::{Cap, IPC_BUFFER_VADDR, STACK_TOP, Span2, cap_kind, cap_rights};
use std::fmt::Write;
use std::ops::Range;

/// What only the back end knows of the finished image. All lengths in bytes, all addresses physical.
#[derive(Clone, Debug, Default)]
pub struct ImageFacts {
    /// Length of the image file.
    pub image_bytes: u64,
    /// Where the kernel with its data lies.
    pub kernel: Range<u64>,
    /// Where the boot blob lies.
    pub boot_blob: Range<u64>,
    /// What the kernel keeps for each PD outside the boot blob.
    pub kernel_bytes_per_pd: u64,
    /// What the kernel's own page tables take.
    pub kernel_page_table_bytes: u64,
    /// Where each memory region lies, by index of the region. Regions that are not placed have an empty range.
    pub regions: Vec<Range<u64>>,
    /// One per PD, by its index.
    pub pds: Vec<PdFacts>,
    /// Managed RAM that nothing uses.
    pub free_ram_bytes: u64,
    /// Managed RAM that the system takes, without the firmware: what an idle system costs.
    pub used_ram_bytes: u64,
}

/// What the back end knows of one PD.
#[derive(Clone, Debug, Default)]
pub struct PdFacts {
    /// Page tables, with the level (2: root) and the physical address of each.
    pub page_tables: Vec<(u8, u64)>,
    /// Frames of the ELF: virtual address, physical address, length; one entry per run of pages.
    pub elf_frames: Vec<(u64, u64, u64)>,
    /// Physical address of the stack's lowest page.
    pub stack: Range<u64>,
    /// Physical address of the IPC buffer's page.
    pub ipc_buffer: u64,
    /// What its capabilities and its other entries in the boot blob take.
    pub table_bytes: u64,
}

impl PdFacts {
    /// RAM that exists for this PD alone, memory regions apart, when the kernel keeps `kernel_bytes` for each PD.
    fn own_bytes(&self, kernel_bytes: u64) -> u64 {
        let program: u64 = self.elf_frames.iter().map(|(_, _, bytes)| bytes).sum();
        let tables = self.page_tables.len() as u64 * PAGE;
        program + length(&self.stack) + PAGE + tables + self.table_bytes + kernel_bytes
    }
}

/// The report. It fails only for systems that cannot be composed either.
pub fn text(system: &System, board: &Board, facts: &ImageFacts) -> Result<String> {
    let mut report = Report { system, facts, text: String::new() };
    report.summary(board);
    report.memory();
    let caps = caps::caps(system)?;
    for (index, pd) in system.pds.iter().enumerate() {
        report.protection_domain(index, pd);
        report.capabilities(&caps, index);
    }
    report.channels();
    report.domains();
    report.totals();
    Ok(report.text)
}

/// A length in the largest unit that leaves it readable.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..0x400 => format!("{bytes} B"),
        0x400..0x10_0000 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

struct Report<'a> {
    system: &'a System,
    facts: &'a ImageFacts,
    text: String,
}

/// Appends a line. Writing to a string cannot fail.
macro_rules! line {
    ($report:expr, $($arguments:tt)*) => {
        let _ = writeln!($report.text, $($arguments)*);
    };
}

impl Report<'_> {
    fn summary(&mut self, board: &Board) {
        let Report { system, facts, .. } = *self;
        let tables: usize = facts.pds.iter().map(|pd| pd.page_tables.len()).sum();
        line!(self, "System for {}, on the built-in kernel (not seL4, not verified)\n", board.name);
        line!(self, "protection domains   {}", system.pds.len());
        line!(self, "memory regions       {}", system.regions.len());
        line!(self, "channels             {}", system.channels.len());
        line!(self, "image file           {}", size(facts.image_bytes));
        line!(self, "kernel               {}", size(length(&facts.kernel)));
        line!(self, "  for each PD        {}", size(facts.kernel_bytes_per_pd));
        line!(self, "  page tables        {}", size(facts.kernel_page_table_bytes));
        line!(self, "boot blob            {}", size(length(&facts.boot_blob)));
        line!(self, "PDs' page tables     {tables} ({})", size(tables as u64 * PAGE));
        line!(self, "free RAM             {} of {}", size(facts.free_ram_bytes), size(board.kernel.ram_bytes));
    }

    /// Everything that has an address, in the order of the addresses.
    fn memory(&mut self) {
        let Report { system, facts, .. } = *self;
        let mut places: Vec<(Range<u64>, String)> =
            vec![(facts.kernel.clone(), "kernel".to_string()), (facts.boot_blob.clone(), "boot blob".to_string())];
        for (region, range) in system.regions.iter().zip(&facts.regions) {
            let page = if region.page_bytes == PAGE { "4 KiB" } else { "2 MiB" };
            let fixed = if region.paddr.is_some() { ", fixed" } else { "" };
            let prefill =
                region.prefill.as_ref().map_or(String::new(), |p| format!(", {} of content", size(p.len() as u64)));
            places.push((range.clone(), format!("region {} (pages of {page}{fixed}{prefill})", shown(&region.name))));
        }
        for (pd, at) in system.pds.iter().zip(&facts.pds) {
            places.push((at.stack.clone(), format!("{}: stack", shown(&pd.name))));
            places.push((at.ipc_buffer..at.ipc_buffer + PAGE, format!("{}: IPC buffer", shown(&pd.name))));
            for (_, paddr, bytes) in &at.elf_frames {
                places.push((*paddr..paddr + bytes, format!("{}: program image", shown(&pd.name))));
            }
            for (level, paddr) in &at.page_tables {
                places.push((*paddr..paddr + PAGE, format!("{}: page table, level {level}", shown(&pd.name))));
            }
        }
        places.retain(|(range, _)| !range.is_empty());
        places.sort_by_key(|(range, _)| range.start);
        line!(self, "\n# Physical memory\n");
        for (range, what) in places {
            line!(self, "{:#012x}..{:#012x} {:>10}  {what}", range.start, range.end, size(length(&range)));
        }
    }

    fn protection_domain(&mut self, index: usize, pd: &ProtectionDomain) {
        let Report { system, facts, .. } = *self;
        let at = &facts.pds[index];
        line!(self, "\n# Protection domain {index}: {}\n", shown(&pd.name));
        line!(self, "program image        {}", shown(&pd.program_image.to_string_lossy()));
        line!(self, "priority             {}", pd.priority);
        line!(self, "budget, period       {} µs, {} µs", pd.budget_us, pd.period_us);
        line!(self, "passive, FPU         {}, {}", pd.passive, pd.fpu);
        line!(self, "domain               {}", pd.domain);
        match pd.parent {
            Some(parent) => {
                line!(self, "parent               {} (child {})", shown(&system.pds[parent.pd].name), parent.child_id);
            }
            None => {
                line!(self, "parent               none; the kernel handles its faults");
            }
        }
        let own: u64 = at.elf_frames.iter().map(|(_, _, bytes)| bytes).sum();
        let tables = at.page_tables.len() as u64 * PAGE;
        line!(
            self,
            "memory of its own    {}: program {}, stack {}, IPC buffer {}, {} page tables {}, in the blob {}, kernel {}",
            size(at.own_bytes(facts.kernel_bytes_per_pd)),
            size(own),
            size(pd.stack_bytes),
            size(PAGE),
            at.page_tables.len(),
            size(tables),
            size(at.table_bytes),
            size(facts.kernel_bytes_per_pd)
        );
        line!(self, "\nAddress space");
        let mut maps: Vec<(Range<u64>, u64, String)> = Vec::new();
        for (vaddr, paddr, bytes) in &at.elf_frames {
            maps.push((*vaddr..vaddr + bytes, *paddr, "program image".to_string()));
        }
        for map in &pd.maps {
            let region = &system.regions[map.region];
            let range = map.vaddr..map.vaddr + region.bytes;
            let what = format!("{} region {}", rights(map), shown(&region.name));
            maps.push((range, facts.regions[map.region].start, what));
        }
        maps.push((STACK_TOP - pd.stack_bytes..STACK_TOP, at.stack.start, "rw- stack".to_string()));
        maps.push((IPC_BUFFER_VADDR..IPC_BUFFER_VADDR + PAGE, at.ipc_buffer, "rw- IPC buffer".to_string()));
        maps.sort_by_key(|(range, ..)| range.start);
        for (range, paddr, what) in maps {
            line!(self, "  {:#012x}..{:#012x} -> {paddr:#012x}  {what}", range.start, range.end);
        }
        for irq in &pd.irqs {
            let trigger = if irq.trigger == Trigger::Edge { "edge" } else { "level" };
            line!(self, "Interrupt {}: source {}, {trigger}", irq.id, irq.source);
        }
        for setvar in &pd.setvars {
            let value = match setvar.value {
                SetVarValue::Number(value) => value,
                SetVarValue::RegionPaddr(region) => facts.regions[region].start,
            };
            line!(self, "Variable {} = {value:#x}", shown(&setvar.symbol));
        }
    }

    fn capabilities(&mut self, caps: &caps::Caps, pd: usize) {
        let (own, shared) = caps.pds[pd];
        line!(self, "\nCapabilities");
        let part = |span: Span2| &caps.table[span.first as usize..][..span.count as usize];
        for (slot, cap) in part(own).iter().enumerate().filter(|(_, cap)| cap.kind != cap_kind::NULL) {
            line!(self, "  {slot:>8}  {}", self.capability(cap));
        }
        for (slot, cap) in part(shared).iter().enumerate().filter(|(_, cap)| cap.kind != cap_kind::NULL) {
            line!(self, "  {slot:>2} << 58  {}", self.capability(cap));
        }
    }

    fn capability(&self, cap: &Cap) -> String {
        let kind = match cap.kind {
            cap_kind::ENDPOINT => "endpoint of",
            cap_kind::NOTIFICATION => "notification of",
            cap_kind::REPLY => "reply object of",
            cap_kind::THREAD => "thread of",
            cap_kind::SCHED_CONTEXT => "scheduling context of",
            cap_kind::VSPACE => "address space of",
            cap_kind::MONITOR => "default handler for",
            _ => {
                let irqs = caps::irqs(self.system);
                return format!("interrupt source {}", irqs[usize::from(cap.object)].source);
            }
        };
        let mut text = format!("{kind} {}", shown(&self.system.pds[usize::from(cap.object)].name));
        for (right, name) in
            [(cap_rights::READ, "receive"), (cap_rights::WRITE, "send"), (cap_rights::GRANT_REPLY, "call")]
        {
            if cap.rights & right != 0 {
                let _ = write!(text, ", {name}");
            }
        }
        if cap.badge != 0 {
            let _ = write!(text, ", badge {:#x}", cap.badge);
        }
        text
    }

    fn channels(&mut self) {
        let system = self.system;
        line!(self, "\n# Channels\n");
        for channel in &system.channels {
            for (own, peer) in channel.directions() {
                let may = match (own.notify, own.pp) {
                    (true, true) => "may notify and call",
                    (true, false) => "may notify",
                    (false, true) => "may call",
                    (false, false) => "may do nothing to",
                };
                let names = (shown(&system.pds[own.pd].name), shown(&system.pds[peer.pd].name));
                line!(self, "{} {} {may} {} {}", names.0, own.id, names.1, peer.id);
            }
        }
    }

    fn domains(&mut self) {
        let Some(domains) = &self.system.domains else { return };
        line!(self, "\n# Domains, starting with entry {}\n", domains.start);
        for (index, slot) in domains.slots.iter().enumerate() {
            match slot {
                DomainSlot::EndMarker => {
                    line!(self, "{index:>3}  back to the start");
                }
                DomainSlot::Run { domain, duration } => {
                    let name = domains
                        .names
                        .iter()
                        .find(|(_, id)| id == domain)
                        .map_or(String::new(), |(name, _)| shown(name));
                    let (number, unit) = match duration {
                        Duration::Micros(number) => (number, "µs"),
                        Duration::Ticks(number) => (number, "ticks"),
                    };
                    line!(self, "{index:>3}  {name} ({domain}) for {number} {unit}");
                }
            }
        }
    }
}

impl Report<'_> {
    /// The same figures for programs: `key = value`, in bytes. The names of the first three are those of the benchmark;
    /// `pd_ram_bytes` is the figure of the smallest PD.
    fn totals(&mut self) {
        let facts = self.facts;
        let of_pd = |pd: &PdFacts| pd.own_bytes(facts.kernel_bytes_per_pd);
        line!(self, "\n[totals]");
        line!(self, "pd_ram_bytes = {}", facts.pds.iter().map(of_pd).min().unwrap_or(0));
        line!(self, "idle_ram_bytes = {}", facts.used_ram_bytes);
        line!(self, "image_bytes = {}", facts.image_bytes);
        line!(self, "kernel_bytes = {}", length(&facts.kernel));
        line!(self, "kernel_page_table_bytes = {}", facts.kernel_page_table_bytes);
        line!(self, "boot_blob_bytes = {}", length(&facts.boot_blob));
        line!(self, "free_ram_bytes = {}", facts.free_ram_bytes);
    }
}

const PAGE: u64 = crate::model::SMALL_PAGE_BYTES;

fn length(range: &Range<u64>) -> u64 {
    range.end - range.start
}

fn rights(map: &Map) -> String {
    [(map.read, 'r'), (map.write, 'w'), (map.execute, 'x')]
        .map(|(has, letter)| if has { letter } else { '-' })
        .iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes() {
        let shown = [0, 1023, 1024, 4096, 0x20_0000, 0x8000_0000].map(size);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "4.0 KiB", "2.0 MiB", "2.0 GiB"]);
    }
}
