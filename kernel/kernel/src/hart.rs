//! The hart: time, the timer, waiting, and the firmware's console.

use crate::plic::Plic;
use core::arch::asm;
#[cfg(feature = "debug")]
use core::fmt;
use kernel_core::{Environment, Fault, Frame, Id, State};
use kernel_layout::IPC_WINDOW;

/// `stimecmp`, by number: the assembler for this target does not know the name.
const STIMECMP: u16 = 0x14d;
/// The firmware's TIME extension, and its one function.
const SBI_TIME: u64 = 0x5449_4d45;
/// The firmware's SRST extension.
const SBI_SYSTEM_RESET: u64 = 0x5352_5354;
const SBI_LEGACY_PUT_CHAR: u64 = 1;

/// What the kernel's logic needs from the machine.
pub struct Hart {
    /// `stimecmp` may be written here; otherwise the firmware sets the timer.
    has_sstc: bool,
    /// The interrupt controller.
    pub plic: Plic,
    /// What the composer says of the PDs, for reports.
    #[cfg(feature = "debug")]
    pub infos: &'static [kernel_layout::PdInfo],
}

fn sbi(extension: u64, function: u64, arg0: u64, arg1: u64) -> u64 {
    let error;
    // SAFETY: the firmware's calls keep all registers but a0 and a1, and none of those used here touches the kernel's
    // memory.
    unsafe {
        asm!(
            "ecall",
            inlateout("a0") arg0 => error, inlateout("a1") arg1 => _, in("a6") function, in("a7") extension,
            options(nomem, nostack),
        );
    }
    error
}

#[cold]
fn set_timer(ticks: u64) {
    sbi(SBI_TIME, 0, ticks, 0);
}

impl Hart {
    /// The hart before [`Self::init`].
    pub const fn new() -> Self {
        Self {
            has_sstc: false,
            plic: Plic::none(),
            #[cfg(feature = "debug")]
            infos: &[],
        }
    }

    /// Finds out how to set the timer.
    pub fn init(&mut self) {
        let has_sstc: u64;
        // SAFETY: should the register not exist, the exception goes to the label behind the access, and the old vector
        // is put back. Nothing else depends on what an exception changes in sstatus: its SPP bit is cleared again.
        unsafe {
            asm!(
                "lla {new}, 1f",
                "csrrw {old}, stvec, {new}",
                "li {has}, 0",
                "li {new}, -1",
                "csrw {stimecmp}, {new}",
                "li {has}, 1",
                ".balign 4",
                "1:",
                "csrw stvec, {old}",
                "li {new}, 0x122",
                "csrc sstatus, {new}",
                new = out(reg) _, old = out(reg) _, has = out(reg) has_sstc, stimecmp = const STIMECMP,
            );
        }
        self.has_sstc = has_sstc != 0;
        // SAFETY: lets timer and external interrupts through; they are taken in user mode only, as sstatus.SIE is 0.
        unsafe { asm!("csrw sie, {}", in(reg) (1u64 << 5) | (1 << 9)) };
    }

    /// Waits until an interrupt is pending, and returns the pending ones as `sip` has them.
    pub fn wait_for_interrupt() -> u64 {
        let pending;
        // SAFETY: interrupts are off in the kernel, so this only waits.
        unsafe { asm!("wfi", "csrr {}, sip", out(reg) pending) };
        pending
    }

    /// Ends the machine's run; the reason is a failure.
    pub fn power_off() -> ! {
        sbi(SBI_SYSTEM_RESET, 0, 0, 1);
        loop {
            Self::wait_for_interrupt();
        }
    }
}

fn ipc_word(pd: Id, word: usize) -> *mut u64 {
    (IPC_WINDOW as usize + pd.index() * 4096 + (word & 127) * 8) as *mut u64
}

impl Environment for Hart {
    const DEBUG: bool = cfg!(feature = "debug");

    #[inline(always)]
    fn now(&mut self) -> u64 {
        let now;
        // SAFETY: reads a counter.
        unsafe { asm!("csrr {}, time", out(reg) now, options(nomem, nostack)) };
        now
    }

    #[inline(always)]
    fn set_deadline(&mut self, ticks: u64) {
        if self.has_sstc {
            // SAFETY: `init` found that the register exists; it only determines when an interrupt comes.
            unsafe { asm!("csrw {}, {}", const STIMECMP, in(reg) ticks, options(nomem, nostack)) };
        } else {
            set_timer(ticks);
        }
    }

    #[inline(always)]
    fn ipc_word(&self, pd: Id, word: usize) -> u64 {
        // SAFETY: the composer maps the IPC buffer's page of every PD here, for the kernel alone; no Rust object lies
        // in it, and no PD runs meanwhile.
        unsafe { ipc_word(pd, word).read_volatile() }
    }

    #[inline(always)]
    fn set_ipc_word(&mut self, pd: Id, word: usize, value: u64) {
        // SAFETY: as above.
        unsafe { ipc_word(pd, word).write_volatile(value) }
    }

    #[inline(always)]
    fn copy_ipc_words(&mut self, from: Id, to: Id, first: usize, count: usize) {
        let (mut source, mut destination) = (ipc_word(from, first), ipc_word(to, first));
        // SAFETY: `first + count` is at most 128, so both stay in their pages; for the rest as above.
        unsafe {
            let end = source.add(count);
            while source != end {
                destination.write_volatile(source.read_volatile());
                source = source.add(1);
                destination = destination.add(1);
            }
        }
    }

    fn complete_irq(&mut self, source: u32) {
        self.plic.complete(source);
    }

    fn put_char(&mut self, character: u8) {
        sbi(SBI_LEGACY_PUT_CHAR, 0, u64::from(character), 0);
    }

    fn report_fault(&mut self, pd: Id, frame: &Frame, fault: &Fault) {
        #[cfg(feature = "debug")]
        if let Some(info) = self.infos.get(pd.index()) {
            crate::report::fault(info, frame, fault);
        }
        #[cfg(not(feature = "debug"))]
        let _ = (pd, frame, fault);
    }

    fn report_thread(&mut self, pd: Id, state: State, is_out_of_time: bool, priority: u8) {
        #[cfg(feature = "debug")]
        if let Some(info) = self.infos.get(pd.index()) {
            crate::report::thread(info, state, is_out_of_time, priority);
        }
        #[cfg(not(feature = "debug"))]
        let _ = (pd, state, is_out_of_time, priority);
    }
}

/// The firmware's console, for the kernel's own words.
#[cfg(feature = "debug")]
pub struct Console;

#[cfg(feature = "debug")]
impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            sbi(SBI_LEGACY_PUT_CHAR, 0, u64::from(byte), 0);
        }
        Ok(())
    }
}
