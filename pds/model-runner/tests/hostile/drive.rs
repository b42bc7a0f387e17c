//! A runner that hears anything: bytes decide what two clients ask, what one writes into its ring, and when time passes.
//! The property tests and the fuzz target share it.

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use model_runner::engine::{Engine, Outcome, Progress, Spent, Task, Ticket, Watch};
use model_runner::region::DataRegion;
use model_runner::{Clock, Infos, Runner};
use protocols::model::{MAX_CLIENTS, MAX_JOBS, ModelInfo, PROTOCOL, Reply, Request, TENSOR_ALIGN, VERSION};
use ring::{Link, Span, Words, region_bytes};
use zerocopy::{FromBytes, FromZeros};

/// Bytes of a client's region.
const DATA_BYTES: usize = 1024;
/// Bytes of one thing that happens: what it is, to whom, and a request.
pub const EVENT_BYTES: usize = 64;
/// Turns after which a runner that still has something to do does not end.
const MOST_LOOKS: u64 = 1_000_000;

type Notifier = fn();

/// Time that passes when somebody looks; it ends, so that a runner which never rests is found out.
#[derive(Clone, Default)]
struct Time(Rc<Cell<u64>>, Rc<Cell<u64>>);

impl Clock for Time {
    fn now_ns(&self) -> u64 {
        self.0.set(self.0.get() + 10);
        self.1.set(self.1.get() + 1);
        assert!(self.1.get() < MOST_LOOKS, "the runner comes to rest");
        self.0.get()
    }
    fn instructions(&self) -> u64 {
        self.0.get()
    }
}

/// Checks what it is given, and takes a few steps for it.
#[derive(Default)]
struct Strict(RefCell<Vec<(Task, u32)>>);

impl Engine for Strict {
    fn runs(&self, _: usize, model: usize) -> bool {
        model < 2
    }
    fn has_room(&self, _: usize) -> bool {
        self.0.borrow().len() < 3
    }
    fn begin(&mut self, task: &Task) {
        let mut active = self.0.borrow_mut();
        assert!(active.len() < 3 && task.client < 2 && task.model < 2);
        let mut spans = vec![task.input, task.output];
        for (other, _) in active.iter().filter(|(other, _)| other.client == task.client) {
            spans.extend([other.input, other.output]);
        }
        let ends = |span: &Span| u64::from(span.offset) + u64::from(span.bytes);
        for (index, span) in spans.iter().enumerate() {
            assert!(ends(span) <= DATA_BYTES as u64 && span.bytes > 0, "inside the region");
            assert!(span.offset.is_multiple_of(TENSOR_ALIGN), "aligned");
            let apart = |other: &Span| ends(span) <= other.offset.into() || ends(other) <= span.offset.into();
            assert!(spans[..index].iter().all(apart), "no two overlap: {spans:?}");
        }
        assert_eq!((task.input.bytes, task.output.bytes), (64, 10), "the model's sizes");
        active.push((*task, 3));
    }
    fn step(&mut self, ticket: Ticket, watch: &mut dyn Watch) -> Progress {
        let stop = watch.look().is_break();
        let mut active = self.0.borrow_mut();
        let index = active.iter().position(|(task, _)| task.ticket == ticket).expect("an active job");
        active[index].1 -= 1;
        let outcome = match active[index].1 {
            _ if stop => Outcome::Stopped,
            0 => Outcome::Done,
            _ => return Progress::Working(Spent { ns: 100, ..Spent::default() }),
        };
        active.swap_remove(index);
        Progress::Ended(outcome, Spent::default())
    }
    fn stop(&mut self, ticket: Ticket) {
        let mut active = self.0.borrow_mut();
        let index = active.iter().position(|(task, _)| task.ticket == ticket).expect("an active job");
        active[index].1 = 1;
    }
}

fn words(entry_bytes: usize) -> &'static [AtomicU64] {
    Vec::leak((0..region_bytes(16, entry_bytes) / 8).map(|_| AtomicU64::new(0)).collect())
}

