//! WAV files.

use std::io::Cursor;

use hound::{Error, SampleFormat, WavReader, WavSpec};

/// Longest sound, in samples: what the sizes in a clip's header can say, with room for any conversion.
const MOST_SAMPLES: usize = 1 << 26;

/// One channel of sound.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sound {
    /// Samples in a second.
    pub rate: u32,
    /// Samples, 16 bits each.
    pub samples: Vec<i16>,
    /// The file has fewer than its header says, as programs leave it that write to a pipe.
    pub ends_early: bool,
}

/// Reads a WAV file: whole numbers of 8, 16 or 24 bits, one channel or two, which are averaged.
pub fn read(bytes: &[u8]) -> Result<Sound, String> {
    let mut reader = WavReader::new(Cursor::new(bytes)).map_err(|why| format!("not a WAV file: {why}"))?;
    let WavSpec { channels, sample_rate, bits_per_sample, sample_format } = reader.spec();
    if sample_format != SampleFormat::Int || !matches!(bits_per_sample, 8 | 16 | 24) {
        let format = if sample_format == SampleFormat::Int { "whole" } else { "floating-point" };
        return Err(format!(
            "has samples that are {format} numbers of {bits_per_sample} bits; convert it to 16-bit whole numbers"
        ));
    }
    if !matches!(channels, 1 | 2) {
        return Err(format!("has {channels} channels; convert it to mono"));
    }
    if !(4_000..=192_000).contains(&sample_rate) {
        return Err(format!("has {sample_rate} samples a second; convert it to 16000"));
    }
    let mut sound = Sound { rate: sample_rate, ..Sound::default() };
    let mut samples = reader.samples::<i32>();
    loop {
        let mut sum = 0;
        for channel in 0..channels {
            match samples.next() {
                Some(Ok(sample)) => sum += sample << (24 - bits_per_sample),
                // In memory, nothing else can go wrong with reading.
                Some(Err(Error::IoError(_) | Error::FormatError(_))) => sound.ends_early = true,
                Some(Err(why)) => return Err(format!("sample {}: {why}", sound.samples.len())),
                None if channel == 0 => return Ok(sound),
                None => sound.ends_early = true,
            }
            if sound.ends_early {
                return if sound.samples.is_empty() { Err("has no samples".into()) } else { Ok(sound) };
            }
        }
        if sound.samples.len() == MOST_SAMPLES {
            return Err(format!("has more than {MOST_SAMPLES} samples"));
        }
        sound.samples.push((sum / i32::from(channels) / 256) as i16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hound::WavWriter;
    use proptest::prelude::*;

    fn wav(channels: u16, bits_per_sample: u16, samples: &[i32]) -> Vec<u8> {
        let spec = WavSpec { channels, sample_rate: 16_000, bits_per_sample, sample_format: SampleFormat::Int };
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
        samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    #[test]
    fn widths_and_channels() {
        let samples = |bytes: &[u8]| read(bytes).unwrap().samples;
        assert_eq!(samples(&wav(1, 16, &[1, -2, 32767])), [1, -2, 32767]);
        assert_eq!(samples(&wav(1, 8, &[1, -128])), [256, -32768]);
        assert_eq!(samples(&wav(1, 24, &[256, -8_388_608])), [1, -32768]);
        assert_eq!(samples(&wav(2, 16, &[100, 200, -32768, -32768])), [150, -32768]);
    }

    #[test]
    fn what_cannot_be_played_is_refused() {
        let error = |bytes: &[u8]| read(bytes).unwrap_err();
        assert!(error(b"").starts_with("not a WAV file"));
        assert!(error(b"RIFFxxxxWAVEgarbage").starts_with("not a WAV file"));
        assert!(error(&wav(3, 16, &[1, 2, 3])).contains("3 channels"));
        assert!(error(&wav(1, 32, &[1])).contains("32 bits"));
        let mut bytes = wav(1, 16, &[1]);
        bytes[24..28].copy_from_slice(&1u32.to_le_bytes());
        bytes[28..32].copy_from_slice(&2u32.to_le_bytes());
        assert!(error(&bytes).contains("1 samples a second"));
    }

    #[test]
    fn a_file_that_ends_early_is_played_to_there() {
        let bytes = wav(1, 16, &[1, 2, 3]);
        let sound = read(&bytes[..bytes.len() - 1]).unwrap();
        assert_eq!((sound.samples, sound.ends_early), (vec![1, 2], true));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..60, good in any::<bool>()) {
            let mut file = if good { wav(2, 16, &[1, 2, 3, 4]) } else { bytes.clone() };
            for (index, byte) in bytes.iter().take(6).enumerate() {
                if let Some(target) = file.get_mut(at + index) {
                    *target = *byte;
                }
            }
            let _ = read(&file);
        }
    }
}
