//! The demo against the real model runner, over real links in the memory of one program, and against a faulty one.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU64};

use digits_demo::Demo;
use model_runner::region::DataRegion;
use model_runner::{Clock, ModelSet, Processor, Runner};
use protocols::console::{FromClient, Lines, Outbox, kind as console_kind};
use protocols::model::{JobResult, PROTOCOL, Reply, Request, VERSION, code};
use protocols::model_pack::{Header, MAGIC, ModelEntry, ModelPack};
use ring::{Link, Words, region_bytes};
use zerocopy::IntoBytes;

type Notifier = fn();
const SILENT: Notifier = || {};
const DATA_BYTES: usize = 4096;

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

/// A console with room for a few entries at a time.
struct Console(Vec<FromClient>, usize);

impl Outbox for Console {
    fn reserve(&mut self, entries: usize) -> bool {
        self.1 >= entries
    }
    fn push(&mut self, entry: FromClient) {
        self.1 -= 1;
        self.0.push(entry);
    }
}

impl Console {
    fn text(&self) -> String {
        let mut text = String::new();
        for entry in self.0.iter().filter(|entry| entry.kind == console_kind::LINE) {
            text += std::str::from_utf8(entry.text()).unwrap();
            if entry.flags & protocols::console::FLAG_LAST != 0 {
                text += "\n";
            }
        }
        text
    }
}

/// The digits model and its first `count` samples, of which `change` may alter the stored outputs.
fn pack(count: usize, change: impl Fn(&mut [u8])) -> &'static [u8] {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ml-runtime/models/digits");
    let file = std::fs::read(format!("{folder}/model.tflite")).unwrap();
    let samples = std::fs::read(format!("{folder}/samples.bin")).unwrap();
    let all = (samples.len() - 24) / 75;
    let mut outputs = samples[24 + 65 * all..][..10 * count].to_vec();
    change(&mut outputs);
    let parts = [&file[..], &samples[24..24 + count], &samples[24 + all..][..64 * count], &outputs];
    let mut bytes = vec![0; 80];
    let mut starts = [0u32; 4];
    for (start, part) in starts.iter_mut().zip(parts) {
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        *start = bytes.len() as u32;
        bytes.extend(part);
    }
    bytes.resize(bytes.len().next_multiple_of(16), 0);
    let mut name = [0; 32];
    name[..6].copy_from_slice(b"digits");
    let entry = ModelEntry {
        name,
        file_at: starts[0],
        file_bytes: file.len() as u32,
        samples: count as u32,
        input_bytes: 64,
        output_bytes: 10,
        labels_at: starts[1],
        inputs_at: starts[2],
        outputs_at: starts[3],
    };
    let header = Header { magic: MAGIC, bytes: bytes.len() as u32, models: 1 };
    bytes[..16].copy_from_slice(header.as_bytes());
    bytes[16..80].copy_from_slice(entry.as_bytes());
    let words = Vec::leak(vec![0u128; bytes.len() / 16]);
    words.as_mut_bytes().copy_from_slice(&bytes);
    words.as_bytes()
}

struct Bench {
    pack: &'static [u8],
    requests: &'static [AtomicU64],
    replies: &'static [AtomicU64],
    data: &'static [AtomicU8],
    demo: Demo<'static>,
    link: Link<Request, Reply, Notifier>,
    lines: Lines,
    console: Console,
}

fn words(entry_bytes: usize) -> &'static [AtomicU64] {
    Vec::leak((0..region_bytes(16, entry_bytes) / 8).map(|_| AtomicU64::new(0)).collect())
}

fn bench(pack: &'static [u8]) -> Bench {
    let (requests, replies) = (words(size_of::<Request>()), words(size_of::<Reply>()));
    let data = Vec::leak((0..DATA_BYTES).map(|_| AtomicU8::new(0)).collect());
    let [own, peer] = [requests, replies].map(Words::from_static);
    let (index, model) = ModelPack::parse(pack).unwrap().by_name("digits").unwrap();
    Bench {
        pack,
        requests,
        replies,
        data,
        demo: Demo::new(model, index, data),
        link: Link::open(own, peer, SILENT, PROTOCOL, VERSION).unwrap(),
        lines: Lines::new(),
        console: Console(Vec::new(), 0),
    }
}

