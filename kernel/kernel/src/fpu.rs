//! Floating-point registers, switched when they are used: a thread finds the unit off unless the registers are its own.

use core::arch::asm;
use kernel_core::Id;

/// f0..f31 and fcsr.
#[derive(Clone, Copy)]
#[repr(C)]
struct State {
    registers: [u64; 32],
    control: u64,
}

/// The values of the threads that do not own the registers.
pub struct Fpu {
    states: [State; 64],
}

/// Bytes kept for one PD.
pub const BYTES_PER_PD: usize = size_of::<State>();
/// `sstatus.FS`, the state of the unit; 0 is off.
const FS: u64 = 3 << 13;

macro_rules! for_all_registers {
    ($op:literal, $state:expr) => {
        asm!(
            ".option push", ".option arch, +f, +d",
            concat!($op, " f0, 0*8({s})"), concat!($op, " f1, 1*8({s})"), concat!($op, " f2, 2*8({s})"),
            concat!($op, " f3, 3*8({s})"), concat!($op, " f4, 4*8({s})"), concat!($op, " f5, 5*8({s})"),
            concat!($op, " f6, 6*8({s})"), concat!($op, " f7, 7*8({s})"), concat!($op, " f8, 8*8({s})"),
            concat!($op, " f9, 9*8({s})"), concat!($op, " f10, 10*8({s})"), concat!($op, " f11, 11*8({s})"),
            concat!($op, " f12, 12*8({s})"), concat!($op, " f13, 13*8({s})"), concat!($op, " f14, 14*8({s})"),
            concat!($op, " f15, 15*8({s})"), concat!($op, " f16, 16*8({s})"), concat!($op, " f17, 17*8({s})"),
            concat!($op, " f18, 18*8({s})"), concat!($op, " f19, 19*8({s})"), concat!($op, " f20, 20*8({s})"),
            concat!($op, " f21, 21*8({s})"), concat!($op, " f22, 22*8({s})"), concat!($op, " f23, 23*8({s})"),
            concat!($op, " f24, 24*8({s})"), concat!($op, " f25, 25*8({s})"), concat!($op, " f26, 26*8({s})"),
            concat!($op, " f27, 27*8({s})"), concat!($op, " f28, 28*8({s})"), concat!($op, " f29, 29*8({s})"),
            concat!($op, " f30, 30*8({s})"), concat!($op, " f31, 31*8({s})"),
            ".option pop",
            s = in(reg) $state,
        )
    };
}

impl Fpu {
    /// All registers are zero.
    pub const fn new() -> Self {
        Self { states: [State { registers: [0; 32], control: 0 }; 64] }
    }

    /// The thread that runs next owns the registers, or does not: the unit is on, or off.
    #[inline(always)]
    pub fn turn(is_on: bool) {
        // SAFETY: the kernel itself uses no floating-point registers.
        unsafe {
            if is_on {
                asm!("csrs sstatus, {}", in(reg) FS, options(nomem, nostack));
            } else {
                asm!("csrc sstatus, {}", in(reg) FS, options(nomem, nostack));
            }
        }
    }

    /// Gives the registers of the thread `old` to the thread `new`, with its values in them.
    pub fn hand_over(&mut self, old: Id, new: Id) {
        Self::turn(true);
        if old == new {
            return;
        }
        if old.is_some() {
            let state = &mut self.states[old.index()];
            // SAFETY: the unit is on, and the state has room for all registers.
            unsafe {
                for_all_registers!("fsd", state.registers.as_mut_ptr());
                asm!("csrr {}, 0x003", out(reg) state.control);
            }
        }
        let state = &self.states[new.index()];
        // SAFETY: the unit is on; the kernel's own code does not depend on these registers.
        unsafe {
            for_all_registers!("fld", state.registers.as_ptr());
            asm!("csrw 0x003, {}", in(reg) state.control);
        }
    }
}
