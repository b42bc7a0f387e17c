//! Classifies the image `scan.pgm` in the app's folder (`apps/digits` on the disk), and counts how often it did so.
#![no_std]
#![no_main]

use core::fmt;
use sdk::{App, Error, info};

sdk::main!(main);

/// Side of the image in pixels.
const SIDE: usize = 8;
/// The image.
const FILE: &str = "scan.pgm";
/// Where the output lies in the memory shared with the model runner; the input lies at its start.
const OUTPUT_AT: usize = SIDE * SIDE;
/// Bytes of the longest image file that is read.
const MAX_FILE: usize = 256;

/// Why there is no answer.
enum Problem {
    /// This did not work.
    Failed(&'static str, Error),
    /// The file is not such an image.
    NotAnImage,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Failed(what, error) => write!(f, "{what}: {error}"),
            Problem::NotAnImage => write!(f, "{FILE} is not a binary PGM image of {SIDE} x {SIDE} pixels"),
        }
    }
}

fn main(app: &mut App) -> Result<(), Problem> {
    let failed = |what| move |error| Problem::Failed(what, error);
    let mut file = [0; MAX_FILE];
    let length = app.file_read(FILE, 0, &mut file).map_err(failed(FILE))?;
    let pixels = pixels(&file[..length]).ok_or(Problem::NotAnImage)?;
    // The model takes -128 for black to 127 for white.
    let input: [u8; SIDE * SIDE] = core::array::from_fn(|index| pixels[index].wrapping_sub(128));
    app.put_tensor(0, &input);
    let model = app.model("digits").ok_or(Problem::Failed("digits", Error::NotFound))?;
    let run = app.infer(model, 0, OUTPUT_AT, 0).map_err(failed("the model"))?;
    let mut output = [0; 10];
    app.get_tensor(OUTPUT_AT, &mut output);
    // Probabilities in 256ths, from -128 on.
    let likely = |digit: &usize| output[*digit].wrapping_add(128);
    let digit = (0..output.len()).max_by_key(likely).unwrap_or(0);
    let percent = u32::from(likely(&digit)) * 100 / 256;
    info!(app, "{FILE} is a {digit} ({percent} %), after {} us of computing", run.compute_ns / 1_000);
    let times = count(app).map_err(failed("the count"))?;
    info!(app, "classified {times} times since it was installed");
    Ok(())
}

/// The pixels of a binary PGM file (netpbm's pgm(5)) of the right size without comments.
fn pixels(file: &[u8]) -> Option<&[u8]> {
    let pixels = file.strip_prefix(b"P5\n8 8\n255\n")?;
    (pixels.len() == SIDE * SIDE).then_some(pixels)
}

/// Counts in the key-value store.
fn count(app: &mut App) -> Result<u32, Error> {
    let mut value = [0; 4];
    let before = match app.kv_read("times", &mut value) {
        Ok(4) => u32::from_le_bytes(value),
        Ok(_) | Err(Error::NotFound) => 0,
        Err(error) => return Err(error),
    };
    app.kv_write("times", &(before + 1).to_le_bytes())?;
    Ok(before + 1)
}
