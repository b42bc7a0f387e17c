//! What the tests share: a pack with the digits model, a clock, and clients over links in the memory of one program.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::cell::Cell;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::AtomicU64;

use model_runner::Clock;
use model_runner::region::DataRegion;
use protocols::model::{PROTOCOL, Reply, Request, VERSION};
use protocols::model_pack::{Header, MAGIC, ModelEntry};
use ring::{Link, Span, Words, region_bytes};
use zerocopy::IntoBytes;

pub type Notifier = fn();
pub const SILENT: Notifier = || {};
pub const DATA_BYTES: usize = 4096;
pub const INPUT: u32 = 64;
pub const OUTPUT: u32 = 10;

/// Time that passes only when somebody looks at the clock.
#[derive(Clone)]
pub struct Fake {
    pub now_ns: Rc<Cell<u64>>,
    pub tick_ns: Rc<Cell<u64>>,
}

impl Clock for Fake {
    fn now_ns(&self) -> u64 {
        self.now_ns.set(self.now_ns.get() + self.tick_ns.get());
        self.now_ns.get()
    }
    fn instructions(&self) -> u64 {
        self.now_ns.get() / 2
    }
}

/// The digits model twice, the second time cut off; one sample.
pub fn pack() -> &'static [u8] {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ml-runtime/models/digits");
    let file = std::fs::read(format!("{folder}/model.tflite")).unwrap();
    let entry = |name: &str, bytes| {
        let mut text = [0; 32];
        text[..name.len()].copy_from_slice(name.as_bytes());
        let (file_at, at) = (256, 256);
        ModelEntry {
            name: text,
            file_at,
            file_bytes: bytes,
            samples: 0,
            input_bytes: INPUT,
            output_bytes: OUTPUT,
            labels_at: at,
            inputs_at: at,
            outputs_at: at,
        }
    };
    let entries = [entry("digits", file.len() as u32), entry("broken", 5000)];
    let bytes = (256 + file.len()).next_multiple_of(16);
    let header = Header { magic: MAGIC, bytes: bytes as u32, models: 2 };
    let mut words = vec![0u128; bytes / 16];
    let target = words.as_mut_bytes();
    target[..16].copy_from_slice(header.as_bytes());
    target[16..16 + size_of_val(&entries)].copy_from_slice(entries.as_bytes());
    target[256..256 + file.len()].copy_from_slice(&file);
    Vec::leak(words).as_bytes()
}

pub fn words(entry_bytes: usize) -> &'static [AtomicU64] {
    Vec::leak((0..region_bytes(16, entry_bytes) / 8).map(|_| AtomicU64::new(0)).collect())
}

/// One client's end, which can be opened again as after a restart.
pub struct ClientEnd {
    pub own: &'static [AtomicU64],
    pub peer: &'static [AtomicU64],
    pub link: Link<Request, Reply, Notifier>,
    pub data: &'static mut [u8],
}

impl ClientEnd {
    pub fn restart(&mut self) {
        let [own, peer] = [self.own, self.peer].map(Words::from_static);
        self.link = Link::open(own, peer, SILENT, PROTOCOL, VERSION).unwrap();
        self.link.poll().unwrap();
    }

    pub fn replies(&mut self) -> Vec<Reply> {
        self.link.poll().unwrap();
        std::iter::from_fn(|| self.link.pop().unwrap()).collect()
    }

    pub fn codes(&mut self) -> Vec<(u32, u32)> {
        self.replies().iter().map(|reply| (reply.job, reply.code)).collect()
    }
}

/// A client, and the runner's end of its link with its region.
pub fn client() -> (ClientEnd, Link<Reply, Request, Notifier>, DataRegion) {
    let (own, peer) = (words(size_of::<Request>()), words(size_of::<Reply>()));
    let data = Vec::leak(vec![0u8; DATA_BYTES]);
    let link = Link::open(Words::from_static(own), Words::from_static(peer), SILENT, PROTOCOL, VERSION).unwrap();
    let end = ClientEnd { own, peer, link, data };
    let (link, region) = end.runner_end();
    (end, link, region)
}

impl ClientEnd {
    /// The runner's end, opened anew.
    pub fn runner_end(&self) -> (Link<Reply, Request, Notifier>, DataRegion) {
        let [own, peer] = [self.peer, self.own].map(Words::from_static);
        // SAFETY: the memory is never freed, and the tests touch it only while the runner does not.
        let region = unsafe { DataRegion::new(NonNull::new(self.data.as_ptr().cast_mut()).unwrap(), DATA_BYTES) };
        (Link::open(own, peer, SILENT, PROTOCOL, VERSION).unwrap(), region)
    }
}

/// A submission with buffers of its own for each of 32 numbers.
pub fn job(number: u32) -> Request {
    let start = number % 32 * 96;
    Request::submit(number, 0, Span { offset: start, bytes: INPUT }, Span { offset: start + 64, bytes: OUTPUT }, 0)
}
