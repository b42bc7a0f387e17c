//! The hart and what of the board it touches: addresses from `npu.ld`, protection, interrupts, counters.

use core::arch::{asm, global_asm};

global_asm!(
    r#"
    .section .rodata.npu_board, "a", @progbits
    .balign 8
    .globl npu_board
npu_board:
    .quad   npu_window              # 0
    .quad   npu_window_bytes        # 8
    .quad   npu_control             # 16
    .quad   npu_shared              # 24
    .quad   npu_shared_bytes        # 32
    .quad   npu_doorbell            # 40
    .quad   npu_completion          # 48
    .quad   npu_doorbell_priority   # 56
    .quad   npu_plic_context        # 64
    .quad   npu_text_bytes          # 72
    .quad   npu_doorbell_config     # 80
    .quad   npu_completion_config   # 88
    .quad   npu_plic_enable         # 96
    .quad   npu_doorbell_source     # 104
"#
);

/// The board's addresses, in the order above.
#[repr(C)]
pub struct Board {
    window: usize,
    window_bytes: usize,
    /// The control page.
    pub control: usize,
    /// The memory shared with the system.
    pub shared: usize,
    /// Its bytes.
    pub shared_bytes: usize,
    doorbell: usize,
    completion: usize,
    doorbell_priority: usize,
    plic_context: usize,
    text_bytes: usize,
    doorbell_config: usize,
    completion_config: usize,
    plic_enable: usize,
    doorbell_source: usize,
}

/// Registers of an edu device (QEMU docs/specs/edu): raise and acknowledge the interrupt.
const EDU_RAISE: usize = 0x60;
const EDU_ACKNOWLEDGE: usize = 0x64;
/// PCI configuration: the command register and its bit that lets the device answer to memory accesses; the first BAR.
const PCI_COMMAND: usize = 0x04;
const PCI_MEMORY: u32 = 1 << 1;
const PCI_BAR0: usize = 0x10;
/// Bits of `mie`: interrupts from the controller to machine mode, and the supervisor's timer.
const EXTERNAL: usize = 1 << 11;
const TIMER: usize = 1 << 5;
/// How long the hart sleeps at most while nobody has joined, in ticks (1 ms).
const NAP_TICKS: u64 = 10_000;

/// Protection: rights and kinds of an entry (privileged specification 1.12, 3.7.1), and the lock.
const READ: u8 = 1;
const WRITE: u8 = 2;
const EXECUTE: u8 = 4;
const NA4: u8 = 2 << 3;
const NAPOT: u8 = 3 << 3;
const LOCK: u8 = 1 << 7;
const PAGE: usize = 4096;

fn napot(start: usize, bytes: usize) -> usize {
    start >> 2 | ((bytes >> 3) - 1)
}

fn write32(address: usize, value: u32) {
    // SAFETY: this module passes registers that the board has (`npu.ld`), aligned; they reach no memory.
    unsafe { (address as *mut u32).write_volatile(value) }
}

fn read32(address: usize) -> u32 {
    // SAFETY: as above.
    unsafe { (address as *const u32).read_volatile() }
}

