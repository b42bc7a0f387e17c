//! Models: jobs from clients to the model runner, results back. docs/models-protocol.md is the guide.
//!
//! A client and the runner share a link and a data region that both may write. The client puts an input tensor into the
//! region, names it and a place for the output in a [`Request`], and from then on touches neither until the [`Reply`] with
//! that job number comes. The runner reads and writes the tensors where they lie; it copies nothing ([`Status::bytes_copied`]).
//!
//! Every request gets exactly one reply of its own kind; that of a submission comes when the job has ended. A periodic job
//! sends a reply of kind [`kind::RUN`] for each of its runs besides. If the runner restarts, the link begins a new session
//! ([`ring::Link::poll`] tells): all jobs of the old one are lost, periodic ones too, and are to be submitted anew. A
//! submission that the runner cannot take is answered at once with the reason ([`code`]); nothing ever waits for a queue.

use ring::Span;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// Names this protocol in a link.
pub const PROTOCOL: u32 = u32::from_le_bytes(*b"MODL");
/// Version of the layouts below.
pub const VERSION: u32 = 2;
/// Clients that a runner can have.
pub const MAX_CLIENTS: usize = 8;
/// The slot of the client that may ask about the jobs of all, and end them: the operator at the console.
pub const OPERATOR: usize = 0;
/// [`Request::model`] of [`kind::CLIENT_INFO`]: the client that asks.
pub const ONESELF: u32 = u32::MAX;
/// A protection domain that the system table does not know.
pub const NO_PD: u32 = u32::MAX;
/// Jobs of one client that may exist at once, periodic ones included.
pub const MAX_JOBS: usize = 8;
/// The most urgent priority; the least urgent is 0.
pub const MAX_PRIORITY: u32 = 7;
/// The longest that a job, or a run of a periodic one, may take from its release to its end, in nanoseconds.
pub const MAX_DEADLINE_NS: u64 = 60_000_000_000;
/// The shortest period, in nanoseconds.
pub const MIN_PERIOD_NS: u64 = 1_000_000;
/// The longest period, and the longest time to the first run, in nanoseconds.
pub const MAX_PERIOD_NS: u64 = 86_400_000_000_000;
/// The window of fair shares, in nanoseconds: who has used up its share of it waits for those who have not.
pub const WINDOW_NS: u64 = 100_000_000;
/// Alignment of tensors in the data region.
pub const TENSOR_ALIGN: u32 = 16;
/// Bytes of a model's name.
pub const NAME_BYTES: usize = 32;

/// Kinds of requests and of the replies to them. What a request does not use must be 0.
pub mod kind {
    /// Run `model` on `input`, once or periodically. The reply, a [`super::JobResult`], comes when the job has ended; a
    /// periodic job ends when it is cancelled.
    pub const SUBMIT: u32 = 1;
    /// End job `job` of this client, whatever it is doing. The reply to this says whether there was such a job; the job's
    /// own reply says [`super::code::CANCELLED`], or how it ended before.
    pub const CANCEL: u32 = 2;
    /// What the runner has counted: [`super::Status`].
    pub const STATUS: u32 = 3;
    /// What `model` is: [`super::ModelInfo`].
    pub const MODEL_INFO: u32 = 4;
    /// What the client in slot `model` has used, a [`super::ClientInfo`]. Of others only the operator may ask.
    pub const CLIENT_INFO: u32 = 5;
    /// The job with the lowest serial number from `job` on, a [`super::JobInfo`]; [`super::code::NO_JOB`] if there is none.
    /// For the operator.
    pub const JOB_INFO: u32 = 6;
    /// End the job with the serial number `job`, whosever it is, as [`CANCEL`]. For the operator.
    pub const END: u32 = 7;
    /// Only a reply: a run of periodic job `job` has ended, with a [`super::JobResult`].
    pub const RUN: u32 = 8;
}

/// What runs a job.
pub mod engine {
    /// The processor, in the runner's own time.
    pub const PROCESSOR: u32 = 0;
    /// The accelerator.
    pub const ACCELERATOR: u32 = 1;

