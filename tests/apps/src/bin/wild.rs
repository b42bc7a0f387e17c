//! Writes where it may not.
#![no_std]
#![no_main]

use sdk::App;

sdk::main!(main);

fn main(_: &mut App) {
    outer();
}

#[inline(never)]
fn outer() {
    inner(0xdead_0000);
    core::hint::black_box(());
}

#[inline(never)]
fn inner(address: usize) {
    let pointer = core::ptr::with_exposed_provenance_mut::<u64>(core::hint::black_box(address));
    // SAFETY: none: nothing is mapped there, and the fault is what this app is for.
    unsafe { pointer.write_volatile(1) };
}
