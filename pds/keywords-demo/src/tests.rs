//! The demonstration with a spotter of the tests.

use std::sync::atomic::AtomicU64;

use super::*;
use protocols::clip::{FLAG_EXPECTED, Header, MAGIC, WORD_BYTES};
use protocols::keywords::{PROTOCOL, VERSION};
use ring::{Words, region_bytes};
use zerocopy::IntoBytes;

type Spotter = Link<Event, Request, fn()>;
const SILENT: fn() = || {};

fn word(text: &str) -> [u8; WORD_BYTES] {
    let mut word = [0; WORD_BYTES];
    word[..text.len()].copy_from_slice(text.as_bytes());
    word
}

fn clip(said: Option<&[(u32, &str)]>) -> Clip<'static> {
    let said_words: Vec<Said> = said
        .unwrap_or_default()
        .iter()
        .map(|(start_ms, text)| Said { start_ms: *start_ms, end_ms: start_ms + 400, word: word(text) })
        .collect();
    let flags = if said.is_some() { FLAG_EXPECTED } else { 0 };
    let header =
        Header { magic: MAGIC, sample_rate: SAMPLE_RATE, samples: 16_000, words: said_words.len() as u32, flags };
    let bytes = [header.as_bytes(), said_words.as_bytes(), &[0; 32_000]].concat();
    Clip::parse(bytes.leak()).unwrap()
}

fn links() -> (Link<Request, Event, fn()>, Spotter) {
    let memory = || {
        Words::from_static(
            (0..region_bytes(8, size_of::<Event>()) / 8).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak(),
        )
    };
    let (a, b) = (memory(), memory());
    let client = Link::open(a.clone(), b.clone(), SILENT, PROTOCOL, VERSION).unwrap();
    (client, Link::open(b, a, SILENT, PROTOCOL, VERSION).unwrap())
}

/// What the demonstration prints when these words are heard at these times.
fn run(said: Option<&[(u32, &str)]>, heard: &[(u64, &str)], status: Status) -> Vec<String> {
    let (mut link, mut spotter) = links();
    let mut demo = Demo::new(clip(said));
    let mut lines = Vec::new();
    let mut turn = |demo: &mut Demo<'_>| demo.turn(&mut link, |line| lines.push(line.to_string()));
    turn(&mut demo);
    spotter.poll().unwrap();
    turn(&mut demo);
    assert_eq!(spotter.pop(), Ok(Some(Request { kind: request::SUBSCRIBE, token: 0 })));
    for (at_ms, text) in heard {
        let detection = Detection { word: word(text), sample: at_ms * 16, ..Detection::default() };
        spotter.push(&Event::new(kind::DETECTION, &detection)).unwrap();
        turn(&mut demo);
    }
    spotter.push(&Event::new(kind::END, &status)).unwrap();
    turn(&mut demo);
    lines
}

const SAID: &[(u32, &str)] = &[(500, "stop"), (1500, "no"), (2500, "stop")];

#[test]
fn all_heard_is_a_pass() {
    let lines = run(Some(SAID), &[(1000, "stop"), (2100, "no"), (3300, "stop")], Status::default());
    assert_eq!(lines.len(), Tally::LINES);
    assert!(lines[0].starts_with("keywords: 1.00 s of sound, 3 words said, 3 of them heard"), "{}", lines[0]);
    assert!(lines[3].starts_with("keywords: PASS all 3 words"), "{}", lines[3]);
}

#[test]
fn what_is_missed_or_made_up_is_named() {
    let lines = run(Some(SAID), &[(1000, "stop"), (1100, "yes"), (3300, "stop")], Status::default());
    assert_eq!(lines[0], "keywords: 'yes' at 1.10 s was not said");
    assert_eq!(lines[1], "keywords: 'no' was said from 1.50 s to 1.90 s and not heard");
    assert!(lines[5].starts_with("keywords: FAIL 2 of 3 words heard, 1 not, 1 that were not said"), "{}", lines[5]);
    let lines = run(Some(SAID), &[], Status::default());
    assert!(lines[6].starts_with("keywords: FAIL 0 of 3"), "{}", lines[6]);
    // Too late is not heard.
    let lines = run(Some(&SAID[..1]), &[(2100, "stop")], Status::default());
    assert!(lines.last().unwrap().starts_with("keywords: FAIL 0 of 1"));
}

#[test]
fn what_was_left_out_is_no_pass() {
    for status in [
        Status { windows_dropped: 1, ..Status::default() },
        Status { windows_failed: 1, ..Status::default() },
        Status { lost: 1, ..Status::default() },
    ] {
        let lines = run(Some(&[]), &[], status);
        assert!(lines[3].starts_with("keywords: FAIL"), "{}", lines[3]);
    }
}

#[test]
fn a_clip_that_does_not_tell_is_summed_up() {
    let lines = run(None, &[(1000, "stop"), (5000, "no")], Status::default());
    assert_eq!((lines.len(), lines[3].as_str()), (Tally::LINES, "keywords: END 2 words heard"));
}

#[test]
fn a_spotter_that_restarts_is_asked_again() {
    let (mut link, mut spotter) = links();
    let mut demo = Demo::new(clip(None));
    demo.turn(&mut link, |_| ());
    spotter.poll().unwrap();
    demo.turn(&mut link, |_| ());
    assert_eq!(spotter.pop(), Ok(Some(Request { kind: request::SUBSCRIBE, token: 0 })));
    demo.turn(&mut link, |_| ());
    assert_eq!(spotter.pop(), Ok(None));
}
