//! `kinglet clip`: makes a clip, the sound that a machine is given in place of a microphone, of a WAV file.
//!
//! A text file beside the WAV file (`stop.txt` beside `stop.wav`) says what is said in it: lines of start and end in milliseconds and
//! the word. With it the demonstration in the image holds what it heard against what was said. The result's layout is
//! `protocols::clip`.

mod resample;
mod wav;

use std::path::{Path, PathBuf};

use protocols::audio::SAMPLE_RATE;
use protocols::clip::{FLAG_EXPECTED, Header, MAGIC, Said, WORD_BYTES};
use zerocopy::IntoBytes;

/// Options of `kinglet clip`.
#[derive(clap::Args)]
pub struct Args {
    /// WAV file: mono or stereo, 8, 16 or 24 bits, any usual rate
    input: PathBuf,
    /// File to write
    #[arg(short, long)]
    output: PathBuf,
}

/// Runs the command.
pub fn command(args: &Args) -> Result<(), String> {
    let clip = read(&args.input)?;
    std::fs::write(&args.output, clip.bytes()).map_err(|why| format!("{}: {why}", args.output.display()))
}

/// Sound, and what is said in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clip {
    /// Samples at [`SAMPLE_RATE`].
    pub samples: Vec<i16>,
    /// What is said, if it is known.
    pub said: Option<Vec<Said>>,
    /// What the user should know about the file.
    pub remarks: Vec<String>,
}

/// Reads a WAV file and what is beside it.
pub fn read(path: &Path) -> Result<Clip, String> {
    let named = |why: String| format!("{}: {why}", path.display());
    let bytes = std::fs::read(path).map_err(|why| named(why.to_string()))?;
    let mut clip = Clip::default();
    let sound = wav::read(&bytes).map_err(named)?;
    if sound.ends_early {
        clip.remarks.push(named("ends before its header says; what is there is played".into()));
    }
    clip.samples = resample::resample(&sound.samples, sound.rate, SAMPLE_RATE);
    if sound.rate != SAMPLE_RATE {
        clip.remarks.push(named(format!("converted from {} to {SAMPLE_RATE} samples a second", sound.rate)));
    }
    let text = path.with_extension("txt");
    if text.is_file() {
        let content = std::fs::read_to_string(&text).map_err(|why| format!("{}: {why}", text.display()))?;
        clip.said = Some(said(&content).map_err(|why| format!("{}:{why}", text.display()))?);
    }
    Ok(clip)
}

/// Reads what is said; errors begin with the line.
fn said(text: &str) -> Result<Vec<Said>, String> {
    let mut said = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let error = |why: &str| format!("{}: {why}", index + 1);
        let line = line.split('#').next().unwrap_or_default();
        let parts: Vec<&str> = line.split_whitespace().collect();
        let [start, end, text] = parts[..] else {
            if parts.is_empty() {
                continue;
            }
            return Err(error("should be: START END WORD, in milliseconds, such as `600 1104 stop`"));
        };
        let number = |text: &str| text.parse().map_err(|_| error(&format!("'{text}' is no number of milliseconds")));
        let (start_ms, end_ms) = (number(start)?, number(end)?);
        let mut word = [0; WORD_BYTES];
        let target =
            word.get_mut(..text.len()).ok_or_else(|| error(&format!("'{text}' has more than {WORD_BYTES} bytes")))?;
        target.copy_from_slice(text.as_bytes());
        if start_ms > end_ms {
            return Err(error("the word ends before it begins"));
        }
        said.push(Said { start_ms, end_ms, word });
    }
    Ok(said)
}

impl Clip {
    /// The clip as the machine is given it.
    pub fn bytes(&self) -> Vec<u8> {
        let words = self.said.as_deref().unwrap_or_default();
        let header = Header {
            magic: MAGIC,
            sample_rate: SAMPLE_RATE,
            samples: self.samples.len() as u32,
            words: words.len() as u32,
            flags: if self.said.is_some() { FLAG_EXPECTED } else { 0 },
        };
        let samples = self.samples.iter().flat_map(|sample| sample.to_le_bytes());
        header.as_bytes().iter().chain(words.as_bytes()).copied().chain(samples).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_s_clip() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ml-runtime/models/keywords/clip.wav");
        let clip = read(&path).unwrap();
        assert!(clip.remarks.is_empty(), "{:?}", clip.remarks);
        let bytes = clip.bytes();
        let parsed = protocols::clip::Clip::parse(&bytes).unwrap();
        assert_eq!(parsed.len(), clip.samples.len() as u64);
        let words: Vec<String> = parsed.said().unwrap().map(|said| said.word().to_owned()).collect();
        assert_eq!(words, ["kinglet", "music", "left", "stop", "volume", "yes"]);
        let mut samples = vec![0; clip.samples.len()];
        parsed.read(0, &mut samples);
        assert_eq!(samples, clip.samples);
    }

    #[test]
    fn mistakes_in_what_is_said_are_named() {
        assert_eq!(said("# nothing\n\n").unwrap(), []);
        assert_eq!(said("1 2 yes # loud").unwrap()[0].word(), "yes");
        assert!(said("1 2 yes\n1 yes").unwrap_err().starts_with("2: should be"));
        assert!(said("1 x yes").unwrap_err().contains("'x' is no number"));
        assert!(said("2 1 yes").unwrap_err().contains("ends before"));
        assert!(said("1 2 seventeen-letters").unwrap_err().contains("more than 16"));
    }
}
