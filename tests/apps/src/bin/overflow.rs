//! Uses more stack than there is.
#![no_std]
#![no_main]

use core::hint::black_box;
use sdk::App;

sdk::main!(main);

fn main(_: &mut App) -> i64 {
    deeper(0)
}

#[inline(never)]
fn deeper(depth: i64) -> i64 {
    if black_box(depth) < 0 {
        return 0;
    }
    let frame = black_box([depth; 64]);
    // The sum keeps this from being the last thing that is done.
    deeper(black_box(depth + 1)) + frame[7]
}
