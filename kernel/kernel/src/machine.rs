//! The one kernel of the machine, and the entries that the trap code calls.

use crate::fpu::{self, Fpu};
use crate::hart::Hart;
use crate::plic::Plic;
use crate::start::BOOT_BLOCK;
use crate::trap::{Resume, kernel_depart};
use core::cell::UnsafeCell;
use core::ptr;
use kernel_core::{Exception, Id, Kernel, Outcome, Pd, is_short, number};
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
    // SAFETY: entries do not nest, and a reference does not outlive its entry. Where one function of an entry goes over to
    // another, which calls this again, it does so as its last act: the earlier reference is not used any more.
    unsafe { &mut *MACHINE.0.get() }
}

impl Machine {
    /// Leaves the kernel: waits until there is a thread to run, and says where it goes on. `before` entered.
    fn leave(&mut self, before: Id) -> Resume {
        if self.kernel.current().is_none() {
            self.idle();
        }
        let current = self.kernel.current();
        if current == before { self.leave_to_same(before) } else { self.leave_to_other(before, current) }
    }

    #[inline(always)]
    fn leave_to_same(&mut self, before: Id) -> Resume {
        Resume { pd: self.pd(before), before: ptr::null_mut() }
    }

    #[inline(always)]
    fn leave_to_other(&mut self, before: Id, current: Id) -> Resume {
        // The unit is on while the owner of its registers runs.
        let owner = self.fpu_owner;
        if owner == before || owner == current {
            Fpu::turn(owner == current);
        }
        Resume { pd: self.pd(current), before: self.pd(before) }
    }

    #[inline(always)]
    fn pd(&mut self, id: Id) -> *mut () {
        ptr::from_mut::<Pd>(self.kernel.pd_mut(id)).cast()
    }

    /// Leaves the kernel after an attempt at the short way of a system call, or takes the general way.
    #[inline(always)]
    fn leave_after(&mut self, before: Id, outcome: Outcome, number: i64) -> Resume {
        match outcome {
            Outcome::NotDone => kernel_syscall(0, 0, 0, 0, 0, 0, 0, number),
            Outcome::SameThread => self.leave_to_same(before),
            Outcome::OtherThread(current) => self.leave_to_other(before, current),
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
    // SAFETY: the thread to run and slot 0 of the PDs, which belongs to none, are valid frames.
    unsafe { kernel_depart(resume) }
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
    if !is_short(info) {
        return kernel_call_long(cptr, info);
    }
    call::<false>(cptr, info)
}

#[inline(never)]
extern "C" fn kernel_call_long(cptr: u64, info: u64) -> Resume {
    call::<true>(cptr, info)
}

#[inline(always)]
fn call<const LONG: bool>(cptr: u64, info: u64) -> Resume {
    let machine = enter();
    let before = machine.kernel.current();
    match machine.kernel.fast_call::<LONG>(&mut machine.hart, cptr, info) {
        Outcome::NotDone => kernel_invoke(cptr, info),
        outcome => machine.leave_after(before, outcome, number::CALL),
    }
}

/// A call that is not an ordinary one to a server.
#[inline(never)]
extern "C" fn kernel_invoke(cptr: u64, info: u64) -> Resume {
    let machine = enter();
    let before = machine.kernel.current();
    let outcome = machine.kernel.fast_restart(cptr, info);
    machine.leave_after(before, outcome, number::CALL)
}

#[unsafe(no_mangle)]
extern "C" fn kernel_reply_receive(cptr: u64, info: u64, _: u64, _: u64, _: u64, _: u64, reply: u64) -> Resume {
    if !is_short(info) {
        return kernel_reply_receive_long(cptr, info, reply);
    }
    reply_receive::<false>(cptr, info, reply)
}

#[inline(never)]
extern "C" fn kernel_reply_receive_long(cptr: u64, info: u64, reply: u64) -> Resume {
    reply_receive::<true>(cptr, info, reply)
}

#[inline(always)]
fn reply_receive<const LONG: bool>(cptr: u64, info: u64, reply: u64) -> Resume {
    let machine = enter();
    let before = machine.kernel.current();
    let outcome = machine.kernel.fast_reply_receive::<LONG>(&mut machine.hart, cptr, info, reply);
    machine.leave_after(before, outcome, number::REPLY_RECV)
}

#[unsafe(no_mangle)]
extern "C" fn kernel_send(cptr: u64, info: u64) -> Resume {
    let machine = enter();
    let before = machine.kernel.current();
    let outcome = machine.kernel.fast_send(&mut machine.hart, cptr, info);
    machine.leave_after(before, outcome, number::SEND)
}

#[unsafe(no_mangle)]
extern "C" fn kernel_receive(cptr: u64) -> Resume {
    let machine = enter();
    let before = machine.kernel.current();
    let outcome = machine.kernel.fast_receive(&mut machine.hart, cptr);
    machine.leave_after(before, outcome, number::RECV)
}

/// The current thread's instruction raised an exception.
#[unsafe(no_mangle)]
extern "C" fn kernel_exception(cause: u64, value: u64) -> Resume {
    let machine = enter();
    let before = machine.kernel.current();
    if cause == CAUSE_ILLEGAL_INSTRUCTION && machine.fpu_owner != before {
        return kernel_illegal_instruction(cause, value);
    }
    match machine.kernel.fast_exception(&mut machine.hart, Exception { cause, value }) {
        Outcome::OtherThread(current) => machine.leave_to_other(before, current),
        _ => kernel_fault(cause, value),
    }
}

/// An instruction is illegal while the floating-point unit is off.
#[inline(never)]
extern "C" fn kernel_illegal_instruction(cause: u64, value: u64) -> Resume {
    let machine = enter();
    let before = machine.kernel.current();
    if machine.kernel.info(before).is_none_or(|info| info.flags & PD_FPU == 0) {
        return kernel_fault(cause, value);
    }
    // Perhaps it is illegal only because the unit is off. If not, it will come again.
    machine.fpu.hand_over(machine.fpu_owner, before);
    machine.fpu_owner = before;
    machine.leave_to_same(before)
}

#[inline(never)]
extern "C" fn kernel_fault(cause: u64, value: u64) -> Resume {
    let machine = enter();
    let before = machine.kernel.current();
    machine.kernel.exception(&mut machine.hart, Exception { cause, value });
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
