//! The driver and its client.

use proptest::prelude::*;
use protocols::audio::{BLOCK, BLOCK_NS, Block, PROTOCOL, Request, VERSION, kind, request};
use ring::{Link, Words, region_bytes};
use std::sync::atomic::AtomicU64;

use super::device::counting;
use crate::{Capture, ClipDevice, Counts, DEPTH, Driver, Period};

type Notifier = fn();
const SILENT: Notifier = || {};
const SLOTS: usize = 4;

/// The memory of a link.
struct Memory([&'static [AtomicU64]; 2]);

impl Memory {
    fn new() -> Self {
        let region = |entry: usize| {
            let words: Vec<AtomicU64> =
                (0..region_bytes(SLOTS, entry).div_ceil(8)).map(|_| AtomicU64::new(0)).collect();
            &*words.leak()
        };
        Memory([region(size_of::<Block>()), region(size_of::<Request>())])
    }

    fn words(&self, side: usize) -> Words {
        Words::from_static(self.0[side])
    }

    fn driver<C: Capture>(&self, device: C) -> Driver<C, Notifier> {
        Driver::new(device, Link::open(self.words(0), self.words(1), SILENT, PROTOCOL, VERSION).unwrap())
    }

    fn client(&self) -> Link<Request, Block, Notifier> {
        Link::open(self.words(1), self.words(0), SILENT, PROTOCOL, VERSION).unwrap()
    }
}

fn start(number: u64) -> Request {
    Request { kind: request::START, number }
}

fn take(client: &mut Link<Request, Block, Notifier>) -> Vec<Block> {
    let _ = client.poll();
    std::iter::from_fn(|| client.pop().ok().flatten()).collect()
}

#[test]
fn a_clip_arrives_whole_and_in_time() {
    let memory = Memory::new();
    let mut driver = memory.driver(ClipDevice::new(Some(counting(1000))));
    let mut client = memory.client();
    assert!(!driver.turn(0), "it waits for a start");
    client.poll().unwrap();
    client.push(&start(0)).unwrap();
    assert!(driver.turn(10));
    let (mut samples, mut end) = (Vec::new(), None);
    for tick in 1..10 {
        driver.turn(10 + tick * BLOCK_NS + 5);
        for block in take(&mut client) {
            if block.kind == kind::END {
                end = Some((tick, block.first));
                continue;
            }
            assert_eq!((block.first, block.taken_ns), ((tick - 1) * BLOCK as u64, 10 + tick * BLOCK_NS));
            samples.extend(block.samples);
        }
    }
    assert_eq!(end, Some((5, 4 * BLOCK as u64)));
    assert_eq!(samples.len(), 4 * BLOCK);
    assert!(samples[..1000].iter().enumerate().all(|(number, sample)| *sample == number as i16));
    assert!(samples[1000..].iter().all(|sample| *sample == 0));
    assert_eq!(driver.counts(), Counts { sent: 4 * BLOCK as u64, ..Counts::default() });
}

#[test]
fn a_client_that_takes_nothing_loses_and_is_told() {
    let memory = Memory::new();
    let mut driver = memory.driver(ClipDevice::new(Some(counting(30_000))));
    let mut client = memory.client();
    driver.turn(0);
    client.poll().unwrap();
    client.push(&start(0)).unwrap();
    for tick in 0..=10 {
        driver.turn(tick * BLOCK_NS);
    }
    let lost = (10 - SLOTS) * BLOCK;
    assert_eq!(driver.counts().dropped, lost as u64);
    assert_eq!(take(&mut client).len(), SLOTS);
    driver.turn(11 * BLOCK_NS);
    let blocks = take(&mut client);
    assert_eq!((blocks.len(), blocks[0].first, blocks[0].dropped), (1, 10 * BLOCK as u64, lost as u64));
}

#[test]
fn a_driver_that_comes_late_counts_what_the_device_overwrote() {
    let memory = Memory::new();
    let mut driver = memory.driver(ClipDevice::new(Some(counting(30_000))));
    let mut client = memory.client();
    driver.turn(0);
    client.poll().unwrap();
    client.push(&start(0)).unwrap();
    driver.turn(0);
    driver.turn(50 * BLOCK_NS);
    let blocks = take(&mut client);
    assert_eq!(blocks[0].first, (50 - DEPTH) * BLOCK as u64);
    assert_eq!(blocks[0].overrun, (50 - DEPTH) * BLOCK as u64);
}

#[test]
fn without_a_clip_there_is_an_end() {
    let memory = Memory::new();
    let mut driver = memory.driver(ClipDevice::new(None));
    let mut client = memory.client();
    driver.turn(0);
    client.poll().unwrap();
    client.push(&start(77)).unwrap();
    assert!(driver.turn(1));
    assert!(!driver.turn(1 + BLOCK_NS));
    let blocks = take(&mut client);
    assert_eq!((blocks.len(), blocks[0].kind, blocks[0].first), (1, kind::END, 77));
    // It can be asked again.
    client.push(&start(0)).unwrap();
    driver.turn(2 * BLOCK_NS);
    driver.turn(3 * BLOCK_NS);
    assert_eq!(take(&mut client).len(), 1);
}

#[test]
fn an_end_waits_for_room() {
    let memory = Memory::new();
    let mut driver = memory.driver(ClipDevice::new(Some(counting((SLOTS * BLOCK) as u32))));
    let mut client = memory.client();
    driver.turn(0);
    client.poll().unwrap();
    client.push(&start(0)).unwrap();
    for tick in 0..=SLOTS as u64 + 1 {
        driver.turn(tick * BLOCK_NS);
    }
    assert_eq!(take(&mut client).len(), SLOTS);
    driver.turn(9 * BLOCK_NS);
    assert_eq!(take(&mut client)[0].kind, kind::END);
}

#[test]
fn the_source_runs_on_while_the_client_restarts() {
    let memory = Memory::new();
    let mut driver = memory.driver(ClipDevice::new(Some(counting(30_000))));
    let mut client = memory.client();
    driver.turn(0);
    client.poll().unwrap();
    client.push(&start(0)).unwrap();
    driver.turn(0);
    driver.turn(2 * BLOCK_NS);
    let mut client = memory.client();
    client.poll().unwrap();
    client.push(&start(0)).unwrap();
    driver.turn(3 * BLOCK_NS);
    driver.turn(4 * BLOCK_NS);
    let blocks = take(&mut client);
    assert_eq!(blocks.last().unwrap().first, 3 * BLOCK as u64, "not from the start");
}

#[test]
fn a_new_driver_goes_on_where_the_client_was() {
    let memory = Memory::new();
    let mut driver = memory.driver(ClipDevice::new(Some(counting(30_000))));
    let mut client = memory.client();
    driver.turn(0);
    client.poll().unwrap();
    client.push(&start(0)).unwrap();
    driver.turn(0);
    driver.turn(2 * BLOCK_NS);
    assert_eq!(take(&mut client).len(), 2);
    let mut driver = memory.driver(ClipDevice::new(Some(counting(30_000))));
    driver.turn(3 * BLOCK_NS);
    assert_eq!(client.poll(), Ok(true));
    client.push(&start(2 * BLOCK as u64)).unwrap();
    driver.turn(3 * BLOCK_NS);
    driver.turn(4 * BLOCK_NS);
    let blocks = take(&mut client);
    assert_eq!((blocks.len(), blocks[0].first, blocks[0].samples[0]), (1, 640, 640));
}

/// A device whose counts make no sense, or that overwrites while it is read.
struct Broken {
    filled: u64,
    answer: Period,
    reads: usize,
}

impl Capture for Broken {
    fn start(&mut self, _: u64, _: u64) {}
    fn stop(&mut self) {}
    fn filled(&mut self, _: u64) -> u64 {
        self.filled
    }
    fn depth(&self) -> u64 {
        DEPTH
    }
    fn read(&mut self, _: u64, _: &mut [i16; BLOCK]) -> Period {
        self.reads += 1;
        self.answer
    }
}

proptest! {
    /// Whatever device and client say, a turn is short, and each sample is handed on, dropped or overrun.
    #[test]
    fn turns_are_bounded_and_everything_is_counted(
        filled in prop::collection::vec(0u64..1 << 40, 1..20),
        requests in prop::collection::vec((0u64..4, any::<u64>()), 0..40),
        overwritten in any::<bool>(),
    ) {
        let memory = Memory::new();
        let answer = if overwritten { Period::Overwritten } else { Period::Samples { taken_ns: 0 } };
        let mut driver = memory.driver(Broken { filled: 0, answer, reads: 0 });
        let mut client = memory.client();
        driver.turn(0);
        client.poll().unwrap();
        client.push(&start(0)).unwrap();
        driver.turn(0);
        let mut requests = requests.into_iter();
        for filled in filled {
            if let Some((kind, number)) = requests.next() {
                let _ = client.push(&Request { kind, number });
            }
            let (before, counts) = (driver.device().reads, driver.counts());
            driver.device().filled = filled;
            let running = driver.turn(filled);
            prop_assert!(driver.device().reads - before <= DEPTH as usize);
            let after = driver.counts();
            prop_assert!(after.sent >= counts.sent && after.dropped >= counts.dropped && after.overrun >= counts.overrun);
            prop_assert!(running || after.sent + after.dropped - counts.sent - counts.dropped == 0);
        }
    }
}
