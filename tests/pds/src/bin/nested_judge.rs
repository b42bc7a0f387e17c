//! Supervises a manager that supervises a worker: both fault and are restarted, the manager in the middle of its work.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::{Child, ENTRY, Fault, Handler, Infallible, MessageInfo, protection_domain};
use test_pds::{shared, verdict};

const MANAGER: Child = Child::new(1);
const MANAGERS: u64 = 20;
const WORKERS_PER_MANAGER: u64 = 5;

struct Judge {
    managers: u64,
}

#[protection_domain]
fn init() -> impl Handler {
    verdict::become_judge();
    Judge { managers: 0 }
}

impl Handler for Judge {
    type Error = Infallible;

    fn fault(&mut self, child: Child, msg_info: MessageInfo) -> Result<Option<MessageInfo>, Infallible> {
        assert_eq!(child, MANAGER, "the worker's faults go to the manager");
        assert!(matches!(msg_info.fault(), Fault::UserException(fault) if fault.number == 2));
        self.managers += 1;
        let workers = shared()[0].load(Ordering::Relaxed);
        assert_eq!(workers, self.managers * WORKERS_PER_MANAGER, "faults of the worker that a manager saw");
        if self.managers == MANAGERS {
            verdict::pass();
        }
        assert_eq!(MANAGER.restart(ENTRY), Ok(()));
        Ok(None)
    }
}
