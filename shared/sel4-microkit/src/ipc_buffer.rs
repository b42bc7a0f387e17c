//! The IPC buffer: where message registers live between system calls.
//!
//! `get_mr(0)` after a call must see what the call delivered, so the first message registers are copied between the
//! buffer and the processor's registers around each system call, and only when the message has any.
//!
//! Slices of the message registers are handed out to closures. So that no two of them alias, and the kernel never writes
//! under one, there is a borrow state. It is a static that nothing points to, so the linker's optimiser sees that writing
//! a message register does not change it, and removes it, checks and all, from programs that never lend the registers.

use core::cell::Cell;

use crate::abi::MAX_MESSAGE_REGISTERS;
use crate::sys::FastRegisters;

/// The kernel's layout of the buffer.
#[repr(C)]
struct IpcBuffer {
    tag: u64,
    registers: [u64; MAX_MESSAGE_REGISTERS],
    user_data: u64,
    caps: [u64; 3],
    receive_path: [u64; 3],
}

const _: () = assert!(size_of::<IpcBuffer>() == 1024);
/// The borrow state's value while the registers are lent for writing.
const EXCLUSIVE: u64 = u64::MAX;

/// 0, the number of shared borrows, or [`EXCLUSIVE`].
#[cfg(target_os = "none")]
static BORROWS: Borrows = Borrows(Cell::new(0));

#[cfg(target_os = "none")]
struct Borrows(Cell<u64>);

// SAFETY: a protection domain has one thread and no signal handlers.
#[cfg(target_os = "none")]
unsafe impl Sync for Borrows {}

#[cfg(not(target_os = "none"))]
std::thread_local! {
    static BORROWS: Cell<u64> = const { Cell::new(0) };
}

#[inline(always)]
fn borrows() -> u64 {
    #[cfg(target_os = "none")]
    return BORROWS.0.get();
    #[cfg(not(target_os = "none"))]
    return BORROWS.get();
}

#[inline(always)]
fn set_borrows(state: u64) {
    #[cfg(target_os = "none")]
    BORROWS.0.set(state);
    #[cfg(not(target_os = "none"))]
    BORROWS.set(state);
}

/// The address comes out of an assembler statement so that to the optimiser the buffer is one object: it then knows that
/// message registers do not overlap each other, and forwards what was just written. Two constant addresses tell it less.
#[cfg(target_os = "none")]
#[inline(always)]
fn buffer() -> *mut IpcBuffer {
    let address: usize;
    // SAFETY: the instruction only sets the register.
    unsafe {
        core::arch::asm!("li {}, {}", out(reg) address, const crate::abi::IPC_BUFFER_VADDR,
            options(pure, nomem, nostack, preserves_flags));
    }
    core::ptr::with_exposed_provenance_mut(address)
}

/// On the host each thread has a buffer of its own, so that code over message registers can be tested.
#[cfg(not(target_os = "none"))]
fn buffer() -> *mut IpcBuffer {
    use std::cell::UnsafeCell;
    std::thread_local! {
        static BUFFER: UnsafeCell<IpcBuffer> = const {
            UnsafeCell::new(IpcBuffer {
                tag: 0,
                registers: [0; MAX_MESSAGE_REGISTERS],
                user_data: 0,
                caps: [0; 3],
                receive_path: [0; 3],
            })
        };
    }
    BUFFER.with(UnsafeCell::get)
}

#[cold]
#[inline(never)]
fn borrowed() -> ! {
    panic!("message registers are in use by an enclosing with_msg_regs or with_msg_bytes")
}

/// Panics if a closure holds the message registers.
#[inline(always)]
pub(crate) fn assert_unborrowed() {
    if borrows() != 0 {
        borrowed();
    }
}

/// Gives the borrow back, also when the closure unwinds on the host.
struct Borrow {
    state_after: u64,
}

impl Drop for Borrow {
    #[inline(always)]
    fn drop(&mut self) {
        set_borrows(self.state_after);
    }
}

#[inline(always)]
pub(crate) fn with_registers<T>(f: impl FnOnce(&[u64; MAX_MESSAGE_REGISTERS]) -> T) -> T {
    let before = borrows();
    if before == EXCLUSIVE {
        borrowed();
    }
    let _borrow = Borrow { state_after: before };
    set_borrows(before + 1);
    // SAFETY: the borrow state says that only shared references exist, and system calls refuse to run meanwhile.
    f(unsafe { &(*buffer()).registers })
}

#[inline(always)]
pub(crate) fn with_registers_mut<T>(f: impl FnOnce(&mut [u64; MAX_MESSAGE_REGISTERS]) -> T) -> T {
    assert_unborrowed();
    let _borrow = Borrow { state_after: 0 };
    set_borrows(EXCLUSIVE);
    // SAFETY: the borrow state says that no other reference exists, and system calls refuse to run meanwhile.
    f(unsafe { &mut (*buffer()).registers })
}

#[inline(always)]
pub(crate) fn get(index: usize) -> u64 {
    if borrows() == EXCLUSIVE {
        borrowed();
    }
    // SAFETY: no exclusive reference exists; the index is checked.
    unsafe { (&(*buffer()).registers)[index] }
}

#[inline(always)]
pub(crate) fn set(index: usize, value: u64) {
    assert_unborrowed();
    // SAFETY: no reference exists; the index is checked.
    unsafe { (&mut (*buffer()).registers)[index] = value };
}

/// Where the buffer is. The main loop asks once and passes the answer on: its address takes three instructions to make.
#[derive(Clone, Copy)]
pub(crate) struct Location(*mut IpcBuffer);

/// See [`Location`].
#[inline(always)]
pub(crate) fn locate() -> Location {
    Location(buffer())
}

/// The first message registers, as a system call with `count` of them wants them. Those of an empty message are zero, so
/// that nothing of an earlier message travels with it.
#[inline(always)]
pub(crate) fn load_fast(location: Location, count: u64) -> FastRegisters {
    assert_unborrowed();
    if count == 0 {
        return [0; 4];
    }
    // SAFETY: the location is the buffer's, and no reference exists (checked above).
    let registers = unsafe { &(*location.0).registers };
    [registers[0], registers[1], registers[2], registers[3]]
}

/// Puts the first message registers where `get_mr` finds them.
#[inline(always)]
pub(crate) fn store_fast(location: Location, count: u64, fast: FastRegisters) {
    if count != 0 {
        // SAFETY: the location is the buffer's; `load_fast` or `assert_unborrowed` ran before the system call, and the
        // kernel made no references.
        unsafe { (&mut (*location.0).registers)[..4].copy_from_slice(&fast) };
    }
}

/// Names a capability that goes with the next invocation.
pub(crate) fn set_extra_cap(cptr: u64) {
    assert_unborrowed();
    // SAFETY: no reference ever covers this field.
    unsafe { (*buffer()).caps[0] = cptr };
}
