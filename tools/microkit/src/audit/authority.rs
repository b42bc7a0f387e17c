//! Who may do what to whom: the capability tables and the threads, in sentences.
//!
//! Each list has one group of sentences per PD, and one for the system at the end.

use super::view::{PdView, View};
use crate::board::Board;
use crate::elf::Elf;
use crate::model::{DomainSlot, Duration, SharedCapKind, System, Trigger};
use kernel_layout::{Cap, IRQ_EDGE, IRQ_LEVEL, IrqInfo, PD_FPU, PD_PASSIVE, PLIC_WINDOW, cap_kind, cap_rights};

const SEND: u8 = cap_rights::WRITE | cap_rights::GRANT_REPLY;
/// Longer times make no difference, so the kernel takes none.
const LONGEST_TICKS: u64 = 1 << 56;

/// What the image permits.
pub fn of_image(view: &View, names: &[&str]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for (index, pd) in view.pds.iter().enumerate() {
        let mut facts = vec![thread_of_image(pd), address_space(pd.info.satp >> 44 & 0xffff)];
        for (place, caps) in [("", &pd.caps), ("shared ", &pd.shared_caps)] {
            for (slot, cap) in caps.iter().enumerate().filter(|(_, cap)| cap.kind != cap_kind::NULL) {
                facts.push(format!("in {place}slot {slot} {}", capability(cap, index, names, &view.irqs)));
            }
        }
        all.push(facts);
    }
    let slots = view.domain_schedule.iter().map(|slot| (slot.domain, slot.duration_ticks)).collect();
    let info = &view.boot_info;
    let mut facts = schedule(slots, info.domain_start.into());
    facts.push(hardware(info.plic_vaddr, info.plic_context, info.plic_sources, info.timebase_hz));
    facts.extend(view.irqs.iter().map(|irq| format!("has {}", interrupt(irq, names))));
    all.push(facts);
    all
}

fn thread_of_image(pd: &PdView) -> String {
    let info = &pd.info;
    let name: Vec<u8> = info.name.iter().copied().take_while(|byte| *byte != 0).collect();
    let flags = match info.flags {
        flags if flags & !(PD_PASSIVE | PD_FPU) != 0 || info.reserved != 0 => format!("unknown flags {flags:#x}"),
        flags => flags_text(flags & PD_PASSIVE != 0, flags & PD_FPU != 0),
    };
    let stack = info.stack_bottom..info.stack_top;
    let time = (info.budget_ticks, info.period_ticks);
    thread(&name, info.entry, stack, info.priority.into(), info.domain.into(), time, &flags)
}

/// The number lets the processor keep translations over a switch, so no two PDs may have the same.
fn address_space(number: u64) -> String {
    format!("has address space number {number}")
}

fn flags_text(passive: bool, fpu: bool) -> String {
    format!("{}, {} FPU", if passive { "passive" } else { "active" }, if fpu { "with" } else { "without" })
}

fn thread(
    name: &[u8],
    entry: u64,
    stack: std::ops::Range<u64>,
    priority: u64,
    domain: u64,
    time: (u64, u64),
    flags: &str,
) -> String {
    format!(
        "is called '{}', starts at {entry:#x} with its stack at {:#x}..{:#x}, has priority {priority} in domain {domain}, \
         {} ticks of time in each {}, is {flags}",
        String::from_utf8_lossy(name),
        stack.start,
        stack.end,
        time.0,
        time.1
    )
}

fn interrupt(irq: &IrqInfo, names: &[&str]) -> String {
    let trigger = match irq.trigger {
        IRQ_LEVEL => "level",
        IRQ_EDGE => "edge",
        _ => "unknown trigger",
    };
    let pd = names.get(usize::from(irq.pd)).unwrap_or(&"nobody");
    format!("interrupt source {} ({trigger}) signal '{pd}' with badge {:#x}", irq.source, irq.badge)
}

/// What a capability of PD `own` permits. Whatever is not one of the forms that a PD may have gets a sentence that no
/// description leads to.
fn capability(cap: &Cap, own: usize, names: &[&str], irqs: &[IrqInfo]) -> String {
    let unknown = format!("holds something strange: {cap:?}");
    let object = usize::from(cap.object);
    if cap.kind == cap_kind::IRQ_HANDLER {
        let irq = irqs.get(object).filter(|irq| usize::from(irq.pd) == own && (cap.badge, cap.rights) == (0, 0));
        return irq.map_or(unknown, |irq| format!("acknowledges {}", interrupt(irq, names)));
    }
    let Some(name) = names.get(object).filter(|_| cap.reserved == 0) else { return unknown };
    let badge_id = cap.badge & !(3 << 62);
    match (cap.kind, cap.rights, cap.badge >> 62, cap.badge) {
        (cap_kind::ENDPOINT, cap_rights::READ, 0, 0) => format!("receives at the endpoint of '{name}'"),
        (cap_kind::ENDPOINT, SEND, 2, _) => format!("calls '{name}' on channel {badge_id}"),
        (cap_kind::ENDPOINT, SEND, 1, _) => format!("reports faults to '{name}' as child {badge_id}"),
        (cap_kind::NOTIFICATION, cap_rights::READ, 0, 0) => format!("waits for notifications of '{name}'"),
        (cap_kind::NOTIFICATION, cap_rights::WRITE, _, badge) => format!("notifies '{name}' with badge {badge:#x}"),
        (cap_kind::REPLY, 0, 0, 0) => format!("holds the reply object of '{name}'"),
        (cap_kind::THREAD, 0, 0, 0) => format!("controls the thread of '{name}'"),
        (cap_kind::SCHED_CONTEXT, 0, 0, 0) => format!("controls the scheduling context of '{name}'"),
        (cap_kind::VSPACE, 0, 0, 0) => format!("holds the address space of '{name}'"),
        (cap_kind::MONITOR, SEND, 0, badge) if badge == cap.object as u64 + 1 => {
            format!("reaches the default handler as '{name}'")
        }
        _ => unknown,
    }
}