impl Bench {
    /// The runner as it starts.
    fn start_runner(&self) -> Runner<'static, Notifier, NoClock> {
        let models =
            ModelSet::load(self.pack, Vec::leak(vec![0u128; 1 << 14]).as_mut_bytes(), |problem| panic!("{problem}"));
        let infos = models.infos();
        let processor = Box::leak(Box::new(Processor::new(models, NoClock)));
        let mut runner = Runner::new(&infos, NoClock, processor, None, false);
        let start = NonNull::new(self.data.as_ptr().cast::<u8>().cast_mut()).unwrap();
        // SAFETY: the memory is never freed and interior-mutable, and the demo touches it only while the runner does not.
        let region = unsafe { DataRegion::new(start, DATA_BYTES) };
        runner.add_client(1, self.open_runner_end(), region);
        runner
    }

    fn open_runner_end(&self) -> Link<Reply, Request, Notifier> {
        let [own, peer] = [self.replies, self.requests].map(Words::from_static);
        Link::open(own, peer, SILENT, PROTOCOL, VERSION).unwrap()
    }

    /// One turn of the demo, with a console that takes `room` entries.
    fn turn(&mut self, room: usize) -> bool {
        self.console.1 = room;
        self.demo.turn(&mut self.link, &mut self.lines, &mut self.console)
    }

    fn last_line(&self) -> String {
        self.console.text().lines().last().unwrap_or_default().to_owned()
    }
}

#[test]
fn all_scans_pass() {
    let mut bench = bench(pack(450, |_| {}));
    let mut runner = bench.start_runner();
    for _ in 0..1000 {
        if bench.turn(10) {
            break;
        }
        runner.turn();
    }
    let text = bench.console.text();
    println!("{text}");
    assert_eq!(bench.last_line(), "digits: PASS 450 scans, all outputs exact, 99.56 % right");
    assert!(text.contains("digits: 450 of 450 outputs equal the reference bit for bit"));
    assert!(text.contains("0 restarts of the model runner, 0 jobs tried again, 0 failed"));
    assert_eq!(bench.lines.dropped(), 0);
    assert_eq!((runner.status().done, runner.status().bytes_copied), (450, 0));
}

#[test]
fn a_runner_that_restarts_is_joined_again() {
    let mut bench = bench(pack(40, |_| {}));
    let mut runner = bench.start_runner();
    for turn in 0..1000 {
        if bench.turn(10) {
            break;
        }
        // It dies with jobs in its queue: whatever they were, they are submitted again.
        if turn == 3 || turn == 5 {
            runner = bench.start_runner();
        }
        runner.turn();
    }
    assert!(bench.last_line().starts_with("digits: PASS 40 scans"), "{}", bench.console.text());
    assert!(bench.console.text().contains("digits: 2 restarts of the model runner"), "{}", bench.console.text());
}

#[test]
fn a_wrong_bit_fails() {
    let mut bench = bench(pack(20, |outputs| outputs[107] ^= 1));
    let mut runner = bench.start_runner();
    while !bench.turn(10) {
        runner.turn();
    }
    assert!(bench.last_line().starts_with("digits: FAIL 19 of 20 outputs exact"), "{}", bench.last_line());
}

#[test]
fn a_runner_that_refuses_or_lies_fails_with_its_reason() {
    for (answer, reason) in [
        (code::NO_MODEL, "0 of 20 outputs exact, 0.00 % right, 20 without answer: refused: no such model"),
        (code::TIMED_OUT, "20 without answer: the deadline passed"),
        // It says that it is done, and has written nothing.
        (code::DONE, "0 of 20 outputs exact, "),
    ] {
        let mut bench = bench(pack(20, |_| {}));
        let mut peer = bench.open_runner_end();
        for turn in 0.. {
            assert!(turn < 1000);
            if bench.turn(100) {
                break;
            }
            peer.poll().unwrap();
            // An answer to nothing, before the right ones.
            peer.push(&Reply::new(&Request::ask(1, 9999, 0), code::DONE)).unwrap();
            while let Some(request) = peer.pop().unwrap() {
                peer.push(&Reply::new(&request, answer).with_body(&JobResult::default())).unwrap();
            }
        }
        assert!(
            bench.last_line().starts_with("digits: FAIL") && bench.last_line().contains(reason),
            "{}",
            bench.last_line()
        );
    }
}
