//! The shell's end of the link to the model runner: one job at a time, its tensors at the start of the shared region.

use crate::world::{RunnerReply, SubmitError};
use core::sync::atomic::{AtomicU8, Ordering};
use protocols::model::{JobResult, Reply, Request, TENSOR_ALIGN, kind};
use ring::{Link, Notify, Span};

/// Nanoseconds after which the runner gives a job up.
const DEADLINE_NS: u64 = 8_000_000_000;

/// A link to the model runner and the region that both map.
pub struct Runner<'a, N> {
    link: Link<Request, Reply, N>,
    data: &'a [AtomicU8],
    /// The job that has the tensors.
    job: Option<u32>,
}

impl<'a, N: Notify> Runner<'a, N> {
    /// An idle one.
    pub fn new(link: Link<Request, Reply, N>, data: &'a [AtomicU8]) -> Self {
        Self { link, data, job: None }
    }

    /// Puts `input` in its place and submits the job.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub fn submit(&mut self, job: u32, model: u32, input: &[u8], output_bytes: usize) -> Result<(), SubmitError> {
        let output_at = input.len().next_multiple_of(TENSOR_ALIGN as usize);
        if output_at + output_bytes > self.data.len() {
            return Err(SubmitError::TooLarge);
        }
        while self.reply().is_some() {}
        if self.job.is_some() {
            return Err(SubmitError::Busy);
        }
        for (to, byte) in self.data.iter().zip(input) {
            to.store(*byte, Ordering::Relaxed);
        }
        let input = Span { offset: 0, bytes: input.len() as u32 };
        let output = Span { offset: output_at as u32, bytes: output_bytes as u32 };
        if !self.ask(Request::submit(job, model, input, output, DEADLINE_NS)) {
            return Err(SubmitError::NoRunner);
        }
        self.job = Some(job);
        Ok(())
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
            self.job = None;
        }
        joined
    }

    /// The next reply, or that the runner restarted.
    pub fn reply(&mut self) -> Option<RunnerReply> {
        if self.join() {
            return Some(RunnerReply::Restarted);
        }
        let reply = self.link.pop().ok()??;
        if reply.kind == kind::SUBMIT && self.job == Some(reply.job) {
            self.job = None;
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

    #[test]
    fn the_tensors_belong_to_one_job_until_its_reply() {
        let (mut runner, mut server) = pair();
        runner.submit(1, 0, b"abc", 2).unwrap();
        let request = server.pop().unwrap().unwrap();
        assert_eq!((request.input, request.output), (Span { offset: 0, bytes: 3 }, Span { offset: 16, bytes: 2 }));
        assert_eq!(runner.submit(2, 0, b"abc", 2), Err(SubmitError::Busy));
        runner.data[17].store(9, Ordering::Relaxed);
        let result = JobResult { output: request.output, ..JobResult::default() };
        let reply = Reply::new(&request, model::code::DONE).with_body(&result);
        server.push(&reply).unwrap();
        assert_eq!(runner.reply(), Some(RunnerReply::Reply(reply)));
        let mut output = [7; 4];
        assert_eq!((runner.output(&result, &mut output), output), (2, [0, 9, 7, 7]));
        runner.submit(2, 0, b"abc", 2).unwrap();
        // It was given up, and its reply comes late.
        let request = server.pop().unwrap().unwrap();
        server.push(&Reply::new(&request, model::code::CANCELLED)).unwrap();
        runner.submit(3, 0, b"abc", 2).unwrap();
    }

    #[test]
    fn tensors_and_outputs_stay_in_the_region() {
        let (mut runner, _) = pair();
        assert_eq!(runner.submit(1, 0, &[0; 60], 2), Err(SubmitError::TooLarge));
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
        assert_eq!(Runner::new(link, data).submit(1, 0, b"abc", 2), Err(SubmitError::NoRunner));
    }
}
