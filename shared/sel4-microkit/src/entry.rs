//! From `_start` to the main loop.
//!
//! Restarting a protection domain sets its program counter and nothing else, so `_start` makes everything as it was at
//! first boot: stack pointer, `.bss`, `.data`. The image of `.data` is the
//! read-only section `.data_image`, which `kinglet finish` fills after linking and marks with a magic word; a domain
//! whose `.data` has no image stops at once rather than run with wrong data. What the composer writes lies in read-only
//! sections and is left alone. Floating-point registers keep their values: nothing relies on them.

use crate::handler::Handler;
use crate::panicking::{abort_with, catch_unwind};
use core::panic::UnwindSafe;

/// The initial stack pointer of every protection domain.
const STACK_TOP: usize = 0x3f_ffff_d000;

core::arch::global_asm!(
    r#"
    .section .text.start, "ax", @progbits
    .globl _start
    .type _start, @function
_start:
    .option push
    .option norelax
    lla     gp, __global_pointer$
    .option pop
    li      sp, {stack_top}

    lla     t0, __bss_start
    lla     t1, __bss_end
1:  bgeu    t0, t1, 2f
    sd      zero, 0(t0)
    addi    t0, t0, 8
    j       1b

2:  lla     t0, __data_start
    lla     t1, __data_end
    bgeu    t0, t1, 4f
    lla     t2, __data_image
    ld      t3, 0(t2)
    li      t4, {image_magic}
    bne     t3, t4, 5f
3:  addi    t2, t2, 8
    ld      t3, 0(t2)
    sd      t3, 0(t0)
    addi    t0, t0, 8
    bltu    t0, t1, 3b

4:  tail    __sel4_microkit__main
5:  unimp
    .size _start, . - _start
"#,
    stack_top = const STACK_TOP,
    image_magic = const crate::DATA_IMAGE_MAGIC,
);

/// Runs a protection domain: `init`, then the main loop, which only an error ends.
#[doc(hidden)]
pub fn run_main<T: Handler>(init: impl FnOnce() -> T + UnwindSafe) -> ! {
    let result = catch_unwind(|| match init().run() {
        Ok(never) => match never {},
        Err(error) => error,
    });
    match result {
        Ok(error) => abort_with(&error),
        Err(()) => abort_with(&"panic"),
    }
}
