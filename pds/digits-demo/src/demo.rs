//! The jobs: which scan is where, what came back, what is tried again.

use core::sync::atomic::{AtomicU8, Ordering};

use protocols::console::{Lines, Outbox};
use protocols::model::{JobResult, Reply, Request, TENSOR_ALIGN, code, kind};
use protocols::model_pack::{PackedModel, Sample};
use ring::{Link, Notify, PushError, Span};

use crate::report::Tally;

/// Jobs that are under way at once.
pub const LANES: usize = 4;
/// How often a scan is submitted before it counts as failed.
const MAX_TRIES: u32 = 5;
/// How long a job may take, in nanoseconds. An inference takes a few milliseconds of processor time.
const DEADLINE_NS: u64 = 5_000_000_000;

/// A place in the data region with room for one input and one output, and the scan that is there.
#[derive(Clone, Copy, Debug)]
struct Lane {
    scan: Option<usize>,
    /// The job number under which it was submitted, unless it still has to be.
    job: Option<u32>,
    tries: u32,
}

/// The demo.
pub struct Demo<'a> {
    model: PackedModel<'a>,
    /// The model's place in the pack.
    index: u32,
    /// Memory shared with the runner.
    data: &'a [AtomicU8],
    lanes: [Lane; LANES],
    /// The next scan that no lane has had yet.
    next_scan: usize,
    next_job: u32,
    sessions: u32,
    tally: Tally<'a>,
    /// Lines of the report that are printed.
    printed: usize,
}

impl<'a> Demo<'a> {
    /// The demo of `model`, which is number `index` of the pack, over the data region `data`.
    pub fn new(model: PackedModel<'a>, index: usize, data: &'a [AtomicU8]) -> Self {
        let lane = Lane { scan: None, job: None, tries: 0 };
        Demo {
            model,
            index: index as u32,
            data,
            lanes: [lane; LANES],
            next_scan: 0,
            next_job: 0,
            sessions: 0,
            tally: Tally::new(model),
            printed: 0,
        }
    }

    /// Does all that can be done now: takes results, submits scans, prints. True when the last line is printed.
    pub fn turn<N: Notify>(
        &mut self,
        link: &mut Link<Request, Reply, N>,
        lines: &mut Lines,
        console: &mut impl Outbox,
    ) -> bool {
        // A peer with a wrong header, or one that restarts right now, is silent until `poll` joins it anew.
        if link.poll().unwrap_or(false) {
            self.rejoin();
        }
        while let Ok(Some(reply)) = link.pop() {
            self.take(&reply);
        }
        self.submit(link);
        if self.lanes.iter().any(|lane| lane.scan.is_some()) {
            return false;
        }
        while self.printed < self.tally.lines() && lines.has_room(console) {
            self.tally.print(self.printed, lines, console);
            self.printed += 1;
        }
        self.printed == self.tally.lines()
    }

    /// The runner came up. If it had been up before it knows none of the jobs, so all are submitted again; if not, it
    /// finds what was pushed while it was not there yet.
    fn rejoin(&mut self) {
        self.sessions += 1;
        self.tally.restarts = self.sessions - 1;
        if self.sessions == 1 {
            return;
        }
        for lane in &mut self.lanes {
            lane.job = None;
        }
    }

    fn take(&mut self, reply: &Reply) {
        let lane = self.lanes.iter().position(|lane| reply.kind == kind::SUBMIT && lane.job == Some(reply.job));
        // A reply that belongs to nothing: an old job's, or nonsense.
        let Some(lane) = lane else { return };
        self.lanes[lane].job = None;
        let Some((scan, sample)) = self.sample(lane) else { return };
        if reply.code == code::DONE {
            let mut output = [0; 16];
            let (_, span) = self.spans(lane, &sample);
            if let Some(output) = output.get_mut(..sample.output.len()) {
                for (value, shared) in output.iter_mut().zip(self.data.get(span.range()).unwrap_or_default()) {
                    *value = shared.load(Ordering::Relaxed);
                }
                self.tally.add(scan, &sample, output, &reply.body::<JobResult>());
            }
            self.lanes[lane] = Lane { scan: None, job: None, tries: 0 };
            return;
        }
        // The accelerator may fail in a job, and does the next one.
        let accelerator_failed = matches!(reply.code, code::CRASHED | code::HUNG | code::LOST);
        let full = matches!(reply.code, code::TIMED_OUT | code::QUEUE_FULL | code::BUFFER_IN_USE | code::JOB_EXISTS);
        let again = accelerator_failed || full;
        if again && self.lanes[lane].tries < MAX_TRIES {
            self.tally.retries += 1;
        } else {
            self.tally.fail(reply.code);
            self.lanes[lane] = Lane { scan: None, job: None, tries: 0 };
        }
    }

    fn sample(&self, lane: usize) -> Option<(usize, Sample<'a>)> {
        let scan = self.lanes[lane].scan?;
        Some((scan, self.model.sample(scan)?))
    }

    /// Where input and output of a lane lie.
    fn spans(&self, lane: usize, sample: &Sample<'_>) -> (Span, Span) {
        let align = |bytes: usize| (bytes as u32).next_multiple_of(TENSOR_ALIGN);
        let (input, output) = (sample.input.len(), sample.output.len());
        let start = lane as u32 * (align(input) + align(output));
        (Span { offset: start, bytes: input as u32 }, Span { offset: start + align(input), bytes: output as u32 })
    }

    /// Submits what waits in the lanes, after giving free lanes the next scans.
    fn submit<N: Notify>(&mut self, link: &mut Link<Request, Reply, N>) {
        for lane in 0..LANES {
            if self.lanes[lane].scan.is_none() && self.next_scan < self.model.samples() {
                self.lanes[lane] = Lane { scan: Some(self.next_scan), job: None, tries: 0 };
                self.next_scan += 1;
            }
            if self.lanes[lane].job.is_some() {
                continue;
            }
            let Some((_, sample)) = self.sample(lane) else { continue };
            let (input, output) = self.spans(lane, &sample);
            // A region that is too small is what the runner will say; nothing is written then.
            for (shared, value) in self.data.get(input.range()).unwrap_or_default().iter().zip(sample.input) {
                shared.store(*value, Ordering::Relaxed);
            }
            // An output that is never written must not look like a right one.
            for shared in self.data.get(output.range()).unwrap_or_default() {
                shared.store(0x55, Ordering::Relaxed);
            }
            match link.push(&Request::submit(self.next_job, self.index, input, output, DEADLINE_NS)) {
                Ok(()) => {
                    self.lanes[lane].job = Some(self.next_job);
                    self.lanes[lane].tries += 1;
                    self.next_job = self.next_job.wrapping_add(1);
                }
                // The runner notifies when there is room, or when it is back.
                Err(PushError::Full | PushError::Link(_)) => return,
            }
        }
    }
}