    /// Its name.
    pub fn name(engine: u32) -> &'static str {
        match engine {
            PROCESSOR => "processor",
            ACCELERATOR => "accelerator",
            _ => "unknown",
        }
    }
}

/// Where a job is: [`JobInfo::state`].
pub mod state {
    /// A periodic job between two runs.
    pub const WAITING: u32 = 0;
    /// Released, not started.
    pub const QUEUED: u32 = 1;
    /// Started.
    pub const RUNNING: u32 = 2;

    /// Its name.
    pub fn name(state: u32) -> &'static str {
        match state {
            WAITING => "waiting",
            QUEUED => "queued",
            RUNNING => "running",
            _ => "unknown",
        }
    }
}

/// How a request ended: [`Reply::code`].
pub mod code {
    /// As it should.
    pub const DONE: u32 = 0;
    /// The job was cancelled.
    pub const CANCELLED: u32 = 1;
    /// The job's deadline passed before it was done.
    pub const TIMED_OUT: u32 = 2;
    /// The runner could not run the model; its arena or file is not as it was loaded.
    pub const FAULTED: u32 = 3;
    /// Refused: the client has [`super::MAX_JOBS`] jobs already.
    pub const QUEUE_FULL: u32 = 4;
    /// Refused: there is no such model, or it could not be loaded.
    pub const NO_MODEL: u32 = 5;
    /// Refused: a buffer is not inside the data region, not aligned, or not of the tensor's size.
    pub const BAD_BUFFER: u32 = 6;
    /// Refused: a buffer overlaps one of another job that is not done, or the job's other buffer.
    pub const BUFFER_IN_USE: u32 = 7;
    /// Refused: a job with this number is not done yet.
    pub const JOB_EXISTS: u32 = 8;
    /// Refused: there is no such job.
    pub const NO_JOB: u32 = 9;
    /// Refused: the kind of request is unknown, or something that it does not use is not 0, or the priority too high.
    pub const BAD_REQUEST: u32 = 10;
    /// Refused: the deadline, the period or the time to the first run is out of range.
    pub const BAD_TIME: u32 = 11;
    /// Refused: only the operator may ask this.
    pub const NOT_ALLOWED: u32 = 12;
    /// The accelerator crashed, or answered nonsense, while it ran the job; it was reset.
    pub const CRASHED: u32 = 13;
    /// The accelerator did not get ahead with the job; it was reset.
    pub const HUNG: u32 = 14;
    /// The accelerator does not obey any more.
    pub const LOST: u32 = 15;
    /// Refused: the runner has no timer, so it runs no jobs at times.
    pub const NO_TIMER: u32 = 16;

    /// What a code says, in words.
    pub fn text(code: u32) -> &'static str {
        match code {
            DONE => "done",
            CANCELLED => "cancelled",
            TIMED_OUT => "the deadline passed",
            FAULTED => "the model could not be run",
            QUEUE_FULL => "refused: too many jobs at once",
            NO_MODEL => "refused: no such model",
            BAD_BUFFER => "refused: a buffer does not fit the tensor or the shared region",
            BUFFER_IN_USE => "refused: a buffer is in use by another job",
            JOB_EXISTS => "refused: a job with this number is not done yet",
            NO_JOB => "refused: no such job",
            BAD_REQUEST => "refused: not a request",
            BAD_TIME => "refused: deadline, period or first time out of range",
            NOT_ALLOWED => "refused: only the operator may ask this",
            CRASHED => "the accelerator crashed in it",
            HUNG => "the accelerator hung in it",
            LOST => "the accelerator was lost",
            NO_TIMER => "refused: the model runner has no timer",
            _ => "unknown answer",
        }
    }
}

