//! Reacts to keywords: says and counts each, in a store that outlives the app.
#![no_std]
#![no_main]

use sdk::{App, Error, Event, info};

sdk::main!(main);

/// Keys have one digit of the keyword's number each: more classes than the model has.
const KEYS: [&str; 16] = [
    "heard-0", "heard-1", "heard-2", "heard-3", "heard-4", "heard-5", "heard-6", "heard-7", "heard-8", "heard-9",
    "heard-10", "heard-11", "heard-12", "heard-13", "heard-14", "heard-15",
];

fn main(app: &mut App) -> Result<(), Error> {
    app.listen(true)?;
    info!(app, "listens for keywords");
    loop {
        match app.wait() {
            Event::Keyword { number, score, time_ns, dropped } => {
                let times = count(app, number)?;
                let at_ms = time_ns / 1_000_000;
                info!(
                    app,
                    "keyword {number} at {at_ms} ms, score {score}: heard {times} times; {dropped} missed before it"
                );
            }
            Event::Stop => return Ok(()),
            _ => {}
        }
    }
}

/// Adds one to what is stored for a keyword.
fn count(app: &mut App, number: u32) -> Result<u64, Error> {
    let key = KEYS.get(number as usize).ok_or(Error::BadArgument)?;
    let mut value = [0; 8];
    let before = match app.kv_read(key, &mut value) {
        Ok(8) => u64::from_le_bytes(value),
        Ok(_) | Err(Error::NotFound) => 0,
        Err(error) => return Err(error),
    };
    let times = before.saturating_add(1);
    app.kv_write(key, &times.to_le_bytes())?;
    Ok(times)
}
