//! Its child receives where it may only send: each try must be a fault, so that no caller takes another's calls.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::{Child, ENTRY, Fault, Handler, Infallible, MessageInfo, protection_domain};
use test_pds::{shared, verdict};

struct Judge {
    tries: u64,
}

#[protection_domain]
fn init() -> impl Handler {
    verdict::become_judge();
    Judge { tries: 0 }
}

impl Handler for Judge {
    type Error = Infallible;

    fn fault(&mut self, child: Child, msg_info: MessageInfo) -> Result<Option<MessageInfo>, Infallible> {
        let pointer = shared()[1].load(Ordering::Relaxed);
        match msg_info.fault() {
            Fault::CapFault(fault) => assert!(fault.cptr == pointer && fault.in_recv_phase, "{fault:x?}"),
            // The child's last word: it has tried them all.
            Fault::UserException(_) => {
                assert_eq!(self.tries, 15, "each way to receive, from each capability");
                verdict::pass();
            }
            fault => panic!("{fault:x?}"),
        }
        self.tries += 1;
        shared()[0].store(self.tries, Ordering::Relaxed);
        assert_eq!(child.restart(ENTRY), Ok(()));
        Ok(None)
    }
}
