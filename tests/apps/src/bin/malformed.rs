//! Sends nonsense of every kind, then breaks its ring.
#![no_std]
#![no_main]

use app_abi::map;
use app_abi::ring::PRODUCED;
use core::sync::atomic::Ordering;
use sdk::{App, Event};
use test_apps::raw;

sdk::main!(main);

fn main(app: &mut App) {
    let places =
        [0, 1, map::CODE, map::STACK - 1, map::DATA, map::REPLIES, map::TENSORS, 0x20_0000, u64::MAX - 3, 1 << 63];
    let mut number = 0;
    for call in (0..100u64).chain([0x100, 0x101, 0x102, 1 << 31]).filter(|call| *call != 1) {
        for (index, place) in places.into_iter().enumerate() {
            let length = places[(index + call as usize) % places.len()];
            raw::put(number, [call | (number << 32), place, length, place, length, place, length, 0]);
            number += 1;
            raw::notify();
            // Held back for a while now and then, which is as it should be.
            while app.poll().is_some() {}
        }
    }
    let _ = app.set_timer(0, 1_000_000);
    while !matches!(app.wait(), Event::Timer { .. }) {}
    raw::requests()[PRODUCED].store(u64::MAX, Ordering::Release);
    raw::notify();
    loop {
        core::hint::spin_loop();
    }
}
