//! What runs in an app's address space before the app.
//!
//! Its parent, the app manager, wipes the memory that it maps too. What only this address space has is wiped here, at
//! every start: the stack that the composer gave, the IPC buffer's page, and all registers, those of floating point
//! included. Then the app begins, on a stack of its own, as if nothing had been there before.
//!
//! This program has no writable memory but that stack, and its code is mapped read-only, so an app cannot change how the
//! next one starts.
#![no_std]
#![no_main]

use core::arch::asm;

use app_abi::info::{Info, MAGIC};
use app_abi::map;
use sel4_microkit::{ChannelSet, Handler, Infallible, protection_domain};

/// Initial stack pointer of every protection domain.
const STACK_TOP: u64 = 0x3f_ffff_d000;
/// The page that begins with the IPC buffer.
const IPC_PAGE: u64 = 0x3f_ffff_e000;

/// Waits for a restart: there is no app.
struct Empty;

impl Handler for Empty {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        Ok(())
    }
}

#[protection_domain(stack_size = 0x1000)]
fn init() -> Empty {
    let info = core::ptr::with_exposed_provenance::<Info>(map::INFO as usize);
    // SAFETY: the system description maps this page read-only for as long as the program runs. The app manager writes it
    // only while this protection domain is stopped, so the two loads see one writing.
    let (magic, entry, stack, own_stack_bytes) = unsafe {
        (
            (&raw const (*info).magic).read_volatile(),
            (&raw const (*info).entry).read_volatile(),
            (&raw const (*info).stack_top).read_volatile(),
            (&raw const (*info).sandbox_stack_bytes).read_volatile(),
        )
    };
    if magic != MAGIC {
        return Empty;
    }
    // SAFETY: nothing of this program is used after this.
    unsafe { enter(entry, stack, STACK_TOP - own_stack_bytes) }
}

/// Wipes and jumps.
///
/// # Safety
/// Everything that this program has in memory and registers is lost. `bottom` is the lowest address of its stack.
unsafe fn enter(entry: u64, stack: u64, bottom: u64) -> ! {
    // SAFETY: as the function's; the loops write the stack and the IPC buffer's page, both mapped writable, and the code
    // uses neither from here on.
    unsafe {
        asm!(
            ".option push",
            ".option arch, +d",
            "1: sd zero, 0({from})",
            "addi {from}, {from}, 8",
            "bltu {from}, {to}, 1b",
            "2: sd zero, 0({page})",
            "addi {page}, {page}, 8",
            "bltu {page}, {page_end}, 2b",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            "fmv.d.x f\\n, zero",
            ".endr",
            "fscsr zero",
            ".option pop",
            "mv sp, a1",
            // The entry is in ra, the address of the info page in a0: the app's only arguments.
            "mv ra, a2",
            ".irp n, 3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            "li x\\n, 0",
            ".endr",
            "jr ra",
            from = in(reg) bottom,
            to = in(reg) STACK_TOP,
            page = in(reg) IPC_PAGE,
            page_end = in(reg) IPC_PAGE + map::PAGE_BYTES,
            in("a0") map::INFO,
            in("a1") stack,
            in("a2") entry,
            options(noreturn)
        )
    }
}
