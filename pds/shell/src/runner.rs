//! The shell's end of the link to the model runner: each job has its tensors in a part of the shared region of its own.

use crate::world::{Order, RunnerReply, SubmitError};
use core::ops::Range;
use core::sync::atomic::{AtomicU8, Ordering};
use heapless::Vec;
use protocols::model::{JobResult, MAX_JOBS, Reply, Request, TENSOR_ALIGN, kind};
use ring::{Link, Notify, Span};

/// Nanoseconds after which the runner gives a job up that runs once.
const DEADLINE_NS: u64 = 8_000_000_000;

/// A link to the model runner and the region that both map.
pub struct Runner<'a, N> {
    link: Link<Request, Reply, N>,
    data: &'a [AtomicU8],
    /// The jobs that have not ended.
    held: Vec<Held, MAX_JOBS>,
}

/// A job and its part of the region.
struct Held {
    job: u32,
    part: Range<usize>,
}

impl<'a, N: Notify> Runner<'a, N> {
    /// An idle one.
    pub fn new(link: Link<Request, Reply, N>, data: &'a [AtomicU8]) -> Self {
        Self { link, data, held: Vec::new() }
    }

    /// Puts the input in a place of its own and submits the job.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub fn submit(&mut self, order: &Order<'_>) -> Result<(), SubmitError> {
        let align = |bytes: usize| bytes.next_multiple_of(TENSOR_ALIGN as usize);
        let output_at = align(order.input.len());
        let bytes = output_at + align(order.output_bytes);
        if bytes > self.data.len() {
            return Err(SubmitError::TooLarge);
        }
        let start = self.gap(bytes).filter(|_| !self.held.is_full()).ok_or(SubmitError::Busy)?;
        for (to, byte) in self.data[start..].iter().zip(order.input) {
            to.store(*byte, Ordering::Relaxed);
        }
        let input = Span { offset: start as u32, bytes: order.input.len() as u32 };
        let output = Span { offset: (start + output_at) as u32, bytes: order.output_bytes as u32 };
        let (deadline_ns, period_ns) =
            if order.period_us == 0 { (DEADLINE_NS, 0) } else { (0, order.period_us.saturating_mul(1_000)) };
        let request = Request::submit(order.job, order.model, input, output, deadline_ns).every(period_ns);
        if !self.ask(request) {
            return Err(SubmitError::NoRunner);
        }
        // There is room.
        let _ = self.held.push(Held { job: order.job, part: start..start + bytes });
        Ok(())
    }

    /// The lowest place for `bytes` bytes beside those of the jobs that have not ended.
    fn gap(&self, bytes: usize) -> Option<usize> {
        let starts = core::iter::once(0).chain(self.held.iter().map(|held| held.part.end));
        let fits = |start: &usize| {
            let end = start + bytes;
            end <= self.data.len() && self.held.iter().all(|held| end <= held.part.start || held.part.end <= *start)
        };
        starts.filter(fits).min()
    }

    /// Sends a request. False if that is not possible now.
    pub fn ask(&mut self, request: Request) -> bool {
        self.join();
        self.link.is_connected() && self.link.push(&request).is_ok()
    }

    /// Joins a runner that came up, or came up anew. True if it did, or if it is not understood.
    fn join(&mut self) -> bool {
        let joined = self.link.poll() != Ok(false);
        if joined {
            // The jobs of the old session are gone, and with them their hold on the tensors.
            self.held.clear();
        }
        joined
    }

    /// The next reply, or that the runner restarted.
    pub fn reply(&mut self) -> Option<RunnerReply> {
        if self.join() {
            return Some(RunnerReply::Restarted);
        }
        let reply = self.link.pop().ok()??;
        if reply.kind == kind::SUBMIT {
            self.held.retain(|held| held.job != reply.job);
        }
        Some(RunnerReply::Reply(reply))
    }

    /// Copies the output that `result` names, as much of it as lies in the region and as there is room for.
    pub fn output(&self, result: &JobResult, into: &mut [u8]) -> usize {
        let from = self.data.get(result.output.offset as usize..).unwrap_or(&[]);
        let from = &from[..from.len().min(result.output.bytes as usize)];
        for (to, byte) in into.iter_mut().zip(from) {
            *to = byte.load(Ordering::Relaxed);
        }
        from.len().min(into.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicU64;
    use protocols::model;
    use ring::{Words, region_bytes};

    type Server = Link<Reply, Request, fn()>;

    fn memory(bytes: usize) -> &'static [AtomicU64] {
        (0..bytes.div_ceil(8)).map(|_| AtomicU64::new(0)).collect::<std::vec::Vec<_>>().leak()
    }

    fn pair() -> (Runner<'static, fn()>, Server) {
        let size = region_bytes(4, 96);
        let (one, two) = (memory(size), memory(size));
        let (near, far) = (Words::from_static(one), Words::from_static(two));
        let quiet: fn() = || {};
        let client = Link::open(near.clone(), far.clone(), quiet, model::PROTOCOL, model::VERSION).unwrap();
        let mut server = Server::open(far, near, quiet, model::PROTOCOL, model::VERSION).unwrap();
        let data: &[AtomicU8] = (0..64).map(|_| AtomicU8::new(0)).collect::<std::vec::Vec<_>>().leak();
        let mut runner = Runner::new(client, data);
        assert_eq!(runner.reply(), Some(RunnerReply::Restarted));
        assert_eq!(server.poll(), Ok(true));
        (runner, server)
    }

    fn order(job: u32, input: &[u8]) -> Order<'_> {
        Order { job, model: 0, input, output_bytes: 2, period_us: 0 }
    }

    #[test]
    fn the_tensors_belong_to_a_job_until_it_ends() {
        let (mut runner, mut server) = pair();
        runner.submit(&order(1, b"abc")).unwrap();
        runner.submit(&Order { period_us: 5, ..order(2, b"abc") }).unwrap();
        let [first, second] = [(); 2].map(|()| server.pop().unwrap().unwrap());
        assert_eq!((first.input, first.output), (Span { offset: 0, bytes: 3 }, Span { offset: 16, bytes: 2 }));
        assert_eq!((second.input.offset, second.period_ns), (32, 5_000));
        assert_eq!(runner.submit(&order(3, b"abc")), Err(SubmitError::Busy));
        runner.data[17].store(9, Ordering::Relaxed);
        let result = JobResult { output: first.output, ..JobResult::default() };
        let reply = Reply::new(&first, model::code::DONE).with_body(&result);
        server.push(&reply).unwrap();
        assert_eq!(runner.reply(), Some(RunnerReply::Reply(reply)));
        let mut output = [7; 4];
        assert_eq!((runner.output(&result, &mut output), output), (2, [0, 9, 7, 7]));
        // A run of a periodic job is not its end.
        let run = Reply { kind: kind::RUN, ..Reply::new(&second, model::code::DONE) };
        server.push(&run).unwrap();
        assert_eq!(runner.reply(), Some(RunnerReply::Reply(run)));
        runner.submit(&order(4, b"abc")).unwrap();
        assert_eq!(server.pop().unwrap().unwrap().input.offset, 0);
        assert_eq!(runner.submit(&order(5, b"abc")), Err(SubmitError::Busy));
    }

    #[test]
    fn tensors_and_outputs_stay_in_the_region() {
        let (mut runner, _) = pair();
        assert_eq!(runner.submit(&order(1, &[0; 60])), Err(SubmitError::TooLarge));
        let anywhere = |offset, bytes| JobResult { output: Span { offset, bytes }, ..JobResult::default() };
        assert_eq!(runner.output(&anywhere(u32::MAX, u32::MAX), &mut [0; 8]), 0);
        assert_eq!(runner.output(&anywhere(62, 8), &mut [0; 8]), 2);
    }

    #[test]
    fn a_runner_that_is_not_there_takes_nothing() {
        let size = region_bytes(4, 96);
        let (near, far) = (Words::from_static(memory(size)), Words::from_static(memory(size)));
        let quiet: fn() = || {};
        let link = Link::open(near, far, quiet, model::PROTOCOL, model::VERSION).unwrap();
        let data: &[AtomicU8] = (0..64).map(|_| AtomicU8::new(0)).collect::<std::vec::Vec<_>>().leak();
        assert_eq!(Runner::new(link, data).submit(&order(1, b"abc")), Err(SubmitError::NoRunner));
    }
}
