//! The processor's counters, which protection domains may read.

#[cfg(target_arch = "riscv64")]
macro_rules! read_counter {
    ($instruction:literal) => {{
        let value: u64;
        // SAFETY: reading a counter has no effect; not `pure`, so that it stays where it was written.
        unsafe { core::arch::asm!(concat!($instruction, " {}"), out(reg) value, options(nomem, nostack)) };
        value
    }};
}

#[cfg(not(target_arch = "riscv64"))]
macro_rules! read_counter {
    ($instruction:literal) => {{ panic!(concat!($instruction, " exists on RISC-V only; this is a host program")) }};
}

/// The wall clock in ticks since the machine's reset; the board says how many make a second (10 MHz on QEMU's virt).
#[inline(always)]
pub fn rdtime() -> u64 {
    read_counter!("rdtime")
}

/// Processor cycles since some point in the past.
#[inline(always)]
pub fn rdcycle() -> u64 {
    read_counter!("rdcycle")
}

/// Instructions retired, in every privilege mode, since some point in the past. Under QEMU's `-icount` the difference of
/// two readings is exact.
#[inline(always)]
pub fn rdinstret() -> u64 {
    read_counter!("rdinstret")
}
