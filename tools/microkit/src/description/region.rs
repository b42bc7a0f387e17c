//! Memory regions.

use super::files::read_bounded;
use super::xml::{Element, shown};
use super::{Reader, RegionFacts};
use crate::error::{Error, Result};
use crate::model::{DEVICE_TOP, LARGE_PAGE_BYTES, MemoryRegion, SMALL_PAGE_BYTES};
use std::path::Path;

/// What a region can be filled with that comes from the boot loader. Every name is accepted, as Microkit does on every
/// architecture; none of it exists on this kernel's boards, so such a region reads as zeros, again as with Microkit there.
const BOOTINFO_KINDS: [&str; 6] = ["x86_vbe", "x86_mbmmap", "x86_acpi_rsdp", "x86_framebuffer", "x86_tsc_freq", "fdt"];

impl<'a> Reader<'a> {
    /// Reads a `memory_region`.
    pub(super) fn memory_region(&mut self, element: &Element<'a>) -> Result<()> {
        element.allow(&["name", "size", "page_size", "phys_addr", "prefill_path", "prefill_bootinfo"])?;
        let name = element.required("name")?;
        if self.region_names.insert(name.value, self.system.regions.len()).is_some() {
            return Err(name.error("another memory region has this name already"));
        }
        let page_size = element.optional("page_size");
        let page_bytes = page_size.map_or(Ok(SMALL_PAGE_BYTES), |attribute| attribute.number())?;
        if let Some(attribute) = page_size
            && ![SMALL_PAGE_BYTES, LARGE_PAGE_BYTES].contains(&page_bytes)
        {
            return Err(attribute.error("the page size must be 0x1000 (4 KiB) or 0x200000 (2 MiB)"));
        }
        let prefill = self.prefill(element)?;
        let bytes = self.region_bytes(element, page_bytes, prefill.as_deref())?;
        let paddr = self.region_paddr(element, page_bytes, bytes)?;
        self.region_facts.push(RegionFacts { page_size_is_fixed: page_size.is_some() });
        let (name, location) = (name.value.to_string(), element.location());
        self.system.regions.push(MemoryRegion { name, bytes, page_bytes, paddr, prefill, location });
        Ok(())
    }

    /// The content of the file that a region starts with.
    fn prefill(&mut self, element: &Element<'a>) -> Result<Option<Vec<u8>>> {
        let bootinfo = element.optional("prefill_bootinfo");
        let Some(path) = element.optional("prefill_path") else {
            if let Some(kind) = bootinfo {
                if !BOOTINFO_KINDS.contains(&kind.value) {
                    return Err(kind.error(format!("must be one of {}", BOOTINFO_KINDS.join(", "))));
                }
                let message = format!("boot information '{}' does not exist on this board: zeros", kind.value);
                self.warnings.push(Error::at(kind.location, message));
            }
            return Ok(None);
        };
        if bootinfo.is_some() {
            return Err(element.error("prefill_path and prefill_bootinfo exclude each other"));
        }
        let file = self.search.find(Path::new(path.value)).map_err(|e| path.error(e.message()))?;
        let bytes = read_bounded(&file, self.board.kernel.ram_bytes).map_err(|e| path.error(e.message()))?;
        if bytes.is_empty() {
            return Err(path.error("the file is empty; it must have at least one byte"));
        }
        Ok(Some(bytes))
    }

    /// The length of a region: as described, or as its content demands.
    fn region_bytes(&self, element: &Element, page_bytes: u64, prefill: Option<&[u8]>) -> Result<u64> {
        let Some(size) = element.optional("size") else {
            return match prefill {
                Some(content) => Ok((content.len() as u64).next_multiple_of(page_bytes)),
                None if element.optional("prefill_bootinfo").is_some() => Ok(page_bytes),
                None => {
                    Err(element.error("the attribute 'size' is missing; only a region with a prefill can do without"))
                }
            };
        };
        let bytes = size.number()?;
        if !bytes.is_multiple_of(page_bytes) {
            return Err(size.error(format!("must be a multiple of the page size, {page_bytes:#x}")));
        }
        if let Some(content) = prefill
            && content.len() as u64 > bytes
        {
            return Err(size.error(format!("the prefill file is longer: {:#x} bytes", content.len())));
        }
        if bytes > DEVICE_TOP {
            return Err(size.error(format!("physical addresses end at {DEVICE_TOP:#x}")));
        }
        Ok(bytes)
    }

    /// The fixed address of a region, checked against what the board has.
    fn region_paddr(&self, element: &Element, page_bytes: u64, bytes: u64) -> Result<Option<u64>> {
        let Some(attribute) = element.optional("phys_addr") else {
            return Ok(None);
        };
        let start = attribute.number()?;
        if !start.is_multiple_of(page_bytes) {
            return Err(attribute.error(format!("must be a multiple of the page size, {page_bytes:#x}")));
        }
        let Some(end) = start.checked_add(bytes).filter(|end| *end <= DEVICE_TOP) else {
            return Err(attribute.error(format!("the region of {bytes:#x} bytes must end at or below {DEVICE_TOP:#x}")));
        };
        if bytes == 0 {
            return Ok(Some(start));
        }
        for reserved in &self.board.kernel.reserved {
            if start < reserved.end && reserved.start < end {
                return Err(attribute.error(format!(
                    "the region is {start:#x}..{end:#x}, and {:#x}..{:#x} belongs to the {}",
                    reserved.start,
                    reserved.end,
                    shown(&reserved.name)
                )));
            }
        }
        let firmware = self.board.firmware();
        if start < firmware.end && firmware.start < end && element.optional("prefill_path").is_some() {
            let message = format!(
                "{:#x}..{:#x} belongs to the firmware, so it cannot be prefilled",
                firmware.start, firmware.end
            );
            return Err(attribute.error(message));
        }
        Ok(Some(start))
    }

    /// Gives every region the largest pages that its length, its fixed address and all its maps allow.
    pub(super) fn choose_page_sizes(&mut self) {
        let mut aligned: Vec<bool> = self
            .system
            .regions
            .iter()
            .map(|region| {
                region.bytes.is_multiple_of(LARGE_PAGE_BYTES)
                    && region.paddr.is_none_or(|paddr| paddr.is_multiple_of(LARGE_PAGE_BYTES))
            })
            .collect();
        for map in self.system.pds.iter().flat_map(|pd| &pd.maps) {
            aligned[map.region] &= map.vaddr.is_multiple_of(LARGE_PAGE_BYTES);
        }
        for ((region, facts), aligned) in self.system.regions.iter_mut().zip(&self.region_facts).zip(aligned) {
            if aligned && !facts.page_size_is_fixed {
                region.page_bytes = LARGE_PAGE_BYTES;
            }
        }
    }
}
