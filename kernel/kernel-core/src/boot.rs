//! From the composer's tables to a kernel that runs.

use crate::kernel::MAX_IRQ_SOURCE;
use crate::objects::{Id, State, reg};
use crate::{Environment, Kernel};
use core::fmt;
use kernel_layout::{
    BootInfo, Cap, DomainSlot, IrqInfo, MAGIC, MAX_DOMAIN_SCHEDULE, MAX_DOMAINS, MAX_PDS, MAX_PRIORITY, PD_FPU,
    PD_PASSIVE, PdInfo, Span, Span2, cap_kind, slot,
};
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// Why the boot information cannot be used: the composer and the kernel do not belong together, or one is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootError {
    /// It does not start with a `BootInfo` of this version.
    Magic,
    /// A table reaches over its end.
    Table(&'static str),
    /// A number is not in its range. The index says which entry of its table.
    Value(&'static str, usize),
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Magic => f.write_str("no boot information of this version"),
            Self::Table(name) => write!(f, "the table of {name} does not fit"),
            Self::Value(what, index) => write!(f, "entry {index}: {what} is out of range"),
        }
    }
}

/// No period is longer than this, so that sums of times cannot overflow (at 10 MHz: 223 years).
const MAX_PERIOD_TICKS: u64 = 1 << 56;
/// The smallest budget that lets a thread enter and leave the kernel, in microseconds.
const MIN_BUDGET_US: u64 = 20;

fn table<'a, T: FromBytes + Immutable + KnownLayout>(
    blob: &'a [u8],
    span: Span,
    name: &'static str,
) -> Result<&'a [T], BootError> {
    let bytes = blob.get(span.offset as usize..).ok_or(BootError::Table(name))?;
    match <[T]>::ref_from_prefix_with_elems(bytes, span.count as usize) {
        Ok((table, _)) => Ok(table),
        Err(_) => Err(BootError::Table(name)),
    }
}

fn check(holds: bool, what: &'static str, index: usize) -> Result<(), BootError> {
    if holds { Ok(()) } else { Err(BootError::Value(what, index)) }
}

