//! Never stops, and does not listen.
#![no_std]
#![no_main]

use sdk::{App, info};

sdk::main!(main);

fn main(app: &mut App) {
    info!(app, "spins");
    loop {
        core::hint::spin_loop();
    }
}
