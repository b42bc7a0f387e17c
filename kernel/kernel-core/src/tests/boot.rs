//! Boot information that is broken in every way is refused; a full system boots.

use super::world::*;
use crate::{BootError, Kernel};
use kernel_layout::{BootInfo, Cap, DomainSlot, IrqInfo, MAX_PDS, cap_kind, slot};
use proptest::prelude::*;

fn boot(blob: &'static [u8]) -> Result<(), BootError> {
    let mut machine = World::new(&[pd(0, 1)]).machine;
    let mut kernel = Kernel::new();
    kernel.boot(&mut machine, blob).map(|_| ())
}

#[test]
fn sixty_three_pds_run_in_the_order_of_their_priorities() {
    let specs: Vec<_> = (0..MAX_PDS).map(|index| pd(index, 254 - (index as u32 * 7) % 255)).collect();
    let mut world = World::new(&specs);
    let mut last = u32::MAX;
    for _ in 0..MAX_PDS {
        let current = world.current().unwrap();
        assert!(specs[current].priority <= last);
        last = specs[current].priority;
        world.recv();
    }
    assert_eq!(world.current(), None);
}

#[test]
fn wrong_tables_are_refused() {
    type Change = fn(&mut Tables);
    let changes: [(&str, Change); 23] = [
        ("magic", |t| t.info.magic ^= 1),
        ("no PDs", |t| t.pds.clear()),
        ("too many PDs", |t| t.pds = vec![t.pds[0]; 64]),
        ("timebase", |t| t.info.timebase_hz = 999_999),
        ("priority", |t| t.pds[0].priority = 255),
        ("domain", |t| t.pds[0].domain = 16),
        ("flags", |t| t.pds[0].flags = 4),
        ("no budget", |t| t.pds[0].budget_ticks = 0),
        ("small budget", |t| t.pds[0].budget_ticks = 20 * US - 1),
        ("budget above period", |t| t.pds[0].budget_ticks = t.pds[0].period_ticks + 1),
        ("long period", |t| t.pds[0].period_ticks = u64::MAX),
        ("capabilities behind the end", |t| t.pds[0].caps.first = 4),
        ("capabilities overflow", |t| t.pds[0].caps.first = u32::MAX),
        ("too many capabilities", |t| {
            t.caps.resize(600, Cap::default());
            t.pds[0].caps.count = 513;
        }),
        ("too many shared capabilities", |t| {
            t.caps.resize(600, Cap::default());
            t.pds[0].shared_caps.count = 65;
        }),
        ("kind", |t| t.caps[1].kind = 9),
        ("object", |t| t.caps[1].object = 1),
        ("interrupt of nobody", |t| t.caps[1] = cap(cap_kind::IRQ_HANDLER, 0, 0, 0)),
        ("signal without bits", |t| t.caps[1] = cap(cap_kind::NOTIFICATION, 0, WRITE, 0)),
        ("sources", |t| t.info.plic_sources = 1024),
        ("source", |t| t.irqs = vec![IrqInfo { source: 96, pd: 0, trigger: 0, badge: 1 }]),
        ("source twice", |t| t.irqs = vec![IrqInfo { source: 9, pd: 0, trigger: 0, badge: 1 }; 2]),
        ("start of domains", |t| {
            t.domains = vec![DomainSlot { domain: 0, duration_ticks: 0 }];
        }),
    ];
    let tables = Tables::new(&[pd(0, 1)]);
    assert_eq!(boot(tables.blob()), Ok(()));
    for (what, change) in changes {
        let mut tables = tables.clone();
        change(&mut tables);
        assert!(boot(tables.blob()).is_err(), "{what}");
    }
    assert!(boot(&tables.blob()[..size_of::<BootInfo>() - 1]).is_err());
    assert!(BootError::Value("priority", 3).to_string().contains("entry 3"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damaged_tables_never_panic(damage in proptest::collection::vec((0usize..2000, any::<u8>()), 1..6)) {
        let tables = Tables::new(&[pd(0, 1).calls(0, 1, 0), pd(1, 2).cap(slot::BASE_IRQ, Cap::default())]);
        let mut bytes = tables.blob().to_vec();
        let length = bytes.len();
        for (at, value) in damage {
            bytes[at % length] = value;
        }
        let _ = boot(leak(&bytes));
    }
}
