//! `kinglet features`: the features of sound exactly as the device computes them, for those who train models.
//!
//! The input is 16-bit little-endian samples, 16 kHz, in windows of `log_mel::WINDOW_SAMPLES`, back to back. The output is
//! `log_mel::WINDOW_FEATURES` bytes for each window: 49 frames of 40 bands, signed.

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::PathBuf;

use log_mel::{Frames, WINDOW_FEATURES, WINDOW_SAMPLES};

/// Options of `kinglet features`.
#[derive(clap::Args)]
pub struct Args {
    /// Windows of samples
    input: PathBuf,
    /// File to write
    #[arg(short, long)]
    output: PathBuf,
}

/// Runs the command.
pub fn command(args: &Args) -> Result<(), String> {
    let fail = |path: &PathBuf, error: std::io::Error| format!("{}: {error}", path.display());
    let mut input = BufReader::new(File::open(&args.input).map_err(|error| fail(&args.input, error))?);
    let mut output = BufWriter::new(File::create(&args.output).map_err(|error| fail(&args.output, error))?);
    let mut bytes = vec![0; 2 * WINDOW_SAMPLES];
    loop {
        // Whole windows only: a part of one is a mistake in what made them.
        match input.read(&mut bytes[..1]).map_err(|error| fail(&args.input, error))? {
            0 => return output.flush().map_err(|error| fail(&args.output, error)),
            _ => input.read_exact(&mut bytes[1..]).map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => {
                    format!("{}: not a whole number of windows of {WINDOW_SAMPLES} samples", args.input.display())
                }
                _ => fail(&args.input, error),
            })?,
        }
        output.write_all(&window(&bytes)).map_err(|error| fail(&args.output, error))?;
    }
}

/// The features of one window of samples.
fn window(bytes: &[u8]) -> Vec<u8> {
    let samples: Vec<i16> = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let mut features = Vec::with_capacity(WINDOW_FEATURES);
    Frames::new().add(&samples, |frame, _| features.extend(frame.map(|value| value as u8)));
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_all_its_features() {
        assert_eq!(window(&vec![0; 2 * WINDOW_SAMPLES]), vec![0x80; WINDOW_FEATURES]);
    }

    #[test]
    fn half_a_window_is_refused() {
        let folder = std::env::temp_dir().join(format!("kinglet-features-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (input, output) = (folder.join("in"), folder.join("out"));
        std::fs::write(&input, vec![0; 2 * WINDOW_SAMPLES + 2]).unwrap();
        let error = command(&Args { input: input.clone(), output: output.clone() }).unwrap_err();
        assert!(error.contains("whole number of windows"), "{error}");
        std::fs::write(&input, vec![0; 4 * WINDOW_SAMPLES]).unwrap();
        command(&Args { input, output: output.clone() }).unwrap();
        assert_eq!(std::fs::read(output).unwrap().len(), 2 * WINDOW_FEATURES);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
