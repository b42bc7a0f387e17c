//! The accelerator: jobs to its driver, results back.
//!
//! A client and the driver share a link and nothing else: models, tensors and working memory lie in the memory that the
//! accelerator shares with the system, and a [`Request`] names them by physical address. The driver sees none of them; it
//! checks that they lie in the accelerator's window and passes the job on. From then until the [`Reply`] with that job's
//! number the client touches neither output nor working memory.
//!
//! Every job that is taken gets exactly one reply, whatever the accelerator does, unless the driver restarts: then the link
//! begins a new session, and jobs of the old one are lost ([`ring::Link::poll`] tells). What cannot be taken is answered at
//! once. Nothing here is particular to one accelerator but [`Status`]'s counters, of which a driver fills those that its
//! device has.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// Names this protocol in a link.
pub const PROTOCOL: u32 = u32::from_le_bytes(*b"NPUJ");
/// Version of the layouts below.
pub const VERSION: u32 = 1;
/// Jobs of all clients that may be under way at once.
pub const MAX_JOBS: usize = 16;

/// Kinds of requests and of the replies to them.
pub mod kind {
    /// Run a model once. The reply, a [`super::JobResult`], comes when the job has ended.
    pub const SUBMIT: u32 = 1;
    /// End a job of this client. The reply to this says whether there was such a job; the job's own reply follows.
    pub const CANCEL: u32 = 2;
    /// How the accelerator is: [`super::Status`].
    pub const STATUS: u32 = 3;
    /// Reset the accelerator. Its jobs end with [`super::code::RESET`].
    pub const RESET: u32 = 4;
    /// The next job that is submitted, by whomever, becomes a fault of the kind [`super::Request::fault`] instead: so one
    /// can see that the system lives on.
    pub const PROVOKE: u32 = 5;
}

/// Faults to provoke.
pub mod fault {
    /// The accelerator never answers.
    pub const HANG: u64 = 1;
    /// It reads memory outside its window, which its protection refuses.
    pub const CRASH: u64 = 2;
    /// It answers a job that nobody gave it.
    pub const NONSENSE: u64 = 3;
}

/// How a request ended: [`Reply::code`].
pub mod code {
    /// As it should.
    pub const DONE: u32 = 0;
    /// Refused: [`super::MAX_JOBS`] are under way.
    pub const QUEUE_FULL: u32 = 1;
    /// Refused: the kind is unknown, or a part lies outside the accelerator's window, or parts overlap or are not aligned.
    pub const BAD_REQUEST: u32 = 2;
    /// Refused: a job of this client with this number is under way.
    pub const JOB_EXISTS: u32 = 3;
    /// Refused: there is no such job.
    pub const NO_JOB: u32 = 4;
    /// There is no accelerator, or it no longer obeys.
    pub const ABSENT: u32 = 5;
    /// The accelerator cannot run this model.
    pub const BAD_MODEL: u32 = 6;
    /// The working memory is too small; [`super::JobResult::detail`] has the bytes that are needed.
    pub const SMALL_ARENA: u32 = 7;
    /// The input or the output has another size than the model's.
    pub const BAD_BUFFER: u32 = 8;
    /// The model's bytes changed while it ran.
    pub const MODEL_CHANGED: u32 = 9;
    /// The job was cancelled.
    pub const CANCELLED: u32 = 10;
    /// The job took longer than its limit. The accelerator was reset.
    pub const TIMED_OUT: u32 = 11;
    /// The accelerator's heartbeat stopped. It was reset.
    pub const HUNG: u32 = 12;
    /// The accelerator crashed in the job. It was reset.
    pub const CRASHED: u32 = 13;
    /// The accelerator answered what cannot be. It was reset.
    pub const NONSENSE: u32 = 14;
    /// Somebody reset the accelerator.
    pub const RESET: u32 = 15;

    /// What a code says, in words.
    pub fn text(code: u32) -> &'static str {
        match code {
            DONE => "done",
            QUEUE_FULL => "refused: too many jobs at once",
            BAD_REQUEST => "refused: not a job that the accelerator can do",
            JOB_EXISTS => "refused: a job with this number is not done yet",
            NO_JOB => "refused: no such job",
            ABSENT => "there is no accelerator that obeys",
            BAD_MODEL => "not a model that the accelerator can run",
            SMALL_ARENA => "the working memory is too small",
            BAD_BUFFER => "a tensor has another size than the model's",
            MODEL_CHANGED => "the model changed while it ran",
            CANCELLED => "cancelled",
            TIMED_OUT => "the limit passed",
            HUNG => "the accelerator hung",
            CRASHED => "the accelerator crashed",
            NONSENSE => "the accelerator answered nonsense",
            RESET => "the accelerator was reset",
            _ => "unknown answer",
        }
    }

    /// Whether the accelerator failed in the job, as opposed to refusing it or doing it.
    pub fn is_failure(code: u32) -> bool {
        matches!(code, TIMED_OUT | HUNG | CRASHED | NONSENSE | RESET)
    }
}

