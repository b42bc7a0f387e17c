//! The schedule of domains.

use super::Reader;
use super::xml::{Element, parse_number};
use crate::error::Result;
use crate::model::{DomainSchedule, DomainSlot, Duration};
use kernel_layout::{MAX_DOMAIN_SCHEDULE, MAX_DOMAINS};

/// The kernel's table has 56 bits for a duration in ticks.
const MAX_DURATION_TICKS: u64 = (1 << 56) - 1;

impl<'a> Reader<'a> {
    /// Reads `domains`. It must precede the protection domains that it is for.
    pub(super) fn domains(&mut self, element: &Element<'a>) -> Result<()> {
        if !self.domain_names.is_empty() {
            return Err(element.error("domains are declared once; this is the second time"));
        }
        element.allow(&[])?;
        let mut schedule = None;
        let mut declared: Vec<(&'a str, Option<u8>)> = Vec::new();
        for child in element.children() {
            match child.tag() {
                "domain" => self.domain(&child, &mut declared)?,
                "domain_schedule" if schedule.is_none() => schedule = Some(child),
                "domain_schedule" => return Err(child.error("there is one schedule; this is the second")),
                _ => return Err(element.unknown_child(&child, "domain, domain_schedule")),
            }
        }
        let Some(schedule) = schedule else {
            return Err(element.error("the element <domain_schedule> is missing"));
        };
        let names = number_domains(element, declared)?;
        self.domain_names = names.iter().copied().collect();
        let (start, shift, slots) = self.domain_schedule(&schedule)?;
        if names.is_empty() {
            // A schedule without domains can only consist of end markers, and Microkit then uses none.
            return Ok(());
        }
        check_start(&schedule, start, shift, &slots)?;
        let mut names: Vec<(String, u8)> = names.into_iter().map(|(name, id)| (name.to_string(), id)).collect();
        names.sort_by_key(|(_, id)| *id);
        self.system.domains = Some(DomainSchedule { names, start, slots });
        Ok(())
    }

    fn domain(&self, element: &Element<'a>, declared: &mut Vec<(&'a str, Option<u8>)>) -> Result<()> {
        element.allow(&["name", "id"])?;
        let name = element.required("name")?;
        if declared.len() == MAX_DOMAINS {
            return Err(element.error(format!("there are at most {MAX_DOMAINS} domains")));
        }
        if declared.iter().any(|(other, _)| *other == name.value) {
            return Err(name.error("another domain has this name already"));
        }
        let mut id = None;
        if let Some(attribute) = element.optional("id") {
            let number = attribute.number_up_to(MAX_DOMAINS as u64 - 1)? as u8;
            if declared.iter().any(|(_, other)| *other == Some(number)) {
                return Err(attribute.error("another domain has this id already"));
            }
            id = Some(number);
        }
        declared.push((name.value, id));
        Ok(())
    }

    /// Reads the schedule: the index to start with, by how many entries the table is shifted, and the slots.
    fn domain_schedule(&self, element: &Element<'a>) -> Result<(usize, u64, Vec<DomainSlot>)> {
        element.allow(&["index_shift", "start_index"])?;
        let start = element.number_or("start_index", 0)?;
        let shift = element.number_or("index_shift", 0)?;
        let mut slots = Vec::new();
        for child in element.children() {
            if slots.len() + 1 == MAX_DOMAIN_SCHEDULE {
                let message = format!("a schedule has at most {} entries", MAX_DOMAIN_SCHEDULE - 1);
                return Err(child.error(message));
            }
            slots.push(match child.tag() {
                "schedule_entry" => self.schedule_entry(&child)?,
                "schedule_end_marker" => {
                    child.allow(&[])?;
                    DomainSlot::EndMarker
                }
                _ => return Err(element.unknown_child(&child, "schedule_entry, schedule_end_marker")),
            });
        }
        if slots.is_empty() {
            return Err(element.error("a schedule needs at least one <schedule_entry>"));
        }
        if let Some(attribute) = element.optional("start_index")
            && start >= slots.len() as u64
        {
            return Err(attribute.error(format!("the schedule has the entries 0 to {}", slots.len() - 1)));
        }
        // The kernel's table ends with an end marker that is not ours to write.
        let room = MAX_DOMAIN_SCHEDULE as u64 - 1 - slots.len() as u64;
        if let Some(attribute) = element.optional("index_shift")
            && shift > room
        {
            return Err(attribute.error(format!("with {} entries the shift must be 0 to {room}", slots.len())));
        }
        Ok((start as usize, shift, slots))
    }

    fn schedule_entry(&self, element: &Element<'a>) -> Result<DomainSlot> {
        element.allow(&["domain", "duration"])?;
        let domain = element.required("domain")?;
        let Some(&id) = self.domain_names.get(domain.value) else {
            return Err(domain.error(format!("there is no such domain{}", super::one_of(self.domain_names.keys()))));
        };
        let attribute = element.required("duration")?;
        let valid = "must be a number above zero, one space, and 'us' or 'ticks', for example \"1000 us\"";
        let (number, unit) = attribute.value.split_once(' ').ok_or_else(|| attribute.error(valid))?;
        let number = parse_number(number).filter(|number| *number > 0).ok_or_else(|| attribute.error(valid))?;
        let (duration, ticks) = match unit {
            "us" => (Duration::Micros(number), number.checked_mul(self.ticks_per_us())),
            "ticks" => (Duration::Ticks(number), Some(number)),
            _ => return Err(attribute.error(valid)),
        };
        if ticks.is_none_or(|ticks| ticks > MAX_DURATION_TICKS) {
            return Err(attribute.error(format!("must be at most {MAX_DURATION_TICKS} ticks")));
        }
        Ok(DomainSlot::Run { domain: id, duration })
    }

    /// Ticks of the time base in a microsecond, at least 1 so that limits computed with it hold.
    pub(super) fn ticks_per_us(&self) -> u64 {
        self.board.kernel.timebase_hz.div_ceil(1_000_000)
    }
}

/// The domains with their numbers: those of the description, and for the rest the lowest that are free, in order.
fn number_domains<'a>(element: &Element, declared: Vec<(&'a str, Option<u8>)>) -> Result<Vec<(&'a str, u8)>> {
    let fixed: Vec<u8> = declared.iter().filter_map(|(_, id)| *id).collect();
    let mut free = (0..MAX_DOMAINS as u8).filter(|id| !fixed.contains(id));
    declared
        .into_iter()
        .map(|(name, id)| {
            let id = id.or_else(|| free.next());
            Ok((name, id.ok_or_else(|| element.error(format!("there are at most {MAX_DOMAINS} domains")))?))
        })
        .collect()
}

/// seL4 refuses at boot to start with an end marker, and to write one into the entry it runs then: the first one.
fn check_start(element: &Element, start: usize, shift: u64, slots: &[DomainSlot]) -> Result<()> {
    let is_end_marker = |index: usize| slots.get(index).is_none_or(|slot| *slot == DomainSlot::EndMarker);
    if is_end_marker(start) || shift == 0 && is_end_marker(0) {
        return Err(element.error("neither the entry to start with nor the first one may be an end marker"));
    }
    Ok(())
}