/// From a client to the runner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Request {
    /// One of [`kind`].
    pub kind: u32,
    /// The client's number for a job (to submit or to cancel), or for the request: the reply repeats it.
    pub job: u32,
    /// Which model, by its place in the model pack.
    pub model: u32,
    /// How urgent the job is: 0 to [`MAX_PRIORITY`].
    pub priority: u32,
    /// Where the input tensor lies in the data region.
    pub input: Span,
    /// Where the output tensor is to be.
    pub output: Span,
    /// Nanoseconds from release to when the job, or this run of it, is given up, at most [`MAX_DEADLINE_NS`]; 0: that.
    pub deadline_ns: u64,
    /// 0: run once. Else nanoseconds from one release to the next, at least [`MIN_PERIOD_NS`].
    pub period_ns: u64,
    /// Nanoseconds from acceptance to the (first) release.
    pub start_ns: u64,
}

/// From the runner to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Reply {
    /// The kind of the request, or [`kind::RUN`].
    pub kind: u32,
    /// The number of the job or request.
    pub job: u32,
    /// How it ended, one of [`code`].
    pub code: u32,
    /// The model of the request.
    pub model: u32,
    /// What belongs to `kind`; zeros if refused.
    pub body: [u8; BODY_BYTES],
}

/// Bytes of a reply beside its head.
pub const BODY_BYTES: usize = 80;

/// Reply to [`kind::SUBMIT`], and of each [`kind::RUN`]. Times are nanoseconds since the machine started; 0 where it did not
/// come to that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct JobResult {
    /// Where the whole output tensor lies: the place that the request named; empty unless the job is done.
    pub output: Span,
    /// Number of the job among all that the runner accepted.
    pub serial: u32,
    /// Which run of a periodic job this was, from 1; of the job's end: how many there were.
    pub run: u32,
    /// Releases of a periodic job that were left out so far.
    pub missed: u32,
    /// One of [`engine`].
    pub engine: u32,
    /// When it was released: put into the queue.
    pub queued_ns: u64,
    /// When it started.
    pub started_ns: u64,
    /// When it ended.
    pub finished_ns: u64,
    /// Nanoseconds of computing: without the time during which it stood back for others.
    pub compute_ns: u64,
    /// Instructions that its engine retired for it (on the processor those of others that interrupted it count too).
    pub instructions: u64,
    /// Multiply-accumulates of the model.
    pub macs: u64,
}

impl JobResult {
    /// Nanoseconds from release to start, or to the end if it did not start.
    pub fn waited_ns(&self) -> u64 {
        let until = if self.started_ns == 0 { self.finished_ns } else { self.started_ns };
        until.saturating_sub(self.queued_ns)
    }

    /// Nanoseconds from start to end.
    pub fn took_ns(&self) -> u64 {
        if self.started_ns == 0 { 0 } else { self.finished_ns.saturating_sub(self.started_ns) }
    }
}

/// Reply to [`kind::STATUS`]: counts since the runner started, runs of periodic jobs among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Status {
    /// Jobs done.
    pub done: u64,
    /// Jobs cancelled.
    pub cancelled: u64,
    /// Jobs whose deadline passed.
    pub timed_out: u64,
    /// Jobs that failed.
    pub faulted: u64,
    /// Requests refused.
    pub refused: u64,
    /// Jobs lost because their client restarted.
    pub abandoned: u64,
    /// Releases of periodic jobs that were left out.
    pub missed: u64,
    /// Bytes of tensors that the runner copied.
    pub bytes_copied: u64,
    /// Nanoseconds spent in models.
    pub busy_ns: u64,
    /// Models in the pack.
    pub models: u32,
    /// Jobs of all clients that have not ended.
    pub jobs: u32,
}

/// Reply to [`kind::CLIENT_INFO`]: counts since the runner started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ClientInfo {
    /// Jobs done.
    pub done: u64,
    /// Jobs cancelled.
    pub cancelled: u64,
    /// Jobs whose deadline passed.
    pub timed_out: u64,
    /// Jobs that failed.
    pub faulted: u64,
    /// Requests refused.
    pub refused: u64,
    /// Jobs lost because the client restarted.
    pub abandoned: u64,
    /// Releases of periodic jobs that were left out.
    pub missed: u64,
    /// Nanoseconds of computing for this client.
    pub compute_ns: u64,
    /// Jobs that have not ended.
    pub jobs: u32,
    /// 1 if the client is there.
    pub connected: u16,
    /// Its share of computing time when all want some, in thousandths.
    pub share: u16,
    /// Times that its ring made no sense.
    pub misbehaved: u32,
    /// Index of the client in the system table; [`NO_PD`] if that does not know it.
    pub pd: u32,
}

