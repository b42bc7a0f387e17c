//! The boot blob: the tables that the kernel reads, in the encoding of [`kernel_layout`].

use super::caps::{Caps, caps, irqs};
use crate::board::Board;
use crate::elf::Elf;
use crate::error::{Error, Result};
use crate::model::{self, ProtectionDomain, System};
use kernel_layout::{
    BootInfo, CopyRange, DomainSlot, IrqInfo, MAGIC, MAX_DOMAIN_SCHEDULE, PD_FPU, PD_PASSIVE, PLIC_WINDOW, PdInfo,
    STACK_TOP, Span, ZeroRange,
};
use zerocopy::{Immutable, IntoBytes};

/// All tables of the blob.
pub struct Blob {
    info: BootInfo,
    pds: Vec<PdInfo>,
    caps: Caps,
    irqs: Vec<IrqInfo>,
    domain_schedule: Vec<DomainSlot>,
}

/// The blob's bytes, and where in them the lists for the boot code begin.
pub struct Encoded {
    /// The content.
    pub bytes: Vec<u8>,
    /// Offset of the [`CopyRange`]s.
    pub copies_offset: u64,
    /// Offset of the [`ZeroRange`]s.
    pub zeros_offset: u64,
}

impl Blob {
    /// Makes the tables. `satps` are the values of the `satp` register by PD.
    ///
    /// # Errors
    /// A length of time has too many ticks, or a table is too long.
    pub fn new(system: &System, elfs: &[Elf], board: &Board, satps: &[u64]) -> Result<Blob> {
        let caps = caps(system)?;
        let facts = &board.kernel;
        let mut pds = Vec::new();
        for (index, pd) in system.pds.iter().enumerate() {
            let (own, shared) = caps.pds[index];
            let mut name = [0; 64];
            // A longer name is cut, as in the PD's own copy.
            for (to, from) in name.iter_mut().zip(pd.name.bytes()) {
                *to = from;
            }
            pds.push(PdInfo {
                name,
                entry: elfs[index].entry,
                stack_top: STACK_TOP,
                stack_bottom: STACK_TOP - pd.stack_bytes,
                satp: satps[index],
                budget_ticks: pd_ticks(pd, "budget", pd.budget_us, facts.timebase_hz)?,
                period_ticks: pd_ticks(pd, "period", pd.period_us, facts.timebase_hz)?,
                caps: own,
                shared_caps: shared,
                priority: pd.priority.into(),
                domain: pd.domain.into(),
                flags: if pd.passive { PD_PASSIVE } else { 0 } | if pd.fpu { PD_FPU } else { 0 },
                reserved: 0,
            });
        }
        let (domain_schedule, domain_start) = domain_schedule(system, facts.timebase_hz)?;
        let info = BootInfo {
            magic: MAGIC,
            plic_vaddr: PLIC_WINDOW + facts.plic_base % super::paging::LARGE,
            plic_context: facts.plic_context,
            plic_sources: facts.plic_sources,
            timebase_hz: facts.timebase_hz,
            domain_start,
            ..BootInfo::default()
        };
        Ok(Blob { info, pds, caps, irqs: irqs(system), domain_schedule })
    }

    /// The bytes that the tables of one PD take in the blob.
    pub fn bytes_of_pd(&self, pd: usize) -> u64 {
        let (own, shared) = self.caps.pds[pd];
        let caps = (own.count + shared.count) as usize * size_of::<kernel_layout::Cap>();
        let irqs = self.irqs.iter().filter(|irq| usize::from(irq.pd) == pd).count() * size_of::<IrqInfo>();
        (size_of::<PdInfo>() + caps + irqs) as u64
    }

    /// Puts everything one behind the other, the lists for the boot code last.
    pub fn encode(&self, copies: &[CopyRange], zeros: &[ZeroRange]) -> Encoded {
        let mut bytes = vec![0; size_of::<BootInfo>()];
        let pds = append(&mut bytes, &self.pds);
        let caps = append(&mut bytes, &self.caps.table);
        let irqs = append(&mut bytes, &self.irqs);
        let domain_schedule = append(&mut bytes, &self.domain_schedule);
        let copies_offset = append(&mut bytes, copies).offset.into();
        let zeros_offset = append(&mut bytes, zeros).offset.into();
        let info = BootInfo { bytes: bytes.len() as u64, pds, caps, irqs, domain_schedule, ..self.info };
        bytes[..size_of::<BootInfo>()].copy_from_slice(info.as_bytes());
        Encoded { bytes, copies_offset, zeros_offset }
    }
}

fn append<T: IntoBytes + Immutable>(bytes: &mut Vec<u8>, entries: &[T]) -> Span {
    let span = Span { offset: bytes.len() as u32, count: entries.len() as u32 };
    bytes.extend_from_slice(entries.as_bytes());
    span
}

fn pd_ticks(pd: &ProtectionDomain, what: &str, micros: u64, timebase_hz: u64) -> Result<u64> {
    ticks(model::Duration::Micros(micros), timebase_hz).ok_or_else(|| {
        Error::at(
            pd.location,
            format!("the {what} of protection domain '{}', {micros} us, does not fit the board's clock", pd.name),
        )
    })
}

/// Ticks of the `time` register. The kernel adds lengths of time to the present time, so the highest bits stay free.
fn ticks(duration: model::Duration, timebase_hz: u64) -> Option<u64> {
    let ticks = match duration {
        model::Duration::Ticks(ticks) => ticks.into(),
        model::Duration::Micros(micros) => (u128::from(micros) * u128::from(timebase_hz)).div_ceil(1_000_000),
    };
    u64::try_from(ticks).ok().filter(|ticks| *ticks < 1 << 62)
}

fn domain_schedule(system: &System, timebase_hz: u64) -> Result<(Vec<DomainSlot>, u32)> {
    let Some(schedule) = &system.domains else { return Ok((Vec::new(), 0)) };
    let length = schedule.slots.len();
    if length > MAX_DOMAIN_SCHEDULE || schedule.start >= schedule.slots.len() {
        return Err(Error::new(format!(
            "the domain schedule has {length} entries and begins with entry {}: it may have {MAX_DOMAIN_SCHEDULE}, and must \
             begin with one of them",
            schedule.start
        )));
    }
    let mut slots = Vec::new();
    for slot in &schedule.slots {
        slots.push(match *slot {
            model::DomainSlot::EndMarker => DomainSlot::default(),
            model::DomainSlot::Run { domain, duration } => DomainSlot {
                domain: domain.into(),
                duration_ticks: ticks(duration, timebase_hz)
                    .ok_or_else(|| Error::new(format!("a slot of the domain schedule is too long: {duration:?}")))?,
            },
        });
    }
    Ok((slots, schedule.start as u32))
}
