//! The whole way on the host: the driver plays the repository's clip, the real model runner runs the model, and features and
//! outputs are the reference's, bit for bit.

mod common;

use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use audio_clip::{ClipDevice, Driver};
use common::{Bench, Notifier, file};
use log_mel::{BANDS, WINDOW_FEATURES};
use model_runner::region::DataRegion;
use model_runner::{Clock, ModelSet, Processor, Runner};
use protocols::audio::{self, BLOCK_NS};
use protocols::clip::{Clip, Header, MAGIC};
use protocols::keywords::state;
use protocols::model;
use protocols::model_pack::{self, ModelEntry};
use zerocopy::IntoBytes;

#[derive(Clone)]
struct NoClock;

impl Clock for NoClock {
    fn now_ns(&self) -> u64 {
        5_000
    }
    fn instructions(&self) -> u64 {
        0
    }
}

/// The samples of the repository's clip, or of another file beside it.
fn samples() -> Vec<u8> {
    let wav = std::fs::read(file("clip.wav")).unwrap();
    assert_eq!((&wav[..4], &wav[36..40]), (&b"RIFF"[..], &b"data"[..]));
    wav[44..].to_vec()
}

fn clip(samples: &[u8]) -> Clip<'static> {
    let samples_count = (samples.len() / 2) as u32;
    let header = Header { magic: MAGIC, sample_rate: 16_000, samples: samples_count, ..Header::default() };
    Clip::parse([header.as_bytes(), samples].concat().leak()).unwrap()
}

/// What is said in the clip: the words, and by when they must have been heard, in milliseconds.
fn said() -> Vec<(String, u64, u64)> {
    let text = std::fs::read_to_string(file("clip.txt")).unwrap();
    text.lines()
        .map(|line| {
            let [start, end, word] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            (word.to_owned(), start.parse().unwrap(), end.parse::<u64>().unwrap() + 1100)
        })
        .collect()
}

fn model_pack() -> &'static [u8] {
    let model = std::fs::read(file("model.tflite")).unwrap();
    let mut name = [0; 32];
    name[..8].copy_from_slice(b"keywords");
    let entry = ModelEntry {
        name,
        file_at: 80,
        file_bytes: model.len() as u32,
        samples: 0,
        input_bytes: WINDOW_FEATURES as u32,
        output_bytes: 12,
        labels_at: 80,
        inputs_at: 80,
        outputs_at: 80,
    };
    let bytes = (80 + model.len()).next_multiple_of(16);
    let header = model_pack::Header { magic: model_pack::MAGIC, bytes: bytes as u32, models: 1 };
    let words = Vec::leak(vec![0u128; bytes / 16]);
    let target = words.as_mut_bytes();
    target[..16].copy_from_slice(header.as_bytes());
    target[16..80].copy_from_slice(entry.as_bytes());
    target[80..80 + model.len()].copy_from_slice(&model);
    words.as_bytes()
}

fn runner(bench: &Bench) -> Runner<'static, Notifier, NoClock> {
    let arena = Vec::leak(vec![0u128; 1 << 15]).as_mut_bytes();
    let models = ModelSet::load(model_pack(), arena, |problem| panic!("{problem}"));
    let infos = models.infos();
    let mut runner = Runner::new(&infos, NoClock, Box::leak(Box::new(Processor::new(models, NoClock))), None, false);
    let start = NonNull::new(bench.data.as_ptr().cast::<u8>().cast_mut()).unwrap();
    // SAFETY: the memory is never freed and interior-mutable, and the spotter touches it only while the runner does not.
    let region = unsafe { DataRegion::new(start, bench.data.len()) };
    runner.add_client(2, bench.models_memory.open(1, model::PROTOCOL, model::VERSION), region);
    runner
}

