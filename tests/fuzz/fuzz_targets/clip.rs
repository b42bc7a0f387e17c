//! Any bytes are a WAV file, a clip, a list of words, or an error; and what is read of a clip lies in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocols::clip::Clip;

#[path = "../../../tools/kinglet/src/clip/wav.rs"]
mod wav;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(sound) = wav::read(bytes) {
        assert!(!sound.samples.is_empty() || !sound.ends_early);
    }
    let _ = keywords::Words::parse(bytes);
    if let Ok(clip) = Clip::parse(bytes) {
        assert!(clip.len() * 2 <= bytes.len() as u64);
        let mut samples = [1; 7];
        clip.read(clip.len().saturating_sub(3), &mut samples);
        clip.read(u64::MAX, &mut samples);
        assert_eq!(samples, [0; 7]);
        clip.said().into_iter().flatten().for_each(|said| assert!(said.word().len() <= said.word.len()));
    }
});
