//! Protection domains.

use super::xml::{Attribute, Element, shown};
use super::{PendingCap, Reader};
use crate::error::{Error, Result};
use crate::model::{
    Irq, Map, Parent, ProtectionDomain, SMALL_PAGE_BYTES, SetVarValue, SharedCap, SharedCapKind, Trigger,
};
use kernel_layout::{MAX_CHANNEL_ID, MAX_PDS, MAX_PRIORITY, STACK_TOP, slot};
use std::path::PathBuf;

const DEFAULT_BUDGET_US: u64 = 1000;
/// seL4 refuses less at boot: twice its worst-case execution time.
const MIN_BUDGET_US: u64 = 20;
const DEFAULT_STACK_BYTES: u64 = 0x2000;
const MAX_STACK_BYTES: u64 = 16 << 20;
/// The monitor of Microkit has this name.
const RESERVED_NAME: &str = "monitor";

const ATTRIBUTES: [&str; 10] =
    ["name", "priority", "budget", "period", "passive", "stack_size", "smc", "cpu", "domain", "fpu"];
const CHILD_ATTRIBUTES: [&str; 12] =
    ["name", "priority", "budget", "period", "passive", "stack_size", "smc", "cpu", "domain", "fpu", "id", "setvar_id"];
const ELEMENTS: &str = "program_image, map, irq, setvar, cspace, protection_domain";

impl<'a> Reader<'a> {
    /// Reads a `protection_domain` and its children. `depth` counts the ancestors.
    pub(super) fn protection_domain(
        &mut self,
        element: &Element<'a>,
        parent: Option<usize>,
        depth: usize,
    ) -> Result<()> {
        // A PD has fewer than 63 ancestors, so the limit on PDs bounds the recursion too.
        if self.system.pds.len() == MAX_PDS || depth >= MAX_PDS {
            return Err(element.error(format!("there are more than {MAX_PDS} protection domains")));
        }
        element.allow(if parent.is_some() { &CHILD_ATTRIBUTES[..] } else { &ATTRIBUTES[..] })?;
        let pd = self.scheduling(element)?;
        let index = self.system.pds.len();
        let name = element.required("name")?;
        if name.value == RESERVED_NAME {
            return Err(name.error("this name belongs to Microkit's monitor"));
        }
        if self.pd_names.insert(name.value, index).is_some() {
            return Err(name.error("another protection domain has this name already"));
        }
        self.system.pds.push(ProtectionDomain { name: name.value.to_string(), ..pd });
        if let Some(parent) = parent {
            self.adopt(element, index, parent)?;
        }
        self.contents(element, index, depth)
    }

    /// The attributes that concern the PD alone.
    fn scheduling(&self, element: &Element<'a>) -> Result<ProtectionDomain> {
        let priority = element.optional("priority").map_or(Ok(0), |a| a.number_up_to(MAX_PRIORITY.into()))?;
        let (budget_us, period_us) = self.budget(element)?;
        if element.boolean_or("smc", false)? {
            return Err(element.error("smc=\"true\": calls to the secure monitor exist on Arm only"));
        }
        if let Some(cpu) = element.optional("cpu")
            && cpu.number()? != 0
        {
            return Err(cpu.error("must be 0: the kernel runs on one core"));
        }
        Ok(ProtectionDomain {
            name: String::new(),
            priority: priority as u8,
            budget_us,
            period_us,
            passive: element.boolean_or("passive", false)?,
            fpu: element.boolean_or("fpu", true)?,
            stack_bytes: stack_bytes(element)?,
            domain: self.domain_of(element)?,
            parent: None,
            program_image: PathBuf::new(),
            program_image_for_symbols: None,
            maps: Vec::new(),
            irqs: Vec::new(),
            setvars: Vec::new(),
            shared_caps: Vec::new(),
            location: element.location(),
        })
    }

    fn budget(&self, element: &Element<'a>) -> Result<(u64, u64)> {
        let budget = element.number_or("budget", DEFAULT_BUDGET_US)?;
        let period = element.number_or("period", budget)?;
        if let Some(attribute) = element.optional("budget")
            && budget < MIN_BUDGET_US
        {
            return Err(
                attribute.error(format!("must be at least {MIN_BUDGET_US} (µs), or the kernel refuses it at boot"))
            );
        }
        if budget > period {
            let attribute = element.optional("period").or(element.optional("budget"));
            let message = format!("the budget ({budget} µs) must not exceed the period ({period} µs)");
            return Err(attribute.map_or_else(|| element.error(&message), |attribute| attribute.error(&message)));
        }
        let longest = u64::MAX / self.ticks_per_us() / 8;
        if period > longest {
            return Err(element.error(format!("a period of {period} µs is too long; at most {longest}")));
        }
        Ok((budget, period))
    }

