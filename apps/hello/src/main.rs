//! Says hello, and ends.
#![no_std]
#![no_main]

use sdk::{App, info};

sdk::main!(main);

fn main(app: &mut App) {
    let [major, minor, patch] = app.version();
    info!(app, "hello from {} {major}.{minor}.{patch}, in slot {}", app.name(), app.info().slot);
}
