//! The model runner's operator and parent. Jobs are cancelled and given up while they run, come at their times, share the
//! processor with a flood, and end with the runner when that is restarted; in between, its outputs are the reference's.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU8, Ordering};

use protocols::model::{self, ClientInfo, JobResult, Reply, Request, WINDOW_NS, code, kind};
use protocols::model_pack::{ModelPack, Sample};
use protocols::timer::Timer;
use ring::{Link, Span};
use sel4_microkit::counters::rdinstret;
use sel4_microkit::{Channel, Child, ENTRY, NullHandler, memory_region_symbol, protection_domain, var};
use test_pds::{raw, say, shared, verdict};

const FLOODER: Channel = Channel::new(0);
const RUNNER: Child = Child::new(0);
const US: u64 = 1_000;
const MS: u64 = 1_000_000;
/// Instructions within which a running job stops, wherever it is.
const STOP_BOUND: u64 = 120_000;
/// What an output holds before the job, so that one that is not written does not look right.
const RUBBISH: u8 = 0x55;

struct Judge {
    link: Link<Request, Reply>,
    data: &'static [AtomicU8],
    timer: Timer,
    model: u32,
    sample: Sample<'static>,
    expired: bool,
}

#[protection_domain(stack_size = 0x8000)]
fn init() -> NullHandler {
    verdict::become_judge();
    let pack = memory_region_symbol!(model_pack: *mut u8);
    // SAFETY: the composer maps a region of this size there for as long as the program runs, and nobody writes it.
    let pack: &'static [u8] = unsafe { core::slice::from_raw_parts(pack.as_ptr(), *var!(model_pack_size: usize = 0)) };
    let data = memory_region_symbol!(models_data: *mut AtomicU8);
    // SAFETY: as above, but writable by this program and the model runner; this one only uses it by atomic bytes.
    let data = unsafe { core::slice::from_raw_parts(data.as_ptr(), *var!(models_data_size: usize = 0)) };
    let link = ring::link!(models: Request, Reply, model::PROTOCOL, model::VERSION);
    let link = link.expect("a link").expect("the link is wired");
    let timer = protocols::timer!(timer_channel).expect("the timer is wired");
    let pack = ModelPack::parse(pack).expect("a pack of models");
    let (model, packed) = pack.by_name("digits").expect("the digits model");
    let sample = packed.sample(0).expect("it has samples");
    let mut judge = Judge { link, data, timer, model: model as u32, sample, expired: false };
    judge.join();
    judge.cancels();
    judge.deadlines();
    judge.periods();
    judge.flood();
    judge.garbage();
    judge.restarts();
    verdict::pass()
}

impl Judge {
    /// Waits until the runner is there, anew.
    fn join(&mut self) {
        while !self.link.poll().expect("the runner keeps to the protocol") {
            raw::wait_input();
        }
    }

    fn wait(&mut self) {
        let channels = raw::wait_input();
        assert!(channels >> 62 == 0, "a fault of the model runner");
        if channels & 1 << self.timer.transport().channel() != 0 {
            self.expired |= self.timer.take_expired().expect("expiries").count(0) > 0;
        }
    }

    /// The next reply, or none once the timer has expired.
    fn reply(&mut self) -> Option<Reply> {
        loop {
            assert!(!self.link.poll().expect("the runner keeps to the protocol"), "the runner restarted by itself");
            if let Some(reply) = self.link.pop().expect("a reply") {
                return Some(reply);
            }
            if core::mem::take(&mut self.expired) {
                return None;
            }
            self.wait();
        }
    }

    fn pass(&mut self, ns: u64) {
        self.timer.set_after(0, ns).expect("a timer");
        self.expired = false;
    }

    fn push(&mut self, request: &Request) {
        assert!(self.link.push(request).is_ok(), "the ring has room");
    }

    /// A job on the sample, with tensors of its own for each number below 8.
    fn job(&self, number: u32) -> Request {
        let start = number * 128;
        let input = Span { offset: start, bytes: self.sample.input.len() as u32 };
        let output = Span { offset: start + 64, bytes: self.sample.output.len() as u32 };
        for (shared, value) in self.data[input.range()].iter().zip(self.sample.input) {
            shared.store(*value, Ordering::Relaxed);
        }
        self.data[output.range()].iter().for_each(|shared| shared.store(RUBBISH, Ordering::Relaxed));
        Request::submit(number, self.model, input, output, 0)
    }

    /// Takes the reply of a job that must be done, with the reference's output.
    fn done(&mut self, number: u32) -> JobResult {
        let reply = self.reply().expect("a reply in time");
        assert_eq!((reply.job, reply.code), (number, code::DONE), "{}", code::text(reply.code));
        let result: JobResult = reply.body();
        let output = self.data[result.output.range()].iter().map(|shared| shared.load(Ordering::Relaxed));
        assert!(output.eq(self.sample.output.iter().copied()), "the output is not the reference's");
        result
    }

    fn run(&mut self) -> JobResult {
        let request = self.job(0);
        self.push(&request);
        self.pass(500 * MS);
        self.done(0)
    }

    fn client_info(&mut self, slot: u32) -> ClientInfo {
        self.push(&Request::ask(kind::CLIENT_INFO, 99, slot));
        self.pass(500 * MS);
        let reply = self.reply().expect("an answer in time");
        assert_eq!((reply.kind, reply.code), (kind::CLIENT_INFO, code::DONE));
        reply.body()
    }