/// From a client to the driver. Addresses are physical, lengths in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Request {
    /// One of [`kind`].
    pub kind: u32,
    /// The client's number for a job (to submit or to cancel), or for the request: the reply repeats it.
    pub job: u32,
    /// To submit: nanoseconds that the job may take once it has begun; 0 leaves the limit to the driver.
    pub limit_ns: u64,
    /// Where the model's file lies, aligned to 16.
    pub model: u64,
    /// Where the working memory lies, aligned to 16.
    pub arena: u64,
    /// Where the input lies.
    pub input: u64,
    /// Where the output goes.
    pub output: u64,
    /// Bytes of the model's file.
    pub model_bytes: u32,
    /// Bytes of the working memory.
    pub arena_bytes: u32,
    /// Bytes of the input.
    pub input_bytes: u32,
    /// Bytes of the output.
    pub output_bytes: u32,
    /// To provoke: one of [`fault`]. Otherwise 0.
    pub fault: u64,
}

/// From the driver to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Reply {
    /// The kind of the request.
    pub kind: u32,
    /// The number of the job or request.
    pub job: u32,
    /// How it ended, one of [`code`].
    pub code: u32,
    /// Must be 0.
    pub reserved: u32,
    /// A [`JobResult`] or [`Status`], by `kind`.
    pub body: [u8; BODY_BYTES],
}

/// Bytes of a reply beside its head.
pub const BODY_BYTES: usize = 128;

/// Reply to [`kind::SUBMIT`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct JobResult {
    /// Nanoseconds that the accelerator computed.
    pub run_ns: u64,
    /// Instructions that it took.
    pub instructions: u64,
    /// The same, but a vector instruction counts as often as there are vector registers that it works on.
    pub vector_work: u64,
    /// Multiply-accumulates of the model.
    pub macs: u64,
    /// Bytes of tensors that it moved without computing anything.
    pub bytes_copied: u64,
    /// Operators that ran.
    pub operators: u32,
    /// Those of them that ran on kernels of the accelerator's own.
    pub vector_operators: u32,
    /// What the code says of it.
    pub detail: u32,
    /// Of a crash: its cause, as the device numbers them.
    pub cause: u32,
    /// Of a crash: where.
    pub pc: u64,
    /// Of a crash: about which address.
    pub value: u64,
}

/// Values of [`Status::state`].
pub mod state {
    /// There is none.
    pub const ABSENT: u32 = 0;
    /// It waits for jobs.
    pub const IDLE: u32 = 1;
    /// It runs a job.
    pub const BUSY: u32 = 2;
    /// It is being reset.
    pub const RESETTING: u32 = 3;
    /// It no longer obeys.
    pub const LOST: u32 = 4;

    /// A state in a word.
    pub fn text(state: u32) -> &'static str {
        match state {
            ABSENT => "absent",
            IDLE => "idle",
            BUSY => "busy",
            RESETTING => "resetting",
            LOST => "lost",
            _ => "?",
        }
    }
}

/// Reply to [`kind::STATUS`]. Counts begin with the driver's start, those of the accelerator with power-on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Status {
    /// One of [`state`].
    pub state: u32,
    /// Jobs under way.
    pub waiting: u32,
    /// Jobs done.
    pub done: u64,
    /// Jobs that the accelerator or the driver refused.
    pub refused: u64,
    /// Jobs that were cancelled.
    pub cancelled: u64,
    /// Jobs that failed: timed out, hung, crashed, answered with nonsense, reset.
    pub failed: u64,
    /// Resets.
    pub resets: u64,
    /// Nanoseconds that the accelerator computed, since power-on.
    pub busy_ns: u64,
    /// Instructions that it took, since power-on.
    pub instructions: u64,
    /// Nanoseconds since the driver's start.
    pub up_ns: u64,
    /// Operators that the accelerator began, since power-on.
    pub heartbeat: u32,
    /// How the last failed job ended, one of [`code`]; [`code::DONE`] if none did.
    pub last_error: u32,
    /// Of the last crash: its cause.
    pub cause: u32,
    /// Crashes since power-on.
    pub crashes: u32,
    /// Of the last crash: where.
    pub pc: u64,
    /// Of the last crash: about which address.
    pub value: u64,
    /// Where the memory that the accelerator shares with the system begins.
    pub window: u64,
    /// Its bytes.
    pub window_bytes: u64,
}

impl Request {
    /// A request without a job.
    pub fn ask(kind: u32, job: u32) -> Self {
        Request { kind, job, ..Request::default() }
    }
}

impl Reply {
    /// The reply to a request of this kind and number, with this code and no body.
    pub fn new(kind: u32, job: u32, code: u32) -> Self {
        Reply { kind, job, code, reserved: 0, body: [0; BODY_BYTES] }
    }

    /// The same with a body.
    pub fn with_body<T: IntoBytes + Immutable>(mut self, body: &T) -> Self {
        const { assert!(size_of::<T>() <= BODY_BYTES) };
        self.body[..size_of::<T>()].copy_from_slice(body.as_bytes());
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
        let status = Status { state: state::BUSY, window: 7, window_bytes: 9, ..Status::default() };
        let reply = Reply::new(kind::STATUS, 3, code::DONE).with_body(&status);
        assert_eq!(reply.body::<Status>(), status);
        assert_eq!((reply.kind, reply.job, reply.code), (kind::STATUS, 3, code::DONE));
        assert!((code::DONE..=code::RESET).all(|code| code::text(code) != "unknown answer"));
    }
}
