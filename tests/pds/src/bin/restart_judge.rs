//! Restarts a faulting child a thousand times: each start must find data and stack as the first did.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::{Child, ENTRY, Fault, Handler, Infallible, MessageInfo, protection_domain};
use test_pds::{say, shared, verdict};

const CHILD: Child = Child::new(61);
const RESTARTS: u64 = 1000;

struct Judge {
    runs: u64,
    stack_pointer: u64,
}

#[protection_domain]
fn init() -> impl Handler {
    verdict::become_judge();
    Judge { runs: 0, stack_pointer: 0 }
}

/// Whether the fault is the one that the child makes in its run `run`.
fn expected(run: u64, fault: &Fault) -> bool {
    match run % 6 {
        0 => matches!(fault, Fault::VmFault(fault) if fault.addr == 8 && fault.fsr == 7 && !fault.is_prefetch),
        1 => matches!(fault, Fault::UserException(fault) if fault.number == 2),
        2 => matches!(fault, Fault::UnknownSyscall(fault) if fault.number == 12345),
        3 => matches!(fault, Fault::CapFault(fault) if fault.cptr == 1 << 30 && !fault.in_recv_phase),
        4 => matches!(fault, Fault::VmFault(fault) if fault.addr == 0x1000 && fault.is_prefetch),
        _ => matches!(fault, Fault::UserException(fault) if fault.number == 3),
    }
}

impl Handler for Judge {
    type Error = Infallible;

    fn fault(&mut self, child: Child, msg_info: MessageInfo) -> Result<Option<MessageInfo>, Infallible> {
        assert_eq!(child, CHILD);
        let fault = msg_info.fault();
        let report = shared();
        let [stage, stack_pointer] = [1, 2].map(|i| report[i].load(Ordering::Relaxed));
        assert_eq!(stage, 100 + self.runs, "run {} stopped before its end, with {fault:x?}", self.runs);
        assert!(expected(self.runs, &fault), "run {} ended with {fault:x?}", self.runs);
        if self.runs == 0 {
            self.stack_pointer = stack_pointer;
        }
        assert_eq!(stack_pointer, self.stack_pointer, "run {} has another stack", self.runs);
        self.runs += 1;
        if self.runs > RESTARTS {
            say!("{RESTARTS} restarts");
            verdict::pass();
        }
        report[0].store(self.runs, Ordering::Relaxed);
        assert_eq!(CHILD.restart(ENTRY), Ok(()));
        Ok(None)
    }
}
