//! Logs as fast as it can: what the console has no room for is refused, and counted, at no cost to others.
#![no_std]
#![no_main]

use sdk::{App, Error, Level, info};

sdk::main!(main);

const LINES: u32 = 2_000;

fn main(app: &mut App) -> Result<(), Error> {
    let (mut printed, mut dropped) = (0, 0);
    for number in 1..=LINES {
        match app.log(Level::Debug, format_args!("line {number} of {LINES}")) {
            Ok(()) => printed += 1,
            Err(Error::Dropped | Error::Busy) => dropped += 1,
            Err(error) => return Err(error),
        }
    }
    info!(app, "{LINES} lines: {printed} taken, {dropped} dropped");
    Ok(())
}
