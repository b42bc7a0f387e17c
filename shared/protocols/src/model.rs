//! Models: jobs from clients to the model runner, results back.
//!
//! A client and the runner share a link and a data region that both may write. The client puts an input tensor into the
//! region, names it and a place for the output in a [`Request`], and from then on touches neither until the [`Reply`] with
//! that job number comes. The runner reads and writes the tensors where they lie; it copies nothing ([`Status::bytes_copied`]).
//!
//! Every request gets exactly one reply, unless the runner restarts: then the link begins a new session, and jobs of the
//! old one are lost ([`ring::Link::poll`] tells). A submission that the runner cannot take is answered at once with the reason
//! ([`code`]); nothing ever waits for a queue.

use ring::Span;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// Names this protocol in a link.
pub const PROTOCOL: u32 = u32::from_le_bytes(*b"MODL");
/// Version of the layouts below.
pub const VERSION: u32 = 1;
/// Jobs of one client that may be queued or running at once.
pub const MAX_JOBS: usize = 8;
/// Alignment of tensors in the data region.
pub const TENSOR_ALIGN: u32 = 16;
/// Bytes of a model's name.
pub const NAME_BYTES: usize = 32;

/// Kinds of requests and of the replies to them.
pub mod kind {
    /// Run `model` once on `input`. The reply, a [`super::JobResult`], comes when the job has ended.
    pub const SUBMIT: u32 = 1;
    /// End job `job`, queued or running. The reply to this says whether there was such a job; the job's own reply then
    /// says [`super::code::CANCELLED`], or how it ended before.
    pub const CANCEL: u32 = 2;
    /// What the runner has counted: [`super::Status`].
    pub const STATUS: u32 = 3;
    /// What `model` is: [`super::ModelInfo`].
    pub const MODEL_INFO: u32 = 4;
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
    /// Refused: a buffer overlaps one of another job that is not done.
    pub const BUFFER_IN_USE: u32 = 7;
    /// Refused: a job with this number is not done yet.
    pub const JOB_EXISTS: u32 = 8;
    /// Refused: there is no such job.
    pub const NO_JOB: u32 = 9;
    /// Refused: the kind of request is unknown, or a reserved field is not 0.
    pub const BAD_REQUEST: u32 = 10;

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
    /// Must be 0.
    pub reserved: u32,
    /// Where the input tensor lies in the data region.
    pub input: Span,
    /// Where the output tensor is to be.
    pub output: Span,
    /// Nanoseconds from the acceptance of the job until it is given up; 0: never.
    pub deadline_ns: u64,
}

/// From the runner to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Reply {
    /// The kind of the request.
    pub kind: u32,
    /// The number of the job or request.
    pub job: u32,
    /// How it ended, one of [`code`].
    pub code: u32,
    /// The model of the request.
    pub model: u32,
    /// A [`JobResult`], [`Status`] or [`ModelInfo`], by `kind`; zeros if refused.
    pub body: [u8; BODY_BYTES],
}

/// Bytes of a reply beside its head.
pub const BODY_BYTES: usize = 80;

/// Reply to [`kind::SUBMIT`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct JobResult {
    /// Where the whole output tensor lies: the place that the request named.
    pub output: Span,
    /// Nanoseconds from acceptance to start.
    pub queued_ns: u64,
    /// Nanoseconds from start to end.
    pub run_ns: u64,
    /// Instructions retired from start to end (by the processor: preemptions count too).
    pub instructions: u64,
    /// Multiply-accumulates of the model.
    pub macs: u64,
}

/// Reply to [`kind::STATUS`]: counts since the runner started.
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
    /// Bytes of tensors that the runner copied.
    pub bytes_copied: u64,
    /// Nanoseconds spent in models.
    pub busy_ns: u64,
    /// Models in the pack.
    pub models: u32,
    /// Jobs of all clients that are queued or running.
    pub waiting: u32,
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
}

impl Request {
    /// A submission.
    pub fn submit(job: u32, model: u32, input: Span, output: Span, deadline_ns: u64) -> Self {
        Request { kind: kind::SUBMIT, job, model, reserved: 0, input, output, deadline_ns }
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
        assert_eq!((size_of::<Request>(), size_of::<Reply>()), (40, 96));
        let info = ModelInfo { file_bytes: 7, runs: 9, ..ModelInfo::default() };
        let request = Request::ask(kind::MODEL_INFO, 3, 1);
        let reply = Reply::new(&request, code::DONE).with_body(&info);
        assert_eq!(reply.body::<ModelInfo>(), info);
        assert_eq!((reply.kind, reply.job, reply.model), (kind::MODEL_INFO, 3, 1));
        assert!(size_of::<Status>() <= BODY_BYTES && size_of::<JobResult>() <= BODY_BYTES);
    }
}
