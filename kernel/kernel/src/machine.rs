//! The one kernel of the machine, and the entries that the trap code calls.

use crate::fpu::{self, Fpu};
use crate::hart::Hart;
use crate::plic::Plic;
use crate::start::BOOT_BLOCK;
use crate::trap::{Resume, kernel_depart};
use core::cell::UnsafeCell;
use core::ptr;
use kernel_core::{Exception, Frame, Id, Kernel, Outcome, Pd, number};
use kernel_layout::{BootBlock, BootInfo, PD_FPU};

/// Everything that changes. Small things lie next to the start of the kernel's state, within reach of one register.
#[repr(C)]
struct Machine {
    hart: Hart,
    /// Whose values the floating-point registers hold.
    fpu_owner: Id,
    kernel: Kernel<'static>,
    fpu: Fpu,
}

struct Global(UnsafeCell<Machine>);

// SAFETY: one hart runs the kernel, and with interrupts off.
unsafe impl Sync for Global {}

static MACHINE: Global =
    Global(UnsafeCell::new(Machine { hart: Hart::new(), fpu_owner: Id::NONE, kernel: Kernel::new(), fpu: Fpu::new() }));

/// For the composer's report and the benchmark; the name is the contract.
#[unsafe(export_name = "kernel_bytes_per_pd")]
#[used]
static BYTES_PER_PD: u64 = (size_of::<Pd>() + fpu::BYTES_PER_PD) as u64;

const CAUSE_TIMER: u64 = 5;
const CAUSE_ILLEGAL_INSTRUCTION: u64 = 2;
const PENDING_TIMER: u64 = 1 << CAUSE_TIMER;

/// The machine, for one kernel entry.
fn enter() -> &'static mut Machine {
    // SAFETY: each kernel entry calls this once, entries do not nest, and no reference outlives its entry.
    unsafe { &mut *MACHINE.0.get() }
}

impl Machine {
    /// Leaves the kernel: waits until there is a thread to run, and says where it goes on.
    fn leave(&mut self, before: Id) -> Resume {
        if self.kernel.current().is_none() {
            self.idle();
        }
        if self.kernel.current() == before { self.leave_to_same() } else { self.leave_to_other() }
    }

    #[inline(always)]
    fn leave_to_same(&mut self) -> Resume {
        Resume { frame: &mut self.kernel.pd_mut(self.kernel.current()).frame, satp: 0 }
    }

    #[inline(always)]
    fn leave_to_other(&mut self) -> Resume {
        let current = self.kernel.current();
        Fpu::turn(self.fpu_owner == current);
        let pd = self.kernel.pd_mut(current);
        Resume { frame: &mut pd.frame, satp: pd.satp }
    }

    /// Leaves the kernel after an attempt at the short way of a system call, or takes the general way.
    #[inline(always)]
    fn leave_after(&mut self, outcome: Outcome, number: i64) -> Resume {
        match outcome {
            Outcome::NotDone => kernel_syscall(0, 0, 0, 0, 0, 0, 0, number),
            Outcome::SameThread => self.leave_to_same(),
            Outcome::OtherThread => self.leave_to_other(),
        }
    }

    #[cold]
    fn idle(&mut self) {
        while self.kernel.current().is_none() {
            if Hart::wait_for_interrupt() & PENDING_TIMER != 0 {
                self.kernel.timer(&mut self.hart);
            } else {
                self.external_interrupt();
            }
        }
    }

    fn external_interrupt(&mut self) {
        let source = self.hart.plic.claim();
        if source != 0 {
            self.kernel.interrupt(&mut self.hart, source);
        }
    }
}

