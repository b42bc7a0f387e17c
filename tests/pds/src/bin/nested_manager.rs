//! Restarts its worker at each fault, and panics at the fifth.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::{Child, ENTRY, Handler, Infallible, MessageInfo, protection_domain};
use test_pds::shared;

const WORKER: Child = Child::new(61);

struct Manager {
    faults: u32,
}

#[protection_domain]
fn init() -> impl Handler {
    // The worker may wait for a reply to a fault that an earlier run of this program received.
    assert_eq!(WORKER.restart(ENTRY), Ok(()));
    Manager { faults: 0 }
}

impl Handler for Manager {
    type Error = Infallible;

    fn fault(&mut self, child: Child, _: MessageInfo) -> Result<Option<MessageInfo>, Infallible> {
        assert_eq!(child, WORKER);
        shared()[0].fetch_add(1, Ordering::Relaxed);
        self.faults += 1;
        assert!(self.faults < 5, "on purpose");
        assert_eq!(WORKER.restart(ENTRY), Ok(()));
        Ok(None)
    }
}
