//! Measures a child's fault, its restart, and its next fault.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::counters::rdinstret;
use sel4_microkit::{Child, Handler, Infallible, MessageInfo, protection_domain};
use test_pds::{say, shared, verdict};

const ROUNDS: u64 = 1000;

struct Bench {
    rounds: u64,
    start: u64,
    faulting: u64,
}

#[protection_domain]
fn init() -> impl Handler {
    verdict::become_judge();
    Bench { rounds: 0, start: 0, faulting: 0 }
}

impl Handler for Bench {
    type Error = Infallible;

    fn fault(&mut self, child: Child, _: MessageInfo) -> Result<Option<MessageInfo>, Infallible> {
        match self.rounds {
            // Where the child's faulting instruction lies; restarting right there leaves out the child's own start.
            0 => self.faulting = shared()[0].load(Ordering::Relaxed),
            1 => self.start = rdinstret(),
            1001 => {
                say!("bench fault_restart_fault {} instructions", (rdinstret() - self.start) / ROUNDS);
                verdict::pass();
            }
            _ => {}
        }
        self.rounds += 1;
        assert_eq!(child.restart(self.faulting), Ok(()));
        Ok(None)
    }
}
