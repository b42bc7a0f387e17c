//! The spotter: sound in, jobs out, opinions in, words out.

use core::mem;

use log_mel::{BANDS, Frames, HOP, WINDOW_FEATURES};
use protocols::audio::{self, BLOCK, Block, SAMPLE_NS, request};
use protocols::keywords::{Detection, Status, state};
use protocols::model::{JobResult, ModelInfo, Reply, Request, code, kind};
use ring::{Link, Notify, PushError};

use crate::detector::Detector;
use crate::history::{History, KEPT};
use crate::subscriber::Recent;
use crate::{MAX_WORDS, Words};

/// Name of the model in the model pack.
const MODEL: &[u8] = b"keywords";
/// Blocks that one turn takes: what a driver's ring holds at most, and 2 ms of work.
const BLOCKS: usize = 16;
/// Windows that wait for the model runner, at most. With them the oldest frame that is still needed is 113 frames old, so
/// none is overwritten that waits.
const WAITING: usize = 16;
/// How long the model runner may take for a window, in nanoseconds: five times as long as until the next one.
const DEADLINE_NS: u64 = 400_000_000;

/// What the spotter needs of the machine.
pub trait Machine {
    /// The time in nanoseconds, by the clock that stamps the sound; `None` while it cannot be told.
    fn now_ns(&mut self) -> Option<u64>;
    /// Instructions retired.
    fn instructions(&self) -> u64;
}

/// A window of features that the model is to be asked about.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// Its first frame.
    first: u64,
    /// Which stretch of sound without gaps it belongs to.
    stretch: u64,
    /// Number of the sample behind its last one.
    sample: u64,
    /// When its last sample was taken.
    taken_ns: u64,
}

/// The model in the runner's pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Model {
    /// The runner is to be asked about the model with this number.
    Ask(u32),
    /// It was asked about the model with this number.
    Asked(u32),
    /// It has this number.
    Found(u32),
    /// It has none that fits.
    Missing,
}

/// What is to be said, at most once a turn each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// A word was heard.
    pub heard: Option<Detection>,
    /// The sound has come to its end, and all of it has been listened to.
    pub ended: bool,
    /// The model runner has no model `keywords`, or one with other tensors.
    pub no_model: bool,
}

/// The spotter.
pub struct Spotter<'a> {
    words: Words,
    frames: Frames,
    history: History<'a>,
    /// Number of the sample that comes next.
    next_sample: u64,
    /// Whether the driver has to be asked to start.
    start: bool,
    stretch: u64,
    windows: heapless::Deque<Window, WAITING>,
    model: Model,
    next_job: u32,
    /// The window that the runner is asked about, under this number.
    job: Option<(u32, Window)>,
    detector: Detector,
    /// The stretch of the last window that the detector was told of.
    detector_stretch: u64,
    /// The sound has ended; `Some(false)` once that was told.
    end: Option<bool>,
    recent: Recent,
    status: Status,
}

impl<'a> Spotter<'a> {
    /// A spotter of these words that puts its tensors into `history`.
    pub fn new(words: Words, history: History<'a>) -> Self {
        Spotter {
            words,
            frames: Frames::new(),
            history,
            next_sample: 0,
            start: true,
            stretch: 0,
            windows: heapless::Deque::new(),
            model: Model::Ask(0),
            next_job: 0,
            job: None,
            detector: Detector::new(),
            detector_stretch: 0,
            end: None,
            recent: Recent::new(),
            status: Status { state: state::WAITING, ..Status::default() },
        }
    }

    /// What was counted.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// What was heard last, the oldest first.
    pub fn recent(&self) -> impl Iterator<Item = &Detection> + Clone {
        self.recent.oldest_ordered()
    }

    /// Takes the blocks that are there, a bounded number of them. True if there may be more, which nobody will notify of.
    pub fn listen<N: Notify>(&mut self, link: &mut Link<audio::Request, Block, N>, machine: &mut impl Machine) -> bool {
        if link.poll().unwrap_or(false) {
            self.status.audio_restarts = (link.counters().sessions - 1) as u32;
            // An end that has been listened to is not undone by a driver that comes up again.
            self.start = self.end.is_none();
        }
        if self.start && link.is_connected() {
            let start = audio::Request { kind: request::START, number: self.next_sample };
            self.start = link.push(&start).is_err();
        }
        for _ in 0..BLOCKS {
            match link.pop() {
                Ok(Some(block)) => self.take(&block, machine),
                Ok(None) | Err(_) => return false,
            }
        }
        true
    }

    fn take(&mut self, block: &Block, machine: &mut impl Machine) {
        if block.kind == audio::kind::END {
            self.end = Some(true);
            return;
        }
        if block.kind != audio::kind::SAMPLES {
            return;
        }
        self.end = None;
        if self.model != Model::Missing {
            self.status.state = state::LISTENING;
        }
        // The first block says where the sound begins: it may have been under way already.
        if block.first != self.next_sample && self.status.samples > 0 {
            self.status.lost += block.first.saturating_sub(self.next_sample);
            self.gap();
        }
        self.next_sample = block.first.saturating_add(BLOCK as u64);
        self.status.samples += BLOCK as u64;
        let mut frames = mem::take(&mut self.frames);
        let before = machine.instructions();
        let mut whole = 0;
        frames.add(&block.samples, |features, used| {
            whole += 1;
            let behind_ns = (BLOCK - used) as u64 * SAMPLE_NS;
            self.add(&features, block.first.saturating_add(used as u64), block.taken_ns.saturating_sub(behind_ns));
        });
        let instructions = machine.instructions().wrapping_sub(before);
        if whole == 1 {
            self.status.feature_instructions = self.status.feature_instructions.max(instructions);
        }
        self.frames = frames;
    }