/// Called once, with the MMU on.
#[unsafe(no_mangle)]
extern "C" fn kernel_main() -> ! {
    // SAFETY: the composer wrote the block after the kernel was linked, so its value is read, not assumed.
    let block: BootBlock = unsafe { ptr::read_volatile(&raw const BOOT_BLOCK) };
    let info = block.boot_info_vaddr as *const BootInfo;
    // SAFETY: the composer maps the boot blob where it says; its length lies at its start, and the blob never changes.
    let blob = unsafe { core::slice::from_raw_parts(info.cast::<u8>(), (&raw const (*info).bytes).read() as usize) };
    let machine = enter();
    machine.hart.init();
    let info = match machine.kernel.boot(&mut machine.hart, blob) {
        Ok(info) => info,
        Err(error) => panic!("boot information: {error}"),
    };
    #[cfg(feature = "debug")]
    {
        machine.hart.infos = machine.kernel.infos();
    }
    // SAFETY: the address is the one at which the composer mapped the controller.
    machine.hart.plic = unsafe { Plic::new(info.plic_vaddr as usize, info.plic_context as usize) };
    machine.hart.plic.init(info.plic_sources, machine.kernel.irq_sources());
    let resume = machine.leave(Id::NONE);
    let unused: *mut Frame = &mut machine.kernel.pd_mut(Id::NONE).frame;
    // SAFETY: the frame is that of the thread to run, and slot 0 of the PDs belongs to none.
    unsafe { kernel_depart(resume.frame, resume.satp, unused) }
}

/// The current thread executed `ecall`. The trap code sends the most frequent calls to the functions below.
#[unsafe(no_mangle)]
extern "C" fn kernel_syscall(_: u64, _: u64, _: u64, _: u64, _: u64, _: u64, _: u64, number: i64) -> Resume {
    let machine = enter();
    let before = machine.kernel.current();
    machine.kernel.syscall(&mut machine.hart, number);
    machine.leave(before)
}

#[unsafe(no_mangle)]
extern "C" fn kernel_call(cptr: u64, info: u64) -> Resume {
    let machine = enter();
    let outcome = machine.kernel.fast_call(&mut machine.hart, cptr, info);
    machine.leave_after(outcome, number::CALL)
}

#[unsafe(no_mangle)]
extern "C" fn kernel_reply_receive(cptr: u64, info: u64, _: u64, _: u64, _: u64, _: u64, reply: u64) -> Resume {
    let machine = enter();
    let outcome = machine.kernel.fast_reply_receive(&mut machine.hart, cptr, info, reply);
    machine.leave_after(outcome, number::REPLY_RECV)
}

#[unsafe(no_mangle)]
extern "C" fn kernel_send(cptr: u64, info: u64) -> Resume {
    let machine = enter();
    let outcome = machine.kernel.fast_send(&mut machine.hart, cptr, info);
    machine.leave_after(outcome, number::SEND)
}

#[unsafe(no_mangle)]
extern "C" fn kernel_receive(cptr: u64) -> Resume {
    let machine = enter();
    let outcome = machine.kernel.fast_receive(&mut machine.hart, cptr);
    machine.leave_after(outcome, number::RECV)
}

/// The current thread's instruction raised an exception.
#[unsafe(no_mangle)]
extern "C" fn kernel_exception(cause: u64, value: u64) -> Resume {
    let machine = enter();
    let before = machine.kernel.current();
    let has_fpu = machine.kernel.info(before).is_some_and(|info| info.flags & PD_FPU != 0);
    if cause == CAUSE_ILLEGAL_INSTRUCTION && has_fpu && !Fpu::is_on() {
        // Perhaps it was illegal only because the unit is off. If not, it will come again.
        machine.fpu.hand_over(machine.fpu_owner, before);
        machine.fpu_owner = before;
    } else {
        machine.kernel.exception(&mut machine.hart, Exception { cause, value });
    }
    machine.leave(before)
}

/// An interrupt arrived while a thread ran.
#[unsafe(no_mangle)]
extern "C" fn kernel_interrupt(cause: u64, _: u64) -> Resume {
    let machine = enter();
    let before = machine.kernel.current();
    if cause << 1 >> 1 == CAUSE_TIMER {
        machine.kernel.timer(&mut machine.hart);
    } else {
        machine.external_interrupt();
    }
    machine.leave(before)
}

/// The kernel itself raised an exception: there is a bug in it.
#[unsafe(no_mangle)]
extern "C" fn kernel_broken(cause: u64, pc: u64, value: u64) -> ! {
    panic!("exception {cause} at {pc:#x}, value {value:#x}")
}
