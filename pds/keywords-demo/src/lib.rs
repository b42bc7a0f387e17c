//! Holds what the keyword spotter hears of a clip against what is said in it, as a subscriber like any other.
//!
//! The clip tells which words are said, and when ([`protocols::clip`]); the last line of the report starts with
//! `keywords: PASS` or `keywords: FAIL`. Of a clip that does not tell, only what was heard is summed up, and the last line starts with
//! `keywords: END`. Without a clip there is nothing to say.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use core::fmt;

use protocols::audio::SAMPLE_RATE;
use protocols::clip::{Clip, Said};
use protocols::keywords::{Detection, Event, Request, Status, kind, request};
use ring::{Link, Notify};

/// Milliseconds after a word's end by which it must have been heard: it is in the windows for a second.
const LATEST_MS: u64 = 1100;
/// Events that one turn takes.
const EVENTS: usize = 16;

/// The demonstration.
pub struct Demo<'a> {
    clip: Clip<'a>,
    /// Whether the spotter was asked for its detections in this session.
    subscribed: bool,
    /// How many of the words that are said are dealt with.
    passed: usize,
    heard: usize,
    missed: usize,
    wrong: usize,
    /// Detections that were lost on the way here.
    lost: u64,
}

/// Something to print.
#[derive(Clone, Copy, Debug)]
pub enum Line {
    /// A word was said and not heard.
    Missed(Said),
    /// A word was heard that was not said, or not then.
    Wrong(Detection),
    /// The end: one of the lines of the report.
    Report {
        /// Which.
        index: usize,
        /// What the spotter counted.
        status: Status,
        /// What was counted here.
        tally: Tally,
    },
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Samples of the clip.
    samples: u64,
    /// Words that are said, if it is known.
    said: Option<usize>,
    heard: usize,
    missed: usize,
    wrong: usize,
    lost: u64,
}

impl Tally {
    /// Lines of a report.
    pub const LINES: usize = 4;

    fn is_right(&self, status: &Status) -> bool {
        self.said == Some(self.heard)
            && (self.missed, self.wrong, self.lost) == (0, 0, 0)
            && (status.windows_dropped, status.windows_failed, status.lost) == (0, 0, 0)
    }
}

impl<'a> Demo<'a> {
    /// The demonstration on this clip.
    pub fn new(clip: Clip<'a>) -> Self {
        Demo { clip, subscribed: false, passed: 0, heard: 0, missed: 0, wrong: 0, lost: 0 }
    }

    /// Takes what the spotter says, and gives `say` the lines that follow from it. True if there may be more.
    pub fn turn<N: Notify>(&mut self, link: &mut Link<Request, Event, N>, mut say: impl FnMut(Line)) -> bool {
        if link.poll().unwrap_or(false) {
            self.subscribed = false;
        }
        if !self.subscribed && link.is_connected() {
            self.subscribed = link.push(&Request { kind: request::SUBSCRIBE, token: 0 }).is_ok();
        }
        for _ in 0..EVENTS {
            let Ok(Some(event)) = link.pop() else { return false };
            self.lost += u64::from(event.dropped);
            match event.kind {
                kind::DETECTION => self.heard(event.body(), &mut say),
                kind::END => self.end(event.body(), &mut say),
                _ => (),
            }
        }
        true
    }

    fn heard(&mut self, detection: Detection, say: &mut impl FnMut(Line)) {
        let Some(mut said) = self.clip.said() else {
            self.heard += 1;
            return;
        };
        let at_ms = detection.sample.saturating_mul(1000) / u64::from(SAMPLE_RATE);
        let is_it = |said: &Said| {
            let (start_ms, end_ms) = (u64::from(said.start_ms), u64::from(said.end_ms));
            said.word == detection.word && (start_ms..end_ms + LATEST_MS).contains(&at_ms)
        };
        match said.by_ref().enumerate().skip(self.passed).find(|(_, said)| is_it(said)) {
            Some((index, _)) => {
                self.miss_until(index, say);
                self.passed = index + 1;
                self.heard += 1;
            }
            None => {
                self.wrong += 1;
                say(Line::Wrong(detection));
            }
        }
    }

