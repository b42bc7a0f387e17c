//! Replies to a child's faults: emulates a system call and an instruction, and has a failed access tried again.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::{Child, Fault, Handler, Infallible, MessageInfo, protection_domain, set_mr};
use test_pds::{shared, verdict};

const CHILD: Child = Child::new(0);
/// Bytes of a system call instruction, and of an uncompressed illegal one.
const INSTRUCTION: u64 = 4;

struct Judge {
    retries: u32,
}

#[protection_domain]
fn init() -> impl Handler {
    verdict::become_judge();
    Judge { retries: 0 }
}

impl Handler for Judge {
    type Error = Infallible;

    fn fault(&mut self, child: Child, msg_info: MessageInfo) -> Result<Option<MessageInfo>, Infallible> {
        assert_eq!(child, CHILD);
        let go_on = MessageInfo::new(0, 0);
        Ok(Some(match msg_info.fault() {
            Fault::UnknownSyscall(fault) if fault.number == 777 => {
                // The first four registers of the message: pc, sp, ra, a0.
                set_mr(0, fault.ip + INSTRUCTION);
                set_mr(1, fault.sp);
                set_mr(2, fault.ra);
                set_mr(3, 4242);
                MessageInfo::new(0, 4)
            }
            Fault::UserException(fault) if fault.number == 2 => {
                set_mr(0, fault.ip + INSTRUCTION);
                MessageInfo::new(0, 1)
            }
            Fault::VmFault(fault) if fault.addr == 0x700_0000 => {
                self.retries += 1;
                if self.retries == 10 {
                    assert_eq!(shared()[1].load(Ordering::Relaxed), 3, "the child got to its last step");
                    verdict::pass();
                }
                // The reply to such a fault tries the instruction again.
                go_on
            }
            // The child says that something is wrong by a system call of another number.
            fault => panic!("step {}: {fault:x?}", shared()[1].load(Ordering::Relaxed)),
        }))
    }
}