    fn domain_of(&self, element: &Element<'a>) -> Result<u8> {
        match element.optional("domain") {
            None if self.domain_names.is_empty() => Ok(0),
            None => Err(element.error("the attribute 'domain' is missing; the system declares domains")),
            Some(name) => self.domain_names.get(name.value).copied().ok_or_else(|| {
                let names = super::one_of(self.domain_names.keys());
                name.error(format!("no such domain is declared in <domains> above{names}"))
            }),
        }
    }

    /// Makes a PD the child of another.
    fn adopt(&mut self, element: &Element<'a>, child: usize, parent: usize) -> Result<()> {
        let id = element.required("id")?;
        let child_id = id.number_up_to(MAX_CHANNEL_ID)? as u8;
        if self.system.children(parent).any(|(_, other)| other == child_id) {
            let name = shown(&self.system.pds[parent].name);
            return Err(id.error(format!("another child of '{name}' has this id already")));
        }
        self.system.pds[child].parent = Some(Parent { pd: parent, child_id });
        if let Some(symbol) = element.optional("setvar_id") {
            self.add_setvar(parent, symbol, SetVarValue::Number(child_id.into()))?;
        }
        Ok(())
    }

    /// The elements within a PD.
    fn contents(&mut self, element: &Element<'a>, pd: usize, depth: usize) -> Result<()> {
        let mut has_image = false;
        let mut has_cspace = false;
        for child in element.children() {
            match child.tag() {
                "program_image" => {
                    if std::mem::replace(&mut has_image, true) {
                        return Err(child.error("a protection domain has one program image; this is the second"));
                    }
                    child.allow(&["path", "path_for_symbols"])?;
                    self.system.pds[pd].program_image = child.required("path")?.value.into();
                    let symbols = child.optional("path_for_symbols").map(|path| path.value.into());
                    self.system.pds[pd].program_image_for_symbols = symbols;
                }
                "map" => self.map(&child, pd)?,
                "irq" => self.irq(&child, pd)?,
                "setvar" => {
                    child.allow(&["symbol", "region_paddr"])?;
                    let symbol = child.required("symbol")?;
                    let region = self.region_named(&child.required("region_paddr")?)?;
                    self.add_setvar(pd, symbol, SetVarValue::RegionPaddr(region))?;
                }
                "protection_domain" => self.protection_domain(&child, Some(pd), depth + 1)?,
                "cspace" => {
                    if std::mem::replace(&mut has_cspace, true) {
                        return Err(child.error("a protection domain has one <cspace>; this is the second"));
                    }
                    self.cspace(&child, pd)?;
                }
                "virtual_machine" => {
                    return Err(child.error("the kernel is no hypervisor; virtual machines cannot run on it"));
                }
                "ioport" => return Err(child.error("I/O ports exist on x86 only")),
                _ => return Err(element.unknown_child(&child, ELEMENTS)),
            }
        }
        if !has_image {
            return Err(element.error("the element <program_image path=\"…\"/> is missing"));
        }
        Ok(())
    }

    fn map(&mut self, element: &Element<'a>, pd: usize) -> Result<()> {
        element.allow(&["mr", "vaddr", "perms", "cached", "setvar_vaddr", "setvar_size", "setvar_prefill_size"])?;
        let region_name = element.required("mr")?;
        let region = self.region_named(&region_name)?;
        let address = element.required("vaddr")?;
        let vaddr = address.number()?;
        self.check_map_range(pd, region, &address, vaddr)?;
        let (read, write, execute) = permissions(element.optional("perms"))?;
        let cached = element.boolean_or("cached", true)?;
        let location = element.location();
        if write && execute {
            let message = format!("<map> of '{}' is writable and executable at once", shown(region_name.value));
            self.warnings.push(Error::at(location, message));
        }
        self.system.pds[pd].maps.push(Map { region, vaddr, read, write, execute, cached, location });

        if let Some(symbol) = element.optional("setvar_vaddr") {
            self.add_setvar(pd, symbol, SetVarValue::Number(vaddr))?;
        }
        if let Some(symbol) = element.optional("setvar_size") {
            self.add_setvar(pd, symbol, SetVarValue::Number(self.system.regions[region].bytes))?;
        }
        if let Some(symbol) = element.optional("setvar_prefill_size") {
            let Some(content) = &self.system.regions[region].prefill else {
                return Err(symbol.error("the region has no prefill_path, so there is no size to set"));
            };
            let bytes = content.len() as u64;
            self.add_setvar(pd, symbol, SetVarValue::Number(bytes))?;
        }
        Ok(())
    }

    /// A map lies below the stack, with a page between them that nobody has.
    fn check_map_range(&self, pd: usize, region: usize, address: &Attribute, vaddr: u64) -> Result<()> {
        let region = &self.system.regions[region];
        if region.bytes == 0 {
            return Err(address.error("the region has size 0; there is nothing to map"));
        }
        if !vaddr.is_multiple_of(region.page_bytes) {
            let message = format!("must be a multiple of the region's page size, {:#x}", region.page_bytes);
            return Err(address.error(message));
        }
        let limit = STACK_TOP - self.system.pds[pd].stack_bytes - SMALL_PAGE_BYTES;
        match vaddr.checked_add(region.bytes) {
            Some(end) if end <= limit => Ok(()),
            _ => Err(address.error(format!(
                "the region of {:#x} bytes must end at or below {limit:#x}, one page below the stack",
                region.bytes
            ))),
        }
    }

