//! From the first instruction to the app's main function, and from a panic to a fault.

use app_abi::map;
use app_abi::ring::{NOTIFY_CPTR, WAIT_CPTR};
use core::arch::{asm, global_asm};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::{App, Exit, Port, error};

// The stack pointer is set, .data and .bss are as the program's file has them: only gp is left to do. The frame pointer
// is zero, which ends a backtrace.
global_asm!(
    r#"
    .section .text.start, "ax", @progbits
    .globl _start
    .type _start, @function
_start:
    .option push
    .option norelax
    lla     gp, __global_pointer$
    .option pop
    call    __app_main
    unimp
    .size _start, . - _start
"#
);

/// Runs the app.
#[doc(hidden)]
pub fn run<T: Exit>(main: impl FnOnce(&mut App) -> T) -> ! {
    let mut app = App::new(port());
    let outcome = main(&mut app);
    let code = outcome.code(&mut app);
    app.exit(code)
}

fn port() -> Port {
    let page = |address: u64| {
        let start = core::ptr::with_exposed_provenance::<AtomicU64>(address as usize);
        // SAFETY: the sandbox maps this page for as long as the app runs; it is only used by atomic words, and the page of
        // replies is only loaded from.
        unsafe { core::slice::from_raw_parts(start, map::PAGE_BYTES as usize / 8) }
    };
    let info = core::ptr::with_exposed_provenance(map::INFO as usize);
    // SAFETY: the sandbox maps the page read-only, and the app manager writes it only before the app begins. Any bytes are
    // an `Info`.
    let info = unsafe { &*info };
    Port::new(page(map::REQUESTS), page(map::REPLIES), info, notify, wait, ticks)
}

fn notify() {
    const SEND: i64 = -5;
    // SAFETY: an empty message to the notification; the registers are those of the kernel's calling convention.
    unsafe {
        asm!("ecall", in("a7") SEND, inlateout("a0") NOTIFY_CPTR => _, inlateout("a1") 0u64 => _,
            lateout("a2") _, lateout("a3") _, lateout("a4") _, lateout("a5") _, options(nostack));
    }
}

fn wait() {
    const RECEIVE: i64 = -7;
    // SAFETY: waits for the notification, which brings no registers but a0 and a1.
    unsafe {
        asm!("ecall", in("a7") RECEIVE, in("a6") 0u64, inlateout("a0") WAIT_CPTR => _, inlateout("a1") 0u64 => _,
            lateout("a2") _, lateout("a3") _, lateout("a4") _, lateout("a5") _, options(nostack));
    }
}

fn ticks() -> u64 {
    let ticks;
    // SAFETY: reads a counter.
    unsafe { asm!("rdtime {}", out(reg) ticks, options(nomem, nostack, preserves_flags)) };
    ticks
}

/// Says what happened, once, and faults: the app manager then tells where, and starts the app again if its manifest says so.
#[panic_handler]
fn panic(panic: &PanicInfo<'_>) -> ! {
    static PANICS: AtomicU64 = AtomicU64::new(0);
    // A panic while saying so is not said.
    if PANICS.fetch_add(1, Ordering::Relaxed) == 0 {
        let mut app = App::new(port());
        error!(app, "{panic}");
    }
    // SAFETY: an illegal instruction, from which there is no return.
    unsafe { asm!("unimp", options(noreturn)) }
}
