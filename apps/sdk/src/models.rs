//! Models that the manifest names, and jobs for them.

use app_abi::info::text;
use app_abi::map;
use app_abi::ring::Reply;
use core::sync::atomic::{AtomicU8, Ordering};

use crate::{App, Error, Event, call};

/// What a model takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Bytes of its input.
    pub input_bytes: usize,
    /// Bytes of its output.
    pub output_bytes: usize,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
}

/// A job that was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job(pub(crate) u32);

impl Job {
    /// Its number, for those who keep it elsewhere.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The job with this number.
    pub fn of_number(number: u32) -> Job {
        Job(number)
    }
}

/// How long a job took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Nanoseconds in the queue.
    pub waited_ns: u64,
    /// Nanoseconds of computing.
    pub compute_ns: u64,
    /// Instructions.
    pub instructions: u64,
}

impl Run {
    pub(crate) fn of(reply: &Reply) -> Result<Run, Error> {
        let [waited_ns, compute_ns, instructions, ..] = reply.values;
        Error::of(reply.status).map_or(Ok(Run { waited_ns, compute_ns, instructions }), Err)
    }
}

impl App {
    /// The number of the model with this name in the manifest's list, for the calls below.
    pub fn model(&self, name: &str) -> Option<usize> {
        self.info().models.iter().position(|model| text(model) == name && !name.is_empty())
    }

    /// What a model takes and gives.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the manifest has no such model; all of this kind: [`Error::NotPermitted`],
    /// [`Error::Unavailable`] without a model runner.
    pub fn model_info(&mut self, model: usize) -> Result<ModelInfo, Error> {
        let [input_bytes, output_bytes, macs, ..] = self.ask(call::MODEL_INFO, [model as u64])?;
        Ok(ModelInfo { input_bytes: input_bytes as usize, output_bytes: output_bytes as usize, macs })
    }

    /// The memory shared with the model runner. The app fills an input there, and finds the output.
    pub fn tensors(&self) -> &'static [AtomicU8] {
        let start = core::ptr::with_exposed_provenance::<AtomicU8>(map::TENSORS as usize);
        match self.info().tensors_bytes as usize {
            0 => &[],
            // SAFETY: the sandbox maps so many bytes there for as long as the app runs, as the app manager says; atomic
            // bytes let the model runner write them meanwhile.
            bytes => unsafe { core::slice::from_raw_parts(start, bytes) },
        }
    }

    /// Copies bytes into the shared memory; what does not fit is left out.
    pub fn put_tensor(&self, at: usize, bytes: &[u8]) {
        for (to, byte) in self.tensors().iter().skip(at).zip(bytes) {
            to.store(*byte, Ordering::Relaxed);
        }
    }

    /// Copies bytes out of the shared memory.
    pub fn get_tensor(&self, at: usize, bytes: &mut [u8]) {
        for (byte, from) in bytes.iter_mut().zip(self.tensors().iter().skip(at)) {
            *byte = from.load(Ordering::Relaxed);
        }
    }

    /// Submits a job: the model reads its input at one offset in the shared memory and writes its output at another, both
    /// multiples of [`call::TENSOR_ALIGN`]. [`App::wait`] tells of its end. It is given up after `limit_ns`, 0 for the most.
    ///
    /// # Errors
    /// [`Error::Busy`] when the ring is full; all else is told by the job's end.
    pub fn submit(&mut self, model: usize, input_at: usize, output_at: usize, limit_ns: u64) -> Result<Job, Error> {
        self.send(call::MODEL_SUBMIT, [model as u64, input_at as u64, output_at as u64, limit_ns]).map(Job)
    }

    /// Ends a job. Its end is told as always, most likely with [`Error::Cancelled`].
    ///
    /// # Errors
    /// [`Error::NotFound`] when it has ended already.
    pub fn cancel(&mut self, job: Job) -> Result<(), Error> {
        self.ask(call::MODEL_CANCEL, [job.0.into()]).map(|_| ())
    }

    /// Runs a model and waits for its end. Events that come meanwhile are kept for [`App::wait`].
    ///
    /// # Errors
    /// As [`App::submit`]; [`Error::BadArgument`] when a tensor does not fit, [`Error::TimedOut`].
    pub fn infer(&mut self, model: usize, input_at: usize, output_at: usize, limit_ns: u64) -> Result<Run, Error> {
        let arguments = [model as u64, input_at as u64, output_at as u64, limit_ns];
        let [waited_ns, compute_ns, instructions, ..] = self.ask(call::MODEL_SUBMIT, arguments)?;
        Ok(Run { waited_ns, compute_ns, instructions })
    }

    /// Waits for the end of a job; other events are given to `other`.
    ///
    /// # Errors
    /// How the job ended.
    pub fn wait_for(&mut self, wanted: Job, mut other: impl FnMut(&mut App, Event)) -> Result<Run, Error> {
        loop {
            match self.wait() {
                Event::Job { job, outcome } if job == wanted => return outcome,
                event => other(self, event),
            }
        }
    }
}