    fn irq(&mut self, element: &Element<'a>, pd: usize) -> Result<()> {
        for (attribute, kind) in [("pin", "I/O APIC"), ("pcidev", "MSI")] {
            if element.optional("irq").is_none() && element.optional(attribute).is_some() {
                let message = format!("{kind} interrupts exist on x86 only; RISC-V needs the attribute 'irq'");
                return Err(element.error(message));
            }
        }
        element.allow(&["irq", "id", "setvar_id", "trigger"])?;
        let id = element.required("id")?.id(MAX_CHANNEL_ID)?;
        let number = element.required("irq")?;
        let sources = self.board.kernel.plic_sources;
        let source = match number.value.parse::<u64>() {
            Ok(source) if (1..=sources.into()).contains(&source) => source as u32,
            _ => {
                return Err(
                    number.error(format!("must be a decimal number from 1 to {sources}, a source of the board"))
                );
            }
        };
        if self.system.pds.iter().flat_map(|other| &other.irqs).any(|irq| irq.source == source) {
            return Err(number.error("another <irq> has this interrupt already"));
        }
        let trigger = match element.optional("trigger") {
            None => Trigger::Level,
            Some(attribute) => match attribute.value {
                "level" => Trigger::Level,
                "edge" => Trigger::Edge,
                _ => return Err(attribute.error("must be 'level' or 'edge'")),
            },
        };
        self.system.pds[pd].irqs.push(Irq { id, source, trigger, location: element.location() });
        if let Some(symbol) = element.optional("setvar_id") {
            self.add_setvar(pd, symbol, SetVarValue::Number(id.into()))?;
        }
        Ok(())
    }

    fn cspace(&mut self, element: &Element<'a>, pd: usize) -> Result<()> {
        element.allow(&[])?;
        for child in element.children() {
            let kind = match child.tag() {
                "cap_tcb" => SharedCapKind::Tcb,
                "cap_sc" => SharedCapKind::SchedContext,
                "cap_vspace" => SharedCapKind::VSpace,
                _ => return Err(element.unknown_child(&child, "cap_tcb, cap_sc, cap_vspace")),
            };
            child.allow(&["slot", "pd"])?;
            let target = child.required("pd")?;
            let place = child.required("slot")?;
            let number = place.number()?;
            if !(1..slot::ROOT_COUNT).contains(&number) {
                let last = slot::ROOT_COUNT - 1;
                return Err(place.error(format!("must be 1 to {last}; slot 0 holds what Microkit gives every PD")));
            }
            if self.system.pds[pd].shared_caps.iter().any(|cap| u64::from(cap.slot) == number) {
                return Err(place.error("another capability lies in this slot already"));
            }
            let index = self.system.pds[pd].shared_caps.len();
            // The PD may come later in the file; `resolve_shared_caps` puts in the right one.
            let cap = SharedCap { kind, pd: usize::MAX, slot: number as u8, location: child.location() };
            self.system.pds[pd].shared_caps.push(cap);
            self.pending_caps.push(PendingCap { holder: pd, index, target });
        }
        Ok(())
    }

    /// Finds the PDs that shared capabilities name.
    pub(super) fn resolve_shared_caps(&mut self) -> Result<()> {
        for PendingCap { holder, index, target } in &self.pending_caps {
            let Some(&pd) = self.pd_names.get(target.value) else {
                let names = super::one_of(self.pd_names.keys());
                return Err(target.error(format!("there is no such protection domain{names}")));
            };
            self.system.pds[*holder].shared_caps[*index].pd = pd;
        }
        Ok(())
    }
}

fn stack_bytes(element: &Element) -> Result<u64> {
    let Some(attribute) = element.optional("stack_size") else {
        return Ok(DEFAULT_STACK_BYTES);
    };
    let bytes = attribute.number()?;
    if !(SMALL_PAGE_BYTES..=MAX_STACK_BYTES).contains(&bytes) || !bytes.is_multiple_of(SMALL_PAGE_BYTES) {
        return Err(attribute.error(format!("must be a multiple of {SMALL_PAGE_BYTES:#x} up to {MAX_STACK_BYTES:#x}")));
    }
    Ok(bytes)
}

/// The rights that a map has in effect: a write right without a read right comes to nothing, as on seL4.
fn permissions(attribute: Option<Attribute>) -> Result<(bool, bool, bool)> {
    let Some(attribute) = attribute else {
        return Ok((true, true, false));
    };
    let has = |letter| attribute.value.contains(letter);
    if !attribute.value.chars().all(|letter| "rwx".contains(letter)) || has('w') && !has('r') && !has('x') {
        return Err(attribute.error("must be made of 'r', 'w' and 'x', and not be write-only"));
    }
    Ok((has('r'), has('w') && has('r'), has('x')))
}