/// What the description grants.
pub fn of_system(system: &System, elfs: &[Elf], board: &Board) -> Vec<Vec<String>> {
    let name = |pd: usize| &system.pds[pd].name;
    let ticks = |micros: u64| {
        let ticks = u128::from(micros) * u128::from(board.kernel.timebase_hz);
        u64::try_from(ticks.div_ceil(1_000_000)).map_or(LONGEST_TICKS, |ticks| ticks.min(LONGEST_TICKS))
    };
    let mut all = Vec::new();
    let mut interrupts = Vec::new();
    for (index, pd) in system.pds.iter().enumerate() {
        let own = &pd.name;
        let top = 0x3f_ffff_d000;
        let mut facts = vec![thread(
            &own.as_bytes()[..own.len().min(64)],
            elfs[index].entry,
            top - pd.stack_bytes..top,
            pd.priority.into(),
            pd.domain.into(),
            (ticks(pd.budget_us), ticks(pd.period_us)),
            &flags_text(pd.passive, pd.fpu),
        )];
        facts.push(address_space(index as u64 + 1));
        // The numbers of the slots are Microkit's, for its library has them built in.
        let mut slot = |slot: u64, what: String| facts.push(format!("in slot {slot} {what}"));
        match system.needs_endpoint(index) {
            true => slot(1, format!("receives at the endpoint of '{own}'")),
            false => slot(1, format!("waits for notifications of '{own}'")),
        }
        match pd.parent {
            Some(parent) => slot(2, format!("reports faults to '{}' as child {}", name(parent.pd), parent.child_id)),
            None => slot(2, format!("reaches the default handler as '{own}'")),
        }
        slot(3, format!("holds the address space of '{own}'"));
        slot(4, format!("holds the reply object of '{own}'"));
        if pd.passive {
            slot(5, format!("reaches the default handler as '{own}'"));
        }
        for channel in &system.channels {
            let [a, b] = &channel.ends;
            for (end, peer) in [(a, b), (b, a)].into_iter().filter(|(end, _)| end.pd == index) {
                let (id, peer_name) = (u64::from(end.id), name(peer.pd));
                if end.notify {
                    slot(10 + id, format!("notifies '{peer_name}' with badge {:#x}", 1u64 << peer.id));
                }
                if end.pp {
                    slot(74 + id, format!("calls '{peer_name}' on channel {}", peer.id));
                }
            }
        }
        for irq in &pd.irqs {
            let trigger = if irq.trigger == Trigger::Edge { "edge" } else { "level" };
            let badge = 1u64 << irq.id;
            let text = format!("interrupt source {} ({trigger}) signal '{own}' with badge {badge:#x}", irq.source);
            slot(138 + u64::from(irq.id), format!("acknowledges {text}"));
            interrupts.push(format!("has {text}"));
        }
        for child in &system.pds {
            if let Some(parent) = child.parent.filter(|parent| parent.pd == index) {
                slot(202 + u64::from(parent.child_id), format!("controls the thread of '{}'", child.name));
            }
        }
        for shared in &pd.shared_caps {
            let what = match shared.kind {
                SharedCapKind::Tcb => "controls the thread of",
                SharedCapKind::SchedContext => "controls the scheduling context of",
                SharedCapKind::VSpace => "holds the address space of",
            };
            facts.push(format!("in shared slot {} {what} '{}'", shared.slot, name(shared.pd)));
        }
        all.push(facts);
    }
    let of_slot = |slot: &DomainSlot| match *slot {
        DomainSlot::EndMarker => (0, 0),
        DomainSlot::Run { domain, duration: Duration::Ticks(ticks) } => (domain.into(), ticks.min(LONGEST_TICKS)),
        DomainSlot::Run { domain, duration: Duration::Micros(micros) } => (domain.into(), ticks(micros)),
    };
    let domains = system.domains.as_ref();
    let slots = domains.map_or(Vec::new(), |domains| domains.slots.iter().map(of_slot).collect());
    let mut facts = schedule(slots, domains.map_or(0, |domains| domains.start as u64));
    let hw = &board.kernel;
    let plic_vaddr = PLIC_WINDOW + hw.plic_base % 0x20_0000;
    facts.push(hardware(plic_vaddr, hw.plic_context, hw.plic_sources, hw.timebase_hz));
    facts.extend(interrupts);
    all.push(facts);
    all
}

fn hardware(plic_vaddr: u64, context: u32, sources: u32, timebase_hz: u64) -> String {
    format!(
        "has an interrupt controller that the kernel sees at {plic_vaddr:#x}, context {context}, {sources} sources, and \
         a clock of {timebase_hz} Hz"
    )
}

fn schedule(slots: Vec<(u64, u64)>, start: u64) -> Vec<String> {
    let mut facts = vec![format!("starts its domain schedule with entry {start} of {}", slots.len())];
    for (index, (domain, ticks)) in slots.into_iter().enumerate() {
        facts.push(format!("gives entry {index} of the schedule to domain {domain} for {ticks} ticks"));
    }
    facts
}
