//! Computes Fibonacci numbers up to the largest that 128 bits hold.
#![no_std]
#![no_main]

use sdk::{App, info};

sdk::main!(main);

fn main(app: &mut App) {
    let start_ns = app.now_ns();
    let (mut index, mut number, mut next) = (0u32, 0u128, 1u128);
    loop {
        if index.is_multiple_of(31) {
            info!(app, "fibonacci({index}) = {number}");
        }
        let Some(sum) = number.checked_add(next) else { break };
        (index, number, next) = (index + 1, next, sum);
    }
    let took_us = (app.now_ns() - start_ns) / 1_000;
    info!(app, "fibonacci({index}) = {number} is the last that fits into 128 bits; all took {took_us} us");
}