/// What is heard in these samples: words and times in milliseconds; and all features and outputs.
fn hear(samples: &[u8]) -> (Vec<(String, u64)>, Vec<i8>, Vec<i8>) {
    let mut bench = Bench::new();
    let mut runner = runner(&bench);
    let mut driver =
        Driver::new(ClipDevice::new(Some(clip(samples))), bench.audio_memory.open(1, audio::PROTOCOL, audio::VERSION));
    let (mut heard, mut features, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
    let mut windows = 0;
    for tick in 0.. {
        bench.clock.0 = tick * BLOCK_NS;
        driver.turn(bench.clock.0);
        // Once for the sound, once for what the runner answers to it.
        for _ in 0..3 {
            let news = bench.turn();
            runner.turn();
            if let Some(detection) = news.heard {
                heard.push((detection.word().to_owned(), detection.sample * 1000 / 16_000));
            }
            let status = bench.spotter.status();
            if status.windows > windows {
                let first = windows as usize * 4 % 128 * BANDS;
                windows = status.windows;
                let frames = if windows == 1 { 0 } else { WINDOW_FEATURES - 4 * BANDS }..WINDOW_FEATURES;
                let read = |at: usize| bench.data[at].load(Ordering::Relaxed) as i8;
                features.extend(frames.map(|at| read(first + at)));
                outputs.extend((0..12).map(|at| read(2 * 128 * BANDS + at)));
            }
            if news.ended {
                let status = bench.spotter.status();
                assert_eq!((status.state, status.gaps, status.lost), (state::ENDED, 0, 0));
                assert_eq!((status.windows_dropped, status.windows_failed), (0, 0));
                assert_eq!(runner.status().bytes_copied, 0);
                return (heard, features, outputs);
            }
        }
    }
    unreachable!("the loop ends with the clip")
}

fn assert_is_said(heard: &[(String, u64)], said: &[(String, u64, u64)]) {
    assert_eq!(heard.len(), said.len(), "{heard:?}");
    for ((heard, at_ms), (said, from_ms, until_ms)) in heard.iter().zip(said) {
        assert_eq!(heard, said);
        assert!((*from_ms..*until_ms).contains(at_ms), "{heard} at {at_ms}");
    }
}

#[test]
fn features_outputs_and_words_are_the_reference_s() {
    let (heard, features, outputs) = hear(&samples());
    let reference = std::fs::read(file("clip.bin")).unwrap();
    assert_eq!(&reference[..8], b"KLCLIPRF");
    let number = |at: usize| u32::from_le_bytes(reference[at..at + 4].try_into().unwrap()) as usize;
    let (frames, windows) = (number(8), number(12));
    let signed = |bytes: &[u8]| bytes.iter().map(|byte| *byte as i8).collect::<Vec<_>>();
    let expected = signed(&reference[20..][..frames * BANDS]);
    // The driver fills the last block up with silence, so there may be a window more.
    assert!(features.len() >= expected.len() && features[..expected.len()] == expected);
    assert_eq!(outputs[..windows * 12], signed(&reference[20 + frames * BANDS..]));
    assert_is_said(&heard, &said());
}

#[test]
fn another_order_of_words_is_heard_in_that_order() {
    let samples = samples();
    let said = said();
    let bytes = |ms: u64| ms as usize * 32;
    // Each word with a little before and behind it, the last one first.
    let (mut other, mut expected) = (vec![0; bytes(500)], Vec::new());
    for (word, start_ms, until_ms) in said.iter().rev() {
        let begin_ms = (other.len() / 32) as u64;
        let (from, to) = (start_ms - 100, until_ms - 1100 + 100);
        other.extend(&samples[bytes(from)..bytes(to)]);
        expected.push((word.clone(), begin_ms, begin_ms + to - from + 1100));
        other.extend(vec![0; bytes(600)]);
    }
    assert_is_said(&hear(&other).0, &expected);
}

#[test]
fn noise_is_no_word() {
    let mut state = 1u32;
    for shift in [0, 4, 8, 12] {
        let noise: Vec<u8> = (0..5 * 16_000)
            .flat_map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (((state >> 16) as i16) >> shift).to_le_bytes()
            })
            .collect();
        assert_eq!(hear(&noise).0, [], "shifted by {shift}");
    }
    assert_eq!(hear(&[0; 160_000]).0, []);
}
