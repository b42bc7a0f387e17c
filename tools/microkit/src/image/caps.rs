//! Capability tables: what each protection domain may do to the others.
//!
//! Each PD gets only the rights that its runtime uses. In particular, who may call an endpoint cannot receive from it.

use crate::error::{Error, Result};
use crate::model::{SharedCapKind, System, Trigger};
use kernel_layout::{Cap, IRQ_EDGE, IRQ_LEVEL, IrqInfo, MAX_PDS, Span2, cap_kind, cap_rights, slot};
use std::collections::BTreeMap;

/// Badge of a protected call, together with the callee's id of the channel.
const BADGE_CALL: u64 = 1 << 63;
/// Badge of a child's fault, together with the child's id.
const BADGE_FAULT: u64 = 1 << 62;

/// The capabilities of all PDs.
#[derive(Clone, Debug, Default)]
pub struct Caps {
    /// All tables, one behind the other.
    pub table: Vec<Cap>,
    /// The part of each PD's Microkit CNode, and the part of its root CNode.
    pub pds: Vec<(Span2, Span2)>,
}

/// Interrupts of all PDs, in the order of the PDs.
pub fn irqs(system: &System) -> Vec<IrqInfo> {
    let of = |(pd, irq): (usize, &crate::model::Irq)| IrqInfo {
        source: irq.source,
        pd: pd as u16,
        trigger: match irq.trigger {
            Trigger::Level => IRQ_LEVEL,
            Trigger::Edge => IRQ_EDGE,
        },
        badge: 1 << irq.id,
    };
    system.pds.iter().enumerate().flat_map(|(index, pd)| pd.irqs.iter().map(move |irq| (index, irq))).map(of).collect()
}

/// Capabilities of all PDs.
///
/// # Errors
/// There are more PDs than the kernel can have.
pub fn caps(system: &System) -> Result<Caps> {
    if system.pds.len() > MAX_PDS {
        return Err(Error::new(format!("{} protection domains: the kernel has room for {MAX_PDS}", system.pds.len())));
    }
    let mut caps = Caps::default();
    let mut first_irq = 0;
    for pd in 0..system.pds.len() {
        let own = append(&mut caps.table, &cnode(system, pd, first_irq));
        let shared = append(&mut caps.table, &root_cnode(system, pd));
        caps.pds.push((own, shared));
        first_irq += system.pds[pd].irqs.len();
    }
    Ok(caps)
}

/// Appends slots, dense up to the highest one in use.
fn append(table: &mut Vec<Cap>, slots: &BTreeMap<u64, Cap>) -> Span2 {
    let count = slots.last_key_value().map_or(0, |(last, _)| last + 1);
    let first = table.len() as u32;
    table.extend((0..count).map(|slot| slots.get(&slot).copied().unwrap_or_default()));
    Span2 { first, count: count as u32 }
}

fn cap(kind: u8, object: usize, badge: u64, rights: u8) -> Cap {
    Cap { badge, object: object as u16, kind, rights, reserved: 0 }
}

const CALL: u8 = cap_rights::WRITE | cap_rights::GRANT_REPLY;

fn cnode(system: &System, pd: usize, first_irq: usize) -> BTreeMap<u64, Cap> {
    let this = &system.pds[pd];
    let input = if system.needs_endpoint(pd) { cap_kind::ENDPOINT } else { cap_kind::NOTIFICATION };
    let monitor = cap(cap_kind::MONITOR, pd, pd as u64 + 1, CALL);
    let fault = match this.parent {
        Some(parent) => cap(cap_kind::ENDPOINT, parent.pd, BADGE_FAULT | u64::from(parent.child_id), CALL),
        None => monitor,
    };
    let mut slots = BTreeMap::from([
        (slot::INPUT, cap(input, pd, 0, cap_rights::READ)),
        (slot::FAULT, fault),
        (slot::VSPACE, cap(cap_kind::VSPACE, pd, 0, 0)),
        (slot::REPLY, cap(cap_kind::REPLY, pd, 0, 0)),
    ]);
    if this.passive {
        slots.insert(slot::MONITOR, monitor);
    }
    for (end, peer) in system.channel_ends(pd) {
        if end.notify {
            let badge = 1 << peer.id;
            let notification = cap(cap_kind::NOTIFICATION, peer.pd, badge, cap_rights::WRITE);
            slots.insert(slot::BASE_NOTIFICATION + u64::from(end.id), notification);
        }
        if end.pp {
            let badge = BADGE_CALL | u64::from(peer.id);
            slots.insert(slot::BASE_ENDPOINT + u64::from(end.id), cap(cap_kind::ENDPOINT, peer.pd, badge, CALL));
        }
    }
    for (index, irq) in this.irqs.iter().enumerate() {
        slots.insert(slot::BASE_IRQ + u64::from(irq.id), cap(cap_kind::IRQ_HANDLER, first_irq + index, 0, 0));
    }
    for (child, id) in system.children(pd) {
        slots.insert(slot::BASE_CHILD_TCB + u64::from(id), cap(cap_kind::THREAD, child, 0, 0));
    }
    slots
}

fn root_cnode(system: &System, pd: usize) -> BTreeMap<u64, Cap> {
    let of = |shared: &crate::model::SharedCap| {
        let kind = match shared.kind {
            SharedCapKind::Tcb => cap_kind::THREAD,
            SharedCapKind::SchedContext => cap_kind::SCHED_CONTEXT,
            SharedCapKind::VSpace => cap_kind::VSPACE,
        };
        (u64::from(shared.slot), cap(kind, shared.pd, 0, 0))
    };
    system.pds[pd].shared_caps.iter().map(of).collect()
}
