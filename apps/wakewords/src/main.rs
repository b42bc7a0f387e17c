//! Reacts to keywords: says and counts each, in a store that outlives the app.
#![no_std]
#![no_main]

use sdk::{App, Error, Event, info};

sdk::main!(main);

fn main(app: &mut App) -> Result<(), Error> {
    app.listen(true)?;
    info!(app, "listens for keywords");
    loop {
        match app.wait() {
            Event::Keyword { word, confidence, dropped, .. } => {
                let times = count(app, word.as_str())?;
                let percent = confidence / 10;
                info!(app, "'{}' ({percent} %): heard {times} times in all; {dropped} missed before it", word.as_str());
            }
            Event::Stop => return Ok(()),
            _ => {}
        }
    }
}

/// Adds one to what is stored under a word.
fn count(app: &mut App, word: &str) -> Result<u64, Error> {
    let mut value = [0; 8];
    let before = match app.kv_read(word, &mut value) {
        Ok(8) => u64::from_le_bytes(value),
        // Not this app's: it begins anew rather than to guess.
        Ok(_) | Err(Error::NotFound) => 0,
        Err(error) => return Err(error),
    };
    let times = before.saturating_add(1);
    app.kv_write(word, &times.to_le_bytes())?;
    Ok(times)
}
