//! The one kernel of the machine, and the entries that the trap code calls.

use crate::fpu::{self, Fpu};
use crate::hart::Hart;
use crate::plic::Plic;
use crate::start::BOOT_BLOCK;
use crate::trap::{Resume, kernel_depart};
use core::cell::UnsafeCell;
use core::ptr;
use kernel_core::{Exception, Frame, Id, Kernel, Pd};
use kernel_layout::{BootBlock, BootInfo, PD_FPU, PdInfo};

/// Everything that changes.
struct Machine {
    kernel: Kernel<'static>,
    hart: Hart,
    fpu: Fpu,
}

struct Global(UnsafeCell<Machine>);

// SAFETY: one hart runs the kernel, and with interrupts off.
unsafe impl Sync for Global {}

static MACHINE: Global = Global(UnsafeCell::new(Machine { kernel: Kernel::new(), hart: Hart::new(), fpu: Fpu::new() }));

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

/// What the composer says of a PD, for reports.
#[cfg(feature = "debug")]
pub fn pd_info(id: Id) -> Option<&'static PdInfo> {
    // SAFETY: the table of PDs is set once at boot; this reads a reference to it, and changes nothing.
    unsafe { (*MACHINE.0.get()).kernel.info(id) }
}

impl Machine {
    /// Leaves the kernel: waits until there is a thread to run, and says where it goes on.
    #[inline(always)]
    fn leave(&mut self, before: Id) -> Resume {
        let current = self.kernel.current();
        if current == before {
            return Resume { frame: &mut self.kernel.pd_mut(current).frame, satp: 0 };
        }
        self.leave_to_other(before)
    }

    #[inline(always)]
    fn leave_to_other(&mut self, before: Id) -> Resume {
        if self.kernel.current().is_none() {
            self.idle();
        }
        let current = self.kernel.current();
        self.fpu.switch_to(current);
        let pd = self.kernel.pd_mut(current);
        let satp = if current == before { 0 } else { pd.satp };
        Resume { frame: &mut pd.frame, satp }
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
    // SAFETY: the address is the one at which the composer mapped the controller.
    machine.hart.plic = unsafe { Plic::new(info.plic_vaddr as usize, info.plic_context as usize) };
    machine.hart.plic.init(info.plic_sources, machine.kernel.irq_sources());
    let resume = machine.leave_to_other(Id::NONE);
    let unused: *mut Frame = &mut machine.kernel.pd_mut(Id::NONE).frame;
    // SAFETY: the frame is that of the thread to run, and slot 0 of the PDs belongs to none.
    unsafe { kernel_depart(resume.frame, resume.satp, unused) }
}

/// The current thread executed `ecall`.
#[unsafe(no_mangle)]
extern "C" fn kernel_syscall(_: u64, _: u64, _: u64, _: u64, _: u64, _: u64, _: u64, number: i64) -> Resume {
    let machine = enter();
    let before = machine.kernel.current();
    machine.kernel.syscall(&mut machine.hart, number);
    machine.leave(before)
}

/// The current thread's instruction raised an exception.
#[unsafe(no_mangle)]
extern "C" fn kernel_exception(cause: u64, value: u64) -> Resume {
    let machine = enter();
    let before = machine.kernel.current();
    let has_fpu = machine.kernel.info(before).is_some_and(|info| info.flags & PD_FPU != 0);
    if cause == CAUSE_ILLEGAL_INSTRUCTION && has_fpu && !Fpu::is_on() {
        // Perhaps it was illegal only because the unit is off. If not, it will come again.
        machine.fpu.acquire(before);
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
