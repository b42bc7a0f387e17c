//! Subscribes to the keyword spotter, which hears the repository's clip, and judges what it tells.
//!
//! As `judge0`: every word is heard in its time and nothing else, no window is left out, and opinions come in time. As `judge1`
//! the model runner gets too little time: windows are left out and counted, and no sample is lost.
#![no_std]
#![no_main]

use protocols::audio::{BLOCK, SAMPLE_RATE};
use protocols::clip::{Clip, Said};
use protocols::keywords::{self, Detection, Event, Request, Status, kind, request, state};
use ring::Link;
use sel4_microkit::{ChannelSet, Handler, Infallible, memory_region_symbol, protection_domain, var};
use test_pds::{instance, say, verdict};

/// A word must be heard within so many milliseconds of its end.
const LATEST_MS: u64 = 1100;
/// An opinion must come within so many nanoseconds of its last sample: before the next window is due.
const LATEST_OPINION_NS: u64 = 80_000_000;

struct Judge {
    clip: Clip<'static>,
    link: Link<Request, Event>,
    heard: heapless::Vec<Detection, 32>,
    subscribed: bool,
    recent: usize,
}

#[protection_domain(stack_size = 0x4000)]
fn init() -> impl Handler {
    verdict::become_judge();
    let clip = memory_region_symbol!(clip: *mut u8);
    // SAFETY: the composer maps a region of this size there for as long as the program runs, and nobody writes it.
    let clip: &'static [u8] = unsafe { core::slice::from_raw_parts(clip.as_ptr(), *var!(clip_size: usize = 0)) };
    let link = ring::link!(keywords: Request, Event, keywords::PROTOCOL, keywords::VERSION);
    let link = link.expect("a link").expect("the link is wired");
    let clip = Clip::parse(clip).expect("a clip");
    let mut judge = Judge { clip, link, heard: heapless::Vec::new(), subscribed: false, recent: 0 };
    judge.work();
    judge
}

impl Handler for Judge {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        self.work();
        Ok(())
    }
}

impl Judge {
    fn work(&mut self) {
        self.link.poll().expect("the spotter keeps to the protocol");
        if !self.subscribed && self.link.is_connected() {
            self.subscribed = self.link.push(&Request { kind: request::SUBSCRIBE, token: 0 }).is_ok();
        }
        while let Some(event) = self.link.pop().expect("an event") {
            assert_eq!(event.dropped, 0, "events were lost");
            match event.kind {
                kind::DETECTION => self.heard.push(event.body()).expect("not so many words"),
                kind::END => self.ended(&event.body()),
                kind::RECENT => {
                    assert_eq!((event.token, event.body::<Detection>()), (7, self.heard[self.recent]));
                    self.recent += 1;
                }
                kind::STATUS => {
                    assert_eq!((event.token, event.body::<Status>().state), (7, state::ENDED));
                    assert_eq!(self.recent, self.heard.len(), "all that was heard is remembered");
                    verdict::pass();
                }
                other => panic!("event of kind {other}"),
            }
        }
    }

    fn ended(&mut self, status: &Status) {
        say!(
            "judge: {} windows, {} left out, {} failed; latency {} us at most; features {} instructions",
            status.windows,
            status.windows_dropped,
            status.windows_failed,
            status.latency_max_ns / 1000,
            status.feature_instructions
        );
        let blocks = self.clip.len().div_ceil(BLOCK as u64);
        assert_eq!((status.samples, status.lost, status.gaps), (blocks * BLOCK as u64, 0, 0));
        // The first frame takes two blocks, each other one more; the first window 49 frames, each other four more.
        let windows = (blocks - 1 - 49) / 4 + 1;
        assert_eq!(status.windows + status.windows_dropped + status.windows_failed, windows, "each is accounted for");
        if instance() == 1 {
            assert!(status.windows_dropped > 0 && status.windows > 0, "some are left out, not all");
            verdict::pass();
        }
        assert_eq!((status.windows_dropped, status.windows_failed), (0, 0));
        assert!(status.latency_max_ns < LATEST_OPINION_NS, "opinions come in time");
        let said = self.clip.said().expect("it is known what is said");
        assert_eq!(self.heard.len(), said.len(), "as many words as were said");
        for (heard, said) in self.heard.iter().zip(said) {
            let at_ms = heard.sample * 1000 / u64::from(SAMPLE_RATE);
            say!("judge: '{}' at {at_ms} ms, {} thousandths", heard.word(), heard.confidence);
            let Said { start_ms, end_ms, word } = said;
            assert_eq!(heard.word, word, "the word that was said");
            assert!((u64::from(start_ms)..u64::from(end_ms) + LATEST_MS).contains(&at_ms), "in its time");
        }
        self.link.push(&Request { kind: request::QUERY, token: 7 }).expect("room for a question");
    }
}
