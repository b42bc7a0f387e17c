//! The boot blob: the tables that the kernel reads, in the encoding of [`kernel_layout`].

use super::caps::{Caps, caps, irqs};
use crate::board::Board;
use crate::elf::Elf;
use crate::error::{Error, Result};
use crate::model::{self, System};
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
    /// The system has more PDs or domains than the kernel can have.
    pub fn new(system: &System, elfs: &[Elf], board: &Board, satps: &[u64]) -> Result<Blob> {
        let caps = caps(system)?;
        let facts = &board.kernel;
        let micros = |micros| ticks(model::Duration::Micros(micros), facts.timebase_hz);
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
                budget_ticks: micros(pd.budget_us),
                period_ticks: micros(pd.period_us),
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

/// The kernel's longest period, in ticks: 223 years at 10 MHz. Longer ones make no difference to anybody.
const MAX_TICKS: u64 = 1 << 56;

/// Ticks of the `time` register.
fn ticks(duration: model::Duration, timebase_hz: u64) -> u64 {
    let ticks = match duration {
        model::Duration::Ticks(ticks) => ticks.into(),
        model::Duration::Micros(micros) => (u128::from(micros) * u128::from(timebase_hz)).div_ceil(1_000_000),
    };
    u64::try_from(ticks).unwrap_or(MAX_TICKS).min(MAX_TICKS)
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
            model::DomainSlot::Run { domain, duration } => {
                DomainSlot { domain: domain.into(), duration_ticks: ticks(duration, timebase_hz) }
            }
        });
    }
    Ok((slots, schedule.start as u32))
}
