//! Computes the features of the repository's clip, has the model runner judge its windows, and holds both against what the host and
//! the reference interpreter made of them, bit for bit.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU8, Ordering};

use log_mel::{BANDS, Frames, WINDOW_FEATURES};
use protocols::audio::BLOCK;
use protocols::clip::Clip;
use protocols::model::{self, ModelInfo, Reply, Request, code, kind};
use ring::{Link, Span};
use sel4_microkit::{ChannelSet, Handler, Infallible, memory_region_symbol, protection_domain, var};
use test_pds::{say, verdict};

/// Frames from one window to the next.
const STRIDE: usize = 4;
/// What an output holds before the job, so that one that is not written does not look right.
const RUBBISH: u8 = 0x55;

/// What is in `clip.bin`: "KLCLIPRF", three sizes, features, outputs.
struct Reference {
    features: &'static [u8],
    outputs: &'static [u8],
    windows: usize,
    output_bytes: usize,
}

struct Judge {
    reference: Reference,
    link: Link<Request, Reply>,
    /// Tensors, shared with the runner.
    data: &'static [AtomicU8],
    /// The model that is looked for, then used.
    model: u32,
    /// The window that the runner has; `None` while the model is looked for.
    window: Option<usize>,
}

#[protection_domain(stack_size = 0x4000)]
fn init() -> impl Handler {
    verdict::become_judge();
    let clip = memory_region_symbol!(clip: *mut u8);
    // SAFETY: the composer maps a region of this size there for as long as the program runs, and nobody writes it.
    let clip: &'static [u8] = unsafe { core::slice::from_raw_parts(clip.as_ptr(), *var!(clip_size: usize = 0)) };
    let reference = memory_region_symbol!(reference: *mut u8);
    // SAFETY: as above.
    let reference: &'static [u8] =
        unsafe { core::slice::from_raw_parts(reference.as_ptr(), *var!(reference_size: usize = 0)) };
    let data = memory_region_symbol!(models_data: *mut AtomicU8);
    // SAFETY: as above, but writable by this program and the model runner; this one only uses it by atomic bytes.
    let data = unsafe { core::slice::from_raw_parts(data.as_ptr(), *var!(models_data_size: usize = 0)) };
    let reference = read(reference);
    check_features(&Clip::parse(clip).expect("a clip"), reference.features);
    let link = ring::link!(models: Request, Reply, model::PROTOCOL, model::VERSION);
    let link = link.expect("a link").expect("the link is wired");
    let mut judge = Judge { reference, link, data, model: 0, window: None };
    judge.link.poll().expect("the runner keeps to the protocol");
    judge.ask();
    judge
}

fn read(bytes: &'static [u8]) -> Reference {
    assert_eq!(&bytes[..8], b"KLCLIPRF");
    let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize;
    let (frames, windows, output_bytes) = (number(8), number(12), number(16));
    let (features, rest) = bytes[20..].split_at(frames * BANDS);
    Reference { features, outputs: &rest[..windows * output_bytes], windows, output_bytes }
}

/// Every feature of every frame of the clip.
fn check_features(clip: &Clip<'_>, reference: &[u8]) {
    let (mut frames, mut number) = (Frames::new(), 0);
    let mut reference = reference.chunks_exact(BANDS);
    let mut samples = [0; BLOCK];
    for first in (0..clip.len()).step_by(BLOCK) {
        clip.read(first, &mut samples);
        frames.add(&samples, |features, _| {
            // Frames behind the last window are in nobody's.
            let Some(expected) = reference.next() else { return };
            assert!(features.iter().zip(expected).all(|(a, b)| *a as u8 == *b), "features of frame {number}");
            number += 1;
        });
    }
    assert!(reference.next().is_none(), "the clip has fewer frames");
    say!("judge: the features of {number} frames are the host's");
}

impl Handler for Judge {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        self.link.poll().expect("the runner keeps to the protocol");
        while let Some(reply) = self.link.pop().expect("a reply") {
            assert_eq!(reply.code, code::DONE, "{}", code::text(reply.code));
            self.take(&reply);
            self.ask();
        }
        Ok(())
    }
}

impl Judge {
    fn output(&self) -> Span {
        Span { offset: WINDOW_FEATURES.next_multiple_of(16) as u32, bytes: self.reference.output_bytes as u32 }
    }

    fn ask(&mut self) {
        let request = match self.window {
            None => Request::ask(kind::MODEL_INFO, 0, self.model),
            Some(window) => {
                let features = &self.reference.features[window * STRIDE * BANDS..][..WINDOW_FEATURES];
                for (shared, value) in self.data.iter().zip(features) {
                    shared.store(*value, Ordering::Relaxed);
                }
                let output = self.output();
                self.data[output.range()].iter().for_each(|shared| shared.store(RUBBISH, Ordering::Relaxed));
                Request::submit(0, self.model, Span { offset: 0, bytes: WINDOW_FEATURES as u32 }, output, 0)
            }
        };
        assert!(self.link.push(&request).is_ok(), "the ring has room for one request");
    }

    fn take(&mut self, reply: &Reply) {
        let Some(window) = self.window else {
            match reply.body::<ModelInfo>().name.starts_with(b"keywords\0") {
                true => self.window = Some(0),
                false => self.model += 1,
            }
            return;
        };
        let bytes = self.reference.output_bytes;
        let expected = &self.reference.outputs[window * bytes..][..bytes];
        let output = &self.data[self.output().range()];
        let same = output.iter().zip(expected).all(|(shared, expected)| shared.load(Ordering::Relaxed) == *expected);
        assert!(same, "the output for window {window}");
        if window + 1 == self.reference.windows {
            say!("judge: the outputs for {} windows are the reference's", self.reference.windows);
            verdict::pass();
        }
        self.window = Some(window + 1);
    }
}