/// Reply to [`kind::JOB_INFO`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct JobInfo {
    /// Number of the job among all that the runner accepted. It begins again after 2^32 jobs.
    pub serial: u32,
    /// The client's slot.
    pub client: u32,
    /// The client's number for it.
    pub job: u32,
    /// The model.
    pub model: u32,
    /// One of [`state`].
    pub state: u32,
    /// Its priority.
    pub priority: u32,
    /// One of [`engine`], if it runs.
    pub engine: u32,
    /// Runs of a periodic job that have ended.
    pub runs: u32,
    /// Releases of a periodic job that were left out.
    pub missed: u32,
    /// Index of the client in the system table, or [`NO_PD`].
    pub pd: u32,
    /// Its period; 0 if it runs once.
    pub period_ns: u64,
    /// Nanoseconds since it was accepted.
    pub age_ns: u64,
}

/// Reply to [`kind::MODEL_INFO`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ModelInfo {
    /// Name, padded with zeros.
    pub name: [u8; NAME_BYTES],
    /// Bytes of the model file.
    pub file_bytes: u32,
    /// Bytes of working memory while the model runs.
    pub arena_bytes: u32,
    /// Bytes that are kept for the model while it does not run.
    pub persistent_bytes: u32,
    /// Operators.
    pub operators: u32,
    /// Bytes of the input tensor.
    pub input_bytes: u32,
    /// Bytes of the output tensor.
    pub output_bytes: u32,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// How often it ran to the end.
    pub runs: u64,
    /// Where it would run now, one of [`engine`].
    pub engine: u32,
    /// Always 0.
    pub reserved: u32,
}

impl Request {
    /// A submission to run once, of priority 0.
    pub fn submit(job: u32, model: u32, input: Span, output: Span, deadline_ns: u64) -> Self {
        Request { kind: kind::SUBMIT, job, model, input, output, deadline_ns, ..Request::default() }
    }

    /// The same to be run every `period_ns`, for the first time at once.
    pub fn every(self, period_ns: u64) -> Self {
        Request { period_ns, ..self }
    }

    /// Any other request.
    pub fn ask(kind: u32, job: u32, model: u32) -> Self {
        Request { kind, job, model, ..Request::default() }
    }
}

impl Reply {
    /// The reply to `request` with this code and no body.
    pub fn new(request: &Request, code: u32) -> Self {
        Reply { kind: request.kind, job: request.job, code, model: request.model, body: [0; BODY_BYTES] }
    }

    /// The same with a body.
    pub fn with_body(mut self, body: &(impl IntoBytes + Immutable)) -> Self {
        let bytes = body.as_bytes();
        let length = bytes.len().min(BODY_BYTES);
        self.body[..length].copy_from_slice(&bytes[..length]);
        self
    }

    /// The body as the structure that belongs to the kind of the reply.
    pub fn body<T: FromBytes + FromZeros>(&self) -> T {
        const { assert!(size_of::<T>() <= BODY_BYTES) };
        T::read_from_prefix(&self.body).map_or_else(|_| T::new_zeroed(), |(body, _)| body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_fit_and_come_back() {
        assert_eq!((size_of::<Request>(), size_of::<Reply>()), (56, 96));
        let info = ModelInfo { file_bytes: 7, runs: 9, ..ModelInfo::default() };
        let request = Request::ask(kind::MODEL_INFO, 3, 1);
        let reply = Reply::new(&request, code::DONE).with_body(&info);
        assert_eq!(reply.body::<ModelInfo>(), info);
        assert_eq!((reply.kind, reply.job, reply.model), (kind::MODEL_INFO, 3, 1));
        for bytes in [size_of::<Status>(), size_of::<JobResult>(), size_of::<ClientInfo>(), size_of::<JobInfo>()] {
            assert!(bytes <= BODY_BYTES);
        }
    }
}
