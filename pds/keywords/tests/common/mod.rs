//! A spotter between the ends of its links, which a test holds.
#![allow(dead_code)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64};

use keywords::{History, Machine, News, REGION_BYTES, Spotter, Words};
use protocols::audio::{self, BLOCK, BLOCK_NS, Block};
use protocols::model::{self, ModelInfo, Reply, Request, code, kind};
use ring::{Entry, Link, region_bytes};

pub type Notifier = fn();
pub const SILENT: Notifier = || {};

/// A clock that the test sets.
pub struct Clock(pub u64);

impl Machine for Clock {
    fn now_ns(&mut self) -> Option<u64> {
        Some(self.0)
    }
    fn instructions(&self) -> u64 {
        0
    }
}

/// The memory of a link, whose ends may be opened again and again.
#[derive(Clone, Copy)]
pub struct Memory([&'static [AtomicU64]; 2]);

impl Memory {
    /// For this many entries of each kind.
    pub fn new(entries: usize, first: usize, second: usize) -> Self {
        Memory([first, second].map(|entry| {
            let words: Vec<AtomicU64> =
                (0..region_bytes(entries, entry).div_ceil(8)).map(|_| AtomicU64::new(0)).collect();
            &*words.leak()
        }))
    }

    pub fn open<Tx: Entry, Rx: Entry>(&self, side: usize, protocol: u32, version: u32) -> Link<Tx, Rx, Notifier> {
        let words = |side: usize| ring::Words::from_static(self.0[side]);
        Link::open(words(side), words(1 - side), SILENT, protocol, version).unwrap()
    }
}

/// A file of the model.
pub fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../ml-runtime/models/keywords").join(name)
}

/// The spotter and its ends of the links.
pub struct Bench {
    pub spotter: Spotter<'static>,
    pub audio: Link<audio::Request, Block, Notifier>,
    pub models: Link<Request, Reply, Notifier>,
    pub audio_memory: Memory,
    pub models_memory: Memory,
    pub data: &'static [AtomicU8],
    pub clock: Clock,
}

impl Bench {
    pub fn new() -> Self {
        let data: Vec<AtomicU8> = (0..REGION_BYTES.next_multiple_of(4096)).map(|_| AtomicU8::new(0)).collect();
        let data: &'static [AtomicU8] = data.leak();
        let words = Words::parse(&std::fs::read(file("words.txt")).unwrap()).unwrap();
        let audio_memory = Memory::new(16, size_of::<audio::Request>(), size_of::<Block>());
        let models_memory = Memory::new(16, size_of::<Request>(), size_of::<Reply>());
        Bench {
            spotter: Spotter::new(words, History::new(data).unwrap()),
            audio: audio_memory.open(0, audio::PROTOCOL, audio::VERSION),
            models: models_memory.open(0, model::PROTOCOL, model::VERSION),
            audio_memory,
            models_memory,
            data,
            clock: Clock(0),
        }
    }

    /// The spotter as it starts anew.
    pub fn restart_spotter(&mut self) {
        let words = Words::parse(&std::fs::read(file("words.txt")).unwrap()).unwrap();
        self.spotter = Spotter::new(words, History::new(self.data).unwrap());
        self.audio = self.audio_memory.open(0, audio::PROTOCOL, audio::VERSION);
        self.models = self.models_memory.open(0, model::PROTOCOL, model::VERSION);
    }

    /// One turn of the spotter.
    pub fn turn(&mut self) -> News {
        self.spotter.listen(&mut self.audio, &mut self.clock);
        self.spotter.ask(&mut self.models, &mut self.clock)
    }
}

/// A driver that sends what the test wants.
pub struct Driver(pub Link<Block, audio::Request, Notifier>);

impl Driver {
    pub fn start(bench: &Bench) -> Self {
        Driver(bench.audio_memory.open(1, audio::PROTOCOL, audio::VERSION))
    }

    /// Sends block number `number`, all of whose samples are `value`. False if there is no room.
    pub fn send(&mut self, number: u64, value: i16) -> bool {
        let _ = self.0.poll();
        let block = Block::new(audio::kind::SAMPLES, number * BLOCK as u64, (number + 1) * BLOCK_NS);
        self.0.push(&Block { samples: [value; BLOCK], ..block }).is_ok()
    }

    /// What the spotter asked for.
    pub fn requests(&mut self) -> Vec<audio::Request> {
        let _ = self.0.poll();
        std::iter::from_fn(|| self.0.pop().ok().flatten()).collect()
    }
}

/// A runner that answers as the test wants. It has the model as number 1.
pub struct Runner {
    pub link: Link<Reply, Request, Notifier>,
    data: &'static [AtomicU8],
}

impl Runner {
    pub fn start(bench: &Bench) -> Self {
        Runner { link: bench.models_memory.open(1, model::PROTOCOL, model::VERSION), data: bench.data }
    }

    /// Answers questions about models; gives the jobs.
    pub fn jobs(&mut self) -> Vec<Request> {
        let _ = self.link.poll();
        let mut jobs = Vec::new();
        while let Ok(Some(request)) = self.link.pop() {
            if request.kind != kind::MODEL_INFO {
                jobs.push(request);
                continue;
            }
            let mut info = ModelInfo { input_bytes: 1960, output_bytes: 12, ..ModelInfo::default() };
            let name: &[u8] = if request.model == 1 { b"keywords" } else { b"digits" };
            info.name[..name.len()].copy_from_slice(name);
            self.link.push(&Reply::new(&request, code::DONE).with_body(&info)).unwrap();
        }
        jobs
    }

    /// Ends a job: the model is sure of this word.
    pub fn answer(&mut self, job: &Request, word: usize) {
        for (index, value) in self.data[job.output.range()].iter().enumerate() {
            value.store(if index == word { 0x7f } else { 0x80 }, std::sync::atomic::Ordering::Relaxed);
        }
        self.link.push(&Reply::new(job, code::DONE)).unwrap();
    }
}