    /// A running job is cancelled, at moments all over it.
    fn cancels(&mut self) {
        let whole = self.run().took_ns();
        let (mut count, mut slowest) = (0u64, 0);
        for after_ns in (50 * US..whole - 100 * US).step_by(37_000) {
            let request = self.job(1);
            self.push(&request);
            self.pass(after_ns);
            assert_eq!(self.reply(), None, "it still runs after {after_ns} ns of {whole}");
            let start = rdinstret();
            self.push(&Request::ask(kind::CANCEL, 1, 0));
            self.pass(100 * MS);
            let mut codes = [0; 2];
            for told in &mut codes {
                let reply = self.reply().expect("an answer in time");
                *told = if reply.kind == kind::SUBMIT { reply.code } else { 100 + reply.code };
            }
            slowest = slowest.max(rdinstret() - start);
            assert!(codes.contains(&code::CANCELLED) && codes.contains(&(100 + code::DONE)), "{codes:?}");
            count += 1;
        }
        say!("{count} jobs cancelled while it ran, each within {slowest} instructions");
        assert!(slowest <= STOP_BOUND);
        self.run();
    }

    /// A running job's deadline passes, at moments all over it.
    fn deadlines(&mut self) {
        let whole = self.run().took_ns();
        let (mut count, mut latest) = (0u64, 0);
        for deadline_ns in (50 * US..whole - 100 * US).step_by(37_000) {
            let request = Request { deadline_ns, ..self.job(2) };
            self.push(&request);
            self.pass(100 * MS);
            let reply = self.reply().expect("an end in time");
            assert_eq!(reply.code, code::TIMED_OUT, "{deadline_ns}");
            let result: JobResult = reply.body();
            latest = latest.max(result.finished_ns - result.queued_ns - deadline_ns);
            count += 1;
        }
        // One instruction is one nanosecond.
        say!("{count} jobs given up at its deadline, at most {latest} ns after it");
        assert!(latest <= STOP_BOUND);
        self.run();
    }

    /// A periodic job runs at its times, beside others.
    fn periods(&mut self) {
        const PERIOD_NS: u64 = 20 * MS;
        let request = Request { priority: 1, ..self.job(3).every(PERIOD_NS) };
        self.push(&request);
        let (mut first, mut runs, mut latest) = (0, 0, 0);
        while runs < 20 {
            // Something else is always under way.
            let other = Request { priority: 0, ..self.job(4) };
            self.push(&other);
            self.pass(500 * MS);
            loop {
                let reply = self.reply().expect("a reply in time");
                let result: JobResult = reply.body();
                assert_eq!(reply.code, code::DONE);
                if reply.kind != kind::RUN {
                    break;
                }
                first = if runs == 0 { result.queued_ns } else { first };
                assert_eq!(result.queued_ns, first + runs * PERIOD_NS, "released on time, without drift");
                assert_eq!((u64::from(result.run), result.missed), (runs + 1, 0));
                latest = latest.max(result.started_ns - result.queued_ns);
                runs += 1;
            }
        }
        self.push(&Request::ask(kind::CANCEL, 3, 0));
        self.pass(100 * MS);
        let mut ended = 0;
        while let Some(reply) = self.reply() {
            ended += u32::from(reply.kind == kind::SUBMIT && reply.code == code::CANCELLED);
        }
        assert_eq!(ended, 1);
        say!("periodic: {runs} runs on time, started at most {latest} ns after their release");
        assert!(latest <= 2 * MS, "it waits for the end of an operator of the other");
    }

    /// Another client wants everything, at the highest priority.
    fn flood(&mut self) {
        let alone_ns = self.run().took_ns();
        let before = self.client_info(1);
        shared()[1].store(u64::from(self.model), Ordering::Relaxed);
        shared()[0].store(1, Ordering::Relaxed);
        FLOODER.notify();
        let mut slowest = 0;
        for _ in 0..20 {
            self.pass(17 * MS);
            assert_eq!(self.reply(), None);
            let result = self.run();
            slowest = slowest.max(result.finished_ns - result.queued_ns);
        }
        shared()[0].store(0, Ordering::Relaxed);
        self.pass(100 * MS);
        assert_eq!(self.reply(), None);
        let after = self.client_info(1);
        let (done, refused) = (after.done - before.done, after.refused - before.refused);
        say!(
            "flood: {done} jobs and {refused} refusals of the flooder; the other waits {slowest} ns at most, {alone_ns} alone"
        );
        assert!(done > 50 && refused > 50);
        // Half a window belongs to each; the flooder's may come first.
        assert!(slowest <= WINDOW_NS / 2 + 2 * alone_ns);
    }

    /// The other client's ring makes no sense at all.
    fn garbage(&mut self) {
        shared()[0].store(2, Ordering::Relaxed);
        for round in 0..50 {
            shared()[2].store(round, Ordering::Relaxed);
            FLOODER.notify();
            self.run();
        }
        let info = self.client_info(1);
        say!("garbage: counted {} times, {} requests refused", info.misbehaved, info.refused);
        assert!(info.misbehaved > 0);
        shared()[0].store(0, Ordering::Relaxed);
    }

    /// The runner is restarted in the middle of a job, with a periodic one beside.
    fn restarts(&mut self) {
        const RESTARTS: u64 = 40;
        for round in 0..RESTARTS {
            let (periodic, once) = (self.job(5).every(5 * MS), self.job(6));
            self.push(&periodic);
            self.push(&once);
            self.pass(100 * US + round * 61 * US);
            while self.reply().is_some() {}
            RUNNER.restart(ENTRY).expect("a child");
            self.join();
            assert_eq!(self.link.pop(), Ok(None), "a session begins without a word of the old one");
            // The buffers of the lost jobs are free again, and so are their numbers.
            self.run();
        }
        self.pass(50 * MS);
        assert_eq!(self.reply(), None, "the periodic job is gone");
        say!("{RESTARTS} restarts, each amid jobs, each with an end for all to see");
    }
}