/// Gives everything back that [`drive`] borrowed for ever.
struct Memory(Vec<&'static [AtomicU64]>, Vec<&'static mut [u128]>);

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: all were made by `Vec::leak` with length and capacity alike, and the runner and the links that used them
        // are gone.
        unsafe {
            for words in self.0.drain(..) {
                drop(Box::from_raw(std::ptr::from_ref(words).cast_mut()));
            }
            for data in self.1.drain(..) {
                drop(Box::from_raw(std::ptr::from_mut(data)));
            }
        }
    }
}

/// Does what `bytes` say. Panics if the runner does what it must not.
pub fn drive(bytes: &[u8]) {
    let mut memory = Memory(Vec::new(), Vec::new());
    let time = Time::default();
    let mut engine = Strict::default();
    let info = ModelInfo { input_bytes: 64, output_bytes: 10, ..ModelInfo::new_zeroed() };
    let infos: Infos = [Some(info), Some(info), None].into_iter().collect();
    let mut runner = Runner::new(&infos, time.clone(), &mut engine, None, true);
    let mut ends = Vec::new();
    for slot in 0..2 {
        let (own, peer) = (words(size_of::<Request>()), words(size_of::<Reply>()));
        memory.0.extend([own, peer]);
        let data = Vec::leak(vec![0u128; DATA_BYTES / 16]);
        let start = NonNull::new(data.as_mut_ptr().cast()).expect("an address");
        memory.1.push(data);
        // SAFETY: the memory outlives the runner, and nobody else touches it.
        let region = unsafe { DataRegion::new(start, DATA_BYTES) };
        let notifier: Notifier = || {};
        let open = |one, two| (Words::from_static(one), Words::from_static(two));
        let (one, two) = open(peer, own);
        runner.add_client(slot, Link::open(one, two, notifier, PROTOCOL, VERSION).expect("room"), region);
        let (one, two) = open(own, peer);
        let link: Link<Request, Reply, Notifier> = Link::open(one, two, notifier, PROTOCOL, VERSION).expect("room");
        ends.push((link, own));
    }
    for event in bytes.chunks_exact(EVENT_BYTES).take(512) {
        let (link, own) = &mut ends[usize::from(event[1] % 2)];
        let number = u64::from_le_bytes(event[8..16].try_into().expect("8 bytes"));
        match event[0] % 8 {
            0 => {
                let place = usize::from(u16::from_le_bytes([event[2], event[3]])) % own.len();
                own[place].store(number, Ordering::Relaxed);
            }
            1 => time.0.set(time.0.get() + number % 10_000_000),
            2 => {
                let _ = link.poll();
                while let Ok(Some(_)) = link.pop() {}
            }
            3 => {
                let again = [*own, memory.0[2 * usize::from(event[1] % 2) + 1]].map(Words::from_static);
                let [one, two] = again;
                let notifier: Notifier = || {};
                *link = Link::open(one, two, notifier, PROTOCOL, VERSION).expect("room");
            }
            _ => {
                let mut request = Request::read_from_bytes(&event[8..]).expect("as long as a request");
                if event[0] & 0x80 != 0 {
                    // Often one that is nearly right.
                    request.kind %= 9;
                    request.job %= 16;
                    request.model %= 3;
                    request.priority %= 9;
                    (request.input.bytes, request.output.bytes) = (64, 10);
                    request.input.offset = request.input.offset % 70 * 16;
                    request.output.offset = request.output.offset % 280 * 4;
                    request.deadline_ns %= 20_000_000;
                    request.period_ns %= 5_000_000;
                    request.start_ns %= 5_000_000;
                }
                let _ = link.poll();
                let _ = link.push(&request);
            }
        }
        if event[0] & 0x40 != 0 {
            time.1.set(0);
            runner.turn();
        }
    }
    time.1.set(0);
    runner.turn();
    assert!(runner.status().jobs as usize <= MAX_CLIENTS * MAX_JOBS);
}