impl Board {
    /// The board.
    pub fn get() -> &'static Board {
        unsafe extern "C" {
            static npu_board: Board;
        }
        // SAFETY: the table above, which has this form and is never written.
        unsafe { &npu_board }
    }

    /// Interrupts and protection. After a reset all of it still stands, and could not be changed.
    pub fn set_up(&self) {
        let config: usize;
        // SAFETY: reading it has no effect.
        unsafe { asm!("csrr {}, pmpcfg0", out(reg) config, options(nomem, nostack)) };
        if config as u8 & LOCK == 0 {
            for (device, config) in [(self.doorbell, self.doorbell_config), (self.completion, self.completion_config)] {
                write32(config + PCI_BAR0, device as u32);
                // Memory accesses, but no bus mastering: the device's own copier stays off.
                write32(config + PCI_COMMAND, PCI_MEMORY);
            }
            let source = self.doorbell_source;
            write32(self.plic_enable + source / 32 * 4, 1 << (source % 32));
            write32(self.plic_context, 0);
            self.lock();
        }
        // SAFETY: the first lets the hart set `stimecmp` (Sstc); waiting needs both kinds of interrupts; none is taken
        // before `interrupts(true)`.
        unsafe {
            asm!("csrs 0x30a, {}", in(reg) 1usize << 63, options(nomem, nostack));
            asm!("csrw mie, {}", in(reg) EXTERNAL, options(nomem, nostack));
        }
    }

    /// Locks the hart in. The first entry that matches an access decides; the last one denies all.
    fn lock(&self) {
        let entries = [
            (napot(self.window, self.text_bytes), NAPOT | READ | EXECUTE),
            (napot(self.window, self.window_bytes), NAPOT | READ | WRITE),
            (napot(self.doorbell, PAGE), NAPOT | READ | WRITE),
            (napot(self.completion, PAGE), NAPOT | READ | WRITE),
            (napot(self.plic_context, PAGE), NAPOT | READ | WRITE),
            // Whoever sets up the interrupt controller after this hart has slept in takes the doorbell's priority away.
            (self.doorbell_priority >> 2, NA4 | READ | WRITE),
            (usize::MAX >> 10, NAPOT),
        ];
        let config = entries.iter().rev().fold(0, |config, (_, bits)| config << 8 | usize::from(*bits | LOCK));
        // SAFETY: all code, data and registers that the firmware uses from here on are in the entries.
        unsafe {
            asm!("csrw pmpaddr0, {}", in(reg) entries[0].0, options(nostack));
            asm!("csrw pmpaddr1, {}", in(reg) entries[1].0, options(nostack));
            asm!("csrw pmpaddr2, {}", in(reg) entries[2].0, options(nostack));
            asm!("csrw pmpaddr3, {}", in(reg) entries[3].0, options(nostack));
            asm!("csrw pmpaddr4, {}", in(reg) entries[4].0, options(nostack));
            asm!("csrw pmpaddr5, {}", in(reg) entries[5].0, options(nostack));
            asm!("csrw pmpaddr6, {}", in(reg) entries[6].0, options(nostack));
            asm!("csrw pmpcfg0, {}", in(reg) config, options(nostack));
            asm!("sfence.vma", options(nostack));
        }
    }

    /// Lets the doorbell interrupt a job, or not.
    pub fn interrupts(&self, on: bool) {
        // SAFETY: the handler leaves everything as it was, or begins anew.
        unsafe {
            if on {
                asm!("csrsi mstatus, 8", options(nostack));
            } else {
                asm!("csrci mstatus, 8", options(nostack));
            }
        }
    }

    /// Takes the doorbell back, if it rang.
    pub fn drain_doorbell(&self) {
        let claimed = read32(self.plic_context + 4);
        if claimed != 0 {
            write32(self.doorbell + EDU_ACKNOWLEDGE, 1);
            write32(self.plic_context + 4, claimed);
        }
        fence();
    }

    /// Tells the system that something was answered.
    pub fn complete(&self) {
        fence();
        write32(self.completion + EDU_RAISE, 1);
    }

    /// Sleeps until the doorbell rings, or, to look whether someone has joined, for a millisecond: the system's firmware,
    /// which starts at the same time, may take the doorbell's priority away.
    pub fn wait(&self, nap: bool) {
        write32(self.doorbell_priority, 1);
        let until = if nap { ticks() + NAP_TICKS } else { u64::MAX };
        let enabled = if nap { EXTERNAL | TIMER } else { EXTERNAL };
        // SAFETY: both sleep only; no interrupt is taken, for they are off here.
        unsafe {
            asm!("csrw 0x14d, {}", in(reg) until, options(nomem, nostack));
            asm!("csrw mie, {}", in(reg) enabled, options(nomem, nostack));
            asm!("wfi", options(nostack));
            asm!("csrw mie, {}", in(reg) EXTERNAL, options(nomem, nostack));
        }
    }
}

/// Orders all accesses before it, to memory and devices, before all after it.
pub fn fence() {
    // SAFETY: it orders accesses only.
    unsafe { asm!("fence iorw, iorw", options(nostack)) };
}

/// The board's clock.
pub fn ticks() -> u64 {
    let value;
    // SAFETY: reading a counter has no effect.
    unsafe { asm!("rdtime {}", out(reg) value, options(nomem, nostack)) };
    value
}

/// Instructions that this hart has retired.
pub fn instructions() -> u64 {
    let value;
    // SAFETY: reading a counter has no effect.
    unsafe { asm!("csrr {}, minstret", out(reg) value, options(nomem, nostack)) };
    value
}