    /// The sound has a gap: what comes next is a stretch of its own.
    fn gap(&mut self) {
        self.status.gaps += 1;
        self.frames.clear();
        self.history.gap();
        self.stretch += 1;
    }

    /// Adds a frame that ends before sample `sample`.
    fn add(&mut self, features: &[i8; BANDS], sample: u64, taken_ns: u64) {
        // The runner owns the window that it is asked about until it answers, so its frames must not change. It has to answer
        // soon; a runner that does not costs sound.
        if let Some((_, window)) = self.job
            && self.history.next() >= window.first + KEPT
        {
            self.status.lost += HOP as u64;
            self.gap();
            return;
        }
        let Some(first) = self.history.push(features) else { return };
        if self.windows.is_full() {
            self.windows.pop_front();
            self.status.windows_dropped += 1;
        }
        let window = Window { first, stretch: self.stretch, sample, taken_ns };
        // There is room: one was taken out.
        let _ = self.windows.push_back(window);
    }

    /// Takes the runner's answers, and asks it about the next window.
    pub fn ask<N: Notify>(&mut self, link: &mut Link<Request, Reply, N>, machine: &mut impl Machine) -> News {
        let mut news = News::default();
        if link.poll().unwrap_or(false) {
            self.status.runner_restarts = (link.counters().sessions - 1) as u32;
            // It knows nothing of jobs from before; its pack may be another.
            if self.job.take().is_some() {
                self.status.windows_failed += 1;
            }
            self.model = Model::Ask(0);
        }
        // One answer at most is owed; what else comes is nonsense, of which a turn takes a little.
        for _ in 0..WAITING {
            let Ok(Some(reply)) = link.pop() else { break };
            match reply.kind {
                kind::SUBMIT => self.opinion(&reply, machine, &mut news),
                kind::MODEL_INFO => self.info(&reply, &mut news),
                _ => (),
            }
            if news.heard.is_some() {
                break;
            }
        }
        if link.is_connected() {
            self.submit(link);
        }
        if self.end == Some(true) && self.job.is_none() && self.windows.is_empty() {
            self.end = Some(false);
            if self.model != Model::Missing {
                self.status.state = state::ENDED;
            }
            news.ended = true;
        }
        news
    }

    fn submit<N: Notify>(&mut self, link: &mut Link<Request, Reply, N>) {
        match self.model {
            Model::Ask(number) => {
                if link.push(&Request::ask(kind::MODEL_INFO, self.next_job, number)).is_ok() {
                    self.model = Model::Asked(number);
                }
            }
            Model::Found(model) if self.job.is_none() => {
                let Some(window) = self.windows.front().copied() else { return };
                let (input, output) = (History::window(window.first), History::output(self.words.len()));
                match link.push(&Request::submit(self.next_job, model, input, output, DEADLINE_NS)) {
                    Ok(()) => {
                        self.windows.pop_front();
                        self.job = Some((self.next_job, window));
                        self.next_job = self.next_job.wrapping_add(1);
                    }
                    // The runner notifies when there is room, or when it is back.
                    Err(PushError::Full | PushError::Link(_)) => (),
                }
            }
            Model::Asked(_) | Model::Found(_) => (),
            Model::Missing => {
                self.status.windows_dropped += self.windows.len() as u64;
                self.windows.clear();
            }
        }
    }

    /// What the runner says about the model that it was asked about; asks about the next one if it is another.
    fn info(&mut self, reply: &Reply, news: &mut News) {
        let Model::Asked(asked) = self.model else { return };
        if reply.model != asked {
            return;
        }
        let info = reply.body::<ModelInfo>();
        let name = info.name.iter().position(|byte| *byte == 0).map_or(&info.name[..], |end| &info.name[..end]);
        let fits = info.input_bytes as usize == WINDOW_FEATURES && info.output_bytes as usize == self.words.len();
        self.model = match reply.code {
            code::DONE if name == MODEL && fits => Model::Found(asked),
            code::DONE if name == MODEL => Model::Missing,
            code::DONE => Model::Ask(asked.saturating_add(1)),
            _ => Model::Missing,
        };
        if self.model == Model::Missing {
            self.status.state = state::NO_MODEL;
            news.no_model = true;
        }
    }

    /// The runner's answer to a job.
    fn opinion(&mut self, reply: &Reply, machine: &mut impl Machine, news: &mut News) {
        let Some((_, window)) = self.job.take_if(|(job, _)| *job == reply.job) else { return };
        if reply.code != code::DONE {
            self.status.windows_failed += 1;
            return;
        }
        let now_ns = machine.now_ns().unwrap_or(window.taken_ns);
        let latency_ns = now_ns.saturating_sub(window.taken_ns);
        self.status.windows += 1;
        self.status.latency_max_ns = self.status.latency_max_ns.max(latency_ns);
        self.status.latency_sum_ns += latency_ns;
        self.status.model_ns += reply.body::<JobResult>().took_ns();
        if window.stretch != self.detector_stretch {
            self.detector_stretch = window.stretch;
            self.detector.gap();
        }
        let mut output = [0x80; MAX_WORDS];
        let output = &mut output[..self.words.len()];
        self.history.read_output(output);
        let Some(decision) = self.detector.add(output, |word| self.words.reported(word).is_some()) else { return };
        let detection = Detection {
            word: self.words.reported(decision.word).unwrap_or_default(),
            number: self.status.detections,
            sample: window.sample,
            decided_ns: now_ns,
            latency_ns,
            confidence: decision.confidence,
            reserved: 0,
        };
        self.status.detections += 1;
        self.recent.write(detection);
        news.heard = Some(detection);
    }
}