impl<'a> Kernel<'a> {
    /// Makes every PD of the boot blob ready to run from its entry, and picks the first. Once in a kernel's life.
    pub fn boot(&mut self, env: &mut impl Environment, blob: &'a [u8]) -> Result<&'a BootInfo, BootError> {
        let (info, _) = BootInfo::ref_from_prefix(blob).map_err(|_| BootError::Magic)?;
        if info.magic != MAGIC || info.bytes != blob.len() as u64 {
            return Err(BootError::Magic);
        }
        let pds: &[PdInfo] = table(blob, info.pds, "protection domains")?;
        let caps: &[Cap] = table(blob, info.caps, "capabilities")?;
        let irqs: &[IrqInfo] = table(blob, info.irqs, "interrupts")?;
        let schedule: &[DomainSlot] = table(blob, info.domain_schedule, "domains")?;
        check(!pds.is_empty() && pds.len() <= MAX_PDS, "number of protection domains", pds.len())?;
        check(info.timebase_hz >= 1_000_000, "timebase", 0)?;
        self.ticks_per_us = info.timebase_hz / 1_000_000;
        self.min_budget = self.ticks_per_us * MIN_BUDGET_US;
        check_caps(caps, pds.len(), irqs.len())?;
        self.boot_irqs(irqs, pds.len(), info.plic_sources)?;
        self.infos = Some(pds);

        let now = env.now();
        self.charged_until = now;
        for (index, pd) in pds.iter().enumerate() {
            self.boot_pd(index, pd, caps, now)?;
        }
        self.boot_levels(pds);
        self.boot_domains(schedule, info.domain_start as usize, now)?;
        for index in 0..pds.len() {
            self.enqueue_last(Id::from_index(index));
        }
        self.choose_anew();
        self.schedule(env);
        Ok(info)
    }

    fn boot_pd(&mut self, index: usize, info: &PdInfo, caps: &'a [Cap], now: u64) -> Result<(), BootError> {
        let part = |span: Span2, limit: u64, name| {
            let end = u64::from(span.first) + u64::from(span.count);
            check(u64::from(span.count) <= limit, name, index)?;
            caps.get(span.first as usize..end as usize).ok_or(BootError::Value(name, index))
        };
        check(info.priority <= u32::from(MAX_PRIORITY), "priority", index)?;
        check((info.domain as usize) < MAX_DOMAINS, "domain", index)?;
        check(info.flags & !(PD_PASSIVE | PD_FPU) == 0, "flags", index)?;
        check(info.period_ticks <= MAX_PERIOD_TICKS, "period", index)?;
        check((self.min_budget..=info.period_ticks).contains(&info.budget_ticks), "budget", index)?;
        let id = Id::from_index(index);
        let pd = &mut self.pds[id.slot()];
        pd.frame.x[0] = info.entry;
        pd.frame.x[reg::SP] = info.stack_top;
        pd.satp = info.satp;
        pd.thread.caps = Some(part(info.caps, slot::COUNT, "capabilities")?);
        pd.thread.shared_caps = Some(part(info.shared_caps, slot::ROOT_COUNT, "shared capabilities")?);
        pd.thread.priority = info.priority as u8;
        pd.thread.domain = info.domain as u8;
        pd.thread.passive = info.flags & PD_PASSIVE != 0;
        pd.thread.state = State::Running;
        pd.thread.sc = id;
        pd.sched_context.thread = id;
        pd.sched_context.start(info.budget_ticks, info.period_ticks, now);
        Ok(())
    }

    /// Numbers the pairs of domain and priority that exist, the highest priority first.
    fn boot_levels(&mut self, pds: &[PdInfo]) {
        let key = |info: &PdInfo| (info.priority, info.domain);
        // Of those with the same pair, the first stands for all.
        let mut first: u64 = 0;
        for (index, info) in pds.iter().enumerate() {
            if !pds[..index].iter().any(|earlier| key(earlier) == key(info)) {
                first |= 1 << (index & 63);
            }
        }
        for (index, info) in pds.iter().enumerate() {
            let is_above = |other: &(usize, &PdInfo)| first >> (other.0 & 63) & 1 != 0 && key(other.1) > key(info);
            let level = pds.iter().enumerate().filter(is_above).count() & 63;
            let thread = &mut self.pds[Id::from_index(index).slot()].thread;
            thread.level = level as u8;
            thread.level_bit = 1 << level;
            self.level_domains[level] = info.domain as u8;
        }
    }

    fn boot_irqs(&mut self, irqs: &'a [IrqInfo], pds: usize, sources: u32) -> Result<(), BootError> {
        check(sources as usize <= MAX_IRQ_SOURCE, "number of interrupt sources", 0)?;
        for (index, irq) in irqs.iter().enumerate() {
            check((1..=sources).contains(&irq.source), "interrupt source", index)?;
            check(usize::from(irq.pd) < pds && irq.badge != 0, "receiver of an interrupt", index)?;
            let entry = &mut self.irq_of_source[irq.source as usize % (MAX_IRQ_SOURCE + 1)];
            check(*entry == 0, "interrupt source that two receive", index)?;
            *entry = index as u16 + 1;
        }
        self.irqs = Some(irqs);
        Ok(())
    }

    fn boot_domains(&mut self, schedule: &'a [DomainSlot], start: usize, now: u64) -> Result<(), BootError> {
        if schedule.is_empty() {
            self.domain_levels = u64::MAX;
            self.domain_end = u64::MAX;
            self.next_event = u64::MAX;
            return Ok(());
        }
        check(schedule.len() <= MAX_DOMAIN_SCHEDULE, "length of the domain schedule", schedule.len())?;
        for (index, entry) in schedule.iter().enumerate() {
            check(entry.domain < MAX_DOMAINS as u64, "domain", index)?;
            check(entry.duration_ticks <= MAX_PERIOD_TICKS, "duration of a domain", index)?;
        }
        let first = schedule.get(start).ok_or(BootError::Value("start of the domain schedule", start))?;
        check(first.duration_ticks != 0, "start of the domain schedule", start)?;
        self.domain_schedule = Some(schedule);
        self.domain_start = start;
        self.enter_domain(start, now);
        Ok(())
    }
}

fn check_caps(caps: &[Cap], pds: usize, irqs: usize) -> Result<(), BootError> {
    for (index, cap) in caps.iter().enumerate() {
        let objects = match cap.kind {
            cap_kind::NULL => continue,
            cap_kind::IRQ_HANDLER => irqs,
            cap_kind::ENDPOINT..=cap_kind::VSPACE | cap_kind::MONITOR => pds,
            _ => return Err(BootError::Value("kind of a capability", index)),
        };
        check(usize::from(cap.object) < objects, "object of a capability", index)?;
        check(cap.kind != cap_kind::NOTIFICATION || cap.badge != 0 || cap.rights & 2 == 0, "badge of a signal", index)?;
    }
    Ok(())
}