    /// The words before this one that were not heard are not heard any more.
    fn miss_until(&mut self, index: usize, say: &mut impl FnMut(Line)) {
        let Some(said) = self.clip.said() else { return };
        for said in said.take(index).skip(self.passed) {
            self.missed += 1;
            say(Line::Missed(said));
        }
        self.passed = index;
    }

    fn end(&mut self, status: Status, say: &mut impl FnMut(Line)) {
        let words = self.clip.said().map(|said| said.len());
        self.miss_until(words.unwrap_or(0), say);
        let tally = Tally {
            samples: self.clip.len(),
            said: words,
            heard: self.heard,
            missed: self.missed,
            wrong: self.wrong,
            lost: self.lost,
        };
        for index in 0..Tally::LINES {
            say(Line::Report { index, status, tally });
        }
        // The source may be started again, and then all is said again.
        (self.passed, self.heard, self.missed, self.wrong, self.lost) = (0, 0, 0, 0, 0);
    }
}

/// Tenths of a thousandth, as a decimal number: nanoseconds as milliseconds.
struct Millis(u64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 1_000_000, self.0 / 100_000 % 10)
    }
}

/// Milliseconds as seconds.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02} s", self.0 / 1000, self.0 % 1000 / 10)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let samples_ms = |samples: u64| Seconds(samples.saturating_mul(1000) / u64::from(SAMPLE_RATE));
        match self {
            Line::Missed(said) => {
                let (start, end) = (Seconds(said.start_ms.into()), Seconds(said.end_ms.into()));
                write!(f, "keywords: '{}' was said from {start} to {end} and not heard", said.word())
            }
            Line::Wrong(detection) => {
                write!(f, "keywords: '{}' at {} was not said", detection.word(), samples_ms(detection.sample))
            }
            Line::Report { index: 0, status, tally } => {
                write!(f, "keywords: {} of sound, ", samples_ms(tally.samples))?;
                match tally.said {
                    Some(said) => write!(f, "{said} words said, {} of them heard", tally.heard)?,
                    None => write!(f, "{} words heard", tally.heard)?,
                }
                write!(f, "; {} gaps, {} samples lost", status.gaps, status.lost)
            }
            Line::Report { index: 1, status, .. } => write!(
                f,
                "keywords: {} windows, {} left out, {} failed; {} restarts of the audio driver, {} of the model runner",
                status.windows,
                status.windows_dropped,
                status.windows_failed,
                status.audio_restarts,
                status.runner_restarts
            ),
            Line::Report { index: 2, status, .. } => {
                let windows = status.windows.max(1);
                write!(
                    f,
                    "keywords: a frame's features take {} instructions, a window's inference {} ms; it is judged {} ms after \
                     its last sample, {} at most",
                    status.feature_instructions,
                    Millis(status.model_ns / windows),
                    Millis(status.latency_sum_ns / windows),
                    Millis(status.latency_max_ns)
                )
            }
            Line::Report { status, tally, .. } => match tally.said {
                None => write!(f, "keywords: END {} words heard", tally.heard),
                Some(said) if tally.is_right(status) => {
                    write!(f, "keywords: PASS all {said} words heard, nothing else, no window left out")
                }
                Some(said) => write!(
                    f,
                    "keywords: FAIL {} of {said} words heard, {} not, {} that were not said; {} windows left out, {} failed, \
                     {} samples and {} events lost",
                    tally.heard,
                    tally.missed,
                    tally.wrong,
                    status.windows_dropped,
                    status.windows_failed,
                    status.lost,
                    tally.lost
                ),
            },
        }
    }
}

#[cfg(test)]
mod tests;
