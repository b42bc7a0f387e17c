//! Counts its starts under a key, which a power cut cannot damage, and keeps a diary in a file of its folder.
#![no_std]
#![no_main]

use core::fmt::Write;
use sdk::{App, Error, info};

sdk::main!(main);

const KEY: &str = "starts";
const DIARY: &str = "diary.txt";

fn main(app: &mut App) -> Result<(), Error> {
    let mut value = [0; 8];
    let before = match app.kv_read(KEY, &mut value) {
        Ok(8) => u64::from_le_bytes(value),
        // Not this app's: it begins anew rather than to guess.
        Ok(_) | Err(Error::NotFound) => 0,
        Err(error) => return Err(error),
    };
    let starts = before.saturating_add(1);
    app.kv_write(KEY, &starts.to_le_bytes())?;

    let mut line = Line::default();
    // A line is shorter than its room.
    let _ = writeln!(line, "start {starts}, {} ms after the machine's", app.now_ns() / 1_000_000);
    let end = match app.file_size(DIARY) {
        Ok(size) => size,
        Err(Error::NotFound) => 0,
        Err(error) => return Err(error),
    };
    app.file_write(DIARY, end, line.as_bytes())?;
    info!(app, "started {starts} times; {DIARY} has {} bytes", end + line.as_bytes().len() as u64);
    Ok(())
}

/// Text of bounded length.
struct Line {
    bytes: [u8; 64],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self { bytes: [0; 64], length: 0 }
    }
}

impl Line {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let room = self.bytes.get_mut(self.length..self.length + text.len()).ok_or(core::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}
