//! Rules about the system as a whole: what no element can tell alone.

use super::xml::shown;
use crate::error::{Error, Result};
use crate::model::{Location, System};
use std::collections::HashMap;

/// Checks the rules.
pub(super) fn check(system: &System) -> Result<()> {
    ids(system)?;
    calls(system)?;
    maps(system)?;
    fixed_regions(system)?;
    prefills(system)
}

/// Interrupts and channel ends of a PD share one space of ids.
fn ids(system: &System) -> Result<()> {
    let mut used: HashMap<(usize, u8), Location> = HashMap::new();
    let mut claim = |pd: usize, id: u8, location: Location| match used.insert((pd, id), location) {
        None => Ok(()),
        Some(Location { line, .. }) => {
            let name = shown(&system.pds[pd].name);
            let message =
                format!("id {id} of '{name}' is in use already, in line {line}; ids of channels and interrupts differ");
            Err(Error::at(location, message))
        }
    };
    for (index, pd) in system.pds.iter().enumerate() {
        for irq in &pd.irqs {
            claim(index, irq.id, irq.location)?;
        }
    }
    for channel in &system.channels {
        let [first, second] = &channel.ends;
        claim(first.pd, first.id, first.location)?;
        // Microkit takes a channel from an id of a PD to the same id, which is one capability if one end notifies.
        let is_loop = (first.pd, first.id) == (second.pd, second.id) && !(first.notify && second.notify);
        if !is_loop {
            claim(second.pd, second.id, second.location)?;
        }
    }
    Ok(())
}

/// Protected calls go to a strictly higher priority.
fn calls(system: &System) -> Result<()> {
    for channel in &system.channels {
        for (own, peer) in channel.directions() {
            let (caller, callee) = (&system.pds[own.pd], &system.pds[peer.pd]);
            if own.pp && caller.priority >= callee.priority {
                let message = format!(
                    "<end> pp=\"true\": '{}' (priority {}) may only call a higher priority, and '{}' has {}",
                    shown(&caller.name),
                    caller.priority,
                    shown(&callee.name),
                    callee.priority
                );
                return Err(Error::at(own.location, message));
            }
        }
    }
    Ok(())
}

/// Maps of a PD do not overlap.
fn maps(system: &System) -> Result<()> {
    for pd in &system.pds {
        let mut sorted: Vec<_> = pd.maps.iter().collect();
        sorted.sort_by_key(|map| map.vaddr);
        for pair in sorted.windows(2) {
            let regions = [&system.regions[pair[0].region], &system.regions[pair[1].region]];
            let end = pair[0].vaddr + regions[0].bytes;
            if end <= pair[1].vaddr {
                continue;
            }
            let message = format!(
                "<map> of '{}' at {:#x}..{:#x} overlaps the map of '{}' at {:#x}..{end:#x} (line {})",
                shown(&regions[1].name),
                pair[1].vaddr,
                pair[1].vaddr + regions[1].bytes,
                shown(&regions[0].name),
                pair[0].vaddr,
                pair[0].location.line
            );
            return Err(Error::at(pair[1].location, message));
        }
    }
    Ok(())
}

/// Regions with fixed addresses do not overlap.
fn fixed_regions(system: &System) -> Result<()> {
    let fixed = system.regions.iter().filter(|region| region.bytes > 0);
    let mut sorted: Vec<_> = fixed.filter_map(|region| region.paddr.map(|paddr| (paddr, region))).collect();
    sorted.sort_by_key(|(paddr, _)| *paddr);
    for pair in sorted.windows(2) {
        let ((first_start, first), (second_start, second)) = (pair[0], pair[1]);
        let first_end = first_start + first.bytes;
        if first_end > second_start {
            let message = format!(
                "<memory_region> '{}' at {second_start:#x}..{:#x} overlaps '{}' at {first_start:#x}..{first_end:#x} (line {})",
                shown(&second.name),
                second_start + second.bytes,
                shown(&first.name),
                first.location.line
            );
            return Err(Error::at(second.location, message));
        }
    }
    Ok(())
}

/// A prefill reaches the last page of its region. Microkit's tool fails otherwise.
fn prefills(system: &System) -> Result<()> {
    for region in &system.regions {
        let Some(content) = &region.prefill else { continue };
        let (content, last_page) = (content.len() as u64, region.bytes - region.page_bytes);
        if content < last_page {
            let message = format!(
                "<memory_region> '{}': the prefill file has {content:#x} bytes and must reach the last page, which begins \
                 at {last_page:#x}; make the file longer or the region smaller",
                shown(&region.name)
            );
            return Err(Error::at(region.location, message));
        }
    }
    Ok(())
}
