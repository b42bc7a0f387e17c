//! Panics, and is started again as its manifest wants.
#![no_std]
#![no_main]

use sdk::App;

sdk::main!(main);

fn main(app: &mut App) {
    panic!("start {}", app.starts());
}
