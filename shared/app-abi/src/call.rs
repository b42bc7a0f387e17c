//! What an app can ask for. Each call says its arguments, the values of its reply, and its bounds.
//!
//! `bytes at address` stands for two arguments: an address in the app's own stack, data or (only to be read) code, and a
//! length. The app manager reads and writes there while it serves the request, so the app leaves it alone until the reply.

/// Ends the app with an exit code. Argument: the code, signed. No reply.
pub const EXIT: u32 = 1;
/// Prints a line. Arguments: level ([`LEVEL_ERROR`] to [`LEVEL_DEBUG`]), text at address, of at most [`MAX_LOG_BYTES`].
/// Needs the permission `log`.
pub const LOG: u32 = 2;
/// Gives random bytes. Arguments: bytes at address, at most [`MAX_RANDOM_BYTES`]. Needs the permission `random`.
pub const RANDOM: u32 = 3;
/// Sets a timer, which replaces what it was set to before. Arguments: its number, below [`TIMERS`]; nanoseconds until it
/// expires first; nanoseconds between further expiries, 0 for none, else at least [`MIN_PERIOD_NS`]. Needs the permission
/// `timers`.
pub const TIMER_SET: u32 = 16;
/// Cancels a timer, and drops an expiry of it that was not delivered. Argument: its number. Value: 1 if there was either.
pub const TIMER_CANCEL: u32 = 17;

/// Reads a value. Arguments: key at address, of at most [`MAX_KEY_BYTES`]; room for the value at address. Value: bytes of
/// the value. Needs the permission `kv`, as the next two.
pub const KV_READ: u32 = 32;
/// Writes a value: after a power cut the key has the old or the new one. Arguments: key at address; value at address, of at most
/// [`MAX_VALUE_BYTES`].
pub const KV_WRITE: u32 = 33;
/// Removes a key and its value. Argument: key at address.
pub const KV_DELETE: u32 = 34;
/// Lists keys, each followed by a line feed. Arguments: 0 at first, then what the call before gave; room at address, at least
/// [`MIN_LIST_BYTES`]. Values: bytes of the list; what to go on with, 0 at the end.
pub const KV_LIST: u32 = 35;

/// Reads a part of a file in the app's folder. Arguments: its name at address, of at most [`MAX_NAME_BYTES`], without
/// folders; offset; room at address, at most [`MAX_FILE_BYTES`]. Value: bytes read, fewer at the end of the file. Needs
/// the permission `files`, as the others of this kind.
pub const FILE_READ: u32 = 48;
/// Writes a part of a file, which is made if there is none, and grows. Arguments: name at address; offset, at most the
/// file's length; contents at address, at most [`MAX_FILE_BYTES`].
pub const FILE_WRITE: u32 = 49;
/// Removes a file. Argument: name at address.
pub const FILE_REMOVE: u32 = 50;
/// The length of a file. Argument: name at address. Value: bytes.
pub const FILE_SIZE: u32 = 51;

/// Lists the names of files in the app's folder, as [`KV_LIST`] does keys.
pub const FILE_LIST: u32 = 52;

/// What a model is. Argument: its number in the list of the manifest. Values: bytes of its input, bytes of its
/// output, multiply-accumulates. Needs the permission `models`, as the next two.
pub const MODEL_INFO: u32 = 64;
/// Runs a model once. Arguments: its number in the list of the manifest; offset of the input in the
/// shared memory at [`map::TENSORS`](crate::map::TENSORS); offset of the output there, both multiples of
/// [`TENSOR_ALIGN`]; nanoseconds until the job is given up, 0 stands for [`MAX_JOB_NS`], which is the most. The reply comes when the job has
/// ended; its values: nanoseconds in the queue, nanoseconds of computing, instructions. The app touches neither tensor before.
pub const MODEL_SUBMIT: u32 = 65;
/// Ends a job, whose own reply then says [`CANCELLED`](crate::status::CANCELLED) or how it ended before. Argument: token
/// of its request.
pub const MODEL_CANCEL: u32 = 66;

/// Begins or ends the delivery of [`event::KEYWORD`]s. Argument: 1 or 0. Needs the permission `keywords`.
pub const KEYWORDS: u32 = 80;

/// What the app manager tells without being asked.
pub mod event {
    /// A timer expired. Values: its number; how often since the last event of it.
    pub const TIMER: u32 = 0x100;
    /// The app is to end itself with [`EXIT`](super::EXIT) within [`STOP_GRACE_NS`](super::STOP_GRACE_NS); then it is stopped.
    pub const STOP: u32 = 0x101;
    /// A keyword was detected. Values: how many were detected before, since the spotter started; how sure the model is,
    /// in thousandths; when, in nanoseconds since the machine's start; events dropped before this one; the word, in the 16
    /// bytes of two values, padded with zeros.
    pub const KEYWORD: u32 = 0x102;
}

/// Levels of lines.
pub const LEVEL_ERROR: u64 = 1;
/// Something is odd, and the app goes on.
pub const LEVEL_WARNING: u64 = 2;
/// What users want to see.
pub const LEVEL_INFO: u64 = 3;
/// What developers want to see; not printed at first.
pub const LEVEL_DEBUG: u64 = 4;

/// The longest line in bytes.
pub const MAX_LOG_BYTES: u64 = 512;
/// The most random bytes at once.
pub const MAX_RANDOM_BYTES: u64 = 64;
/// Timers of an app.
pub const TIMERS: usize = 8;
/// The shortest period, in nanoseconds.
pub const MIN_PERIOD_NS: u64 = 1_000_000;
/// The longest delay or period, in nanoseconds: a bit more than a year.
pub const MAX_DELAY_NS: u64 = 1 << 55;
/// The longest key in bytes.
pub const MAX_KEY_BYTES: u64 = 32;
/// The longest value in bytes.
pub const MAX_VALUE_BYTES: u64 = 4096;
/// The longest name of a file in bytes.
pub const MAX_NAME_BYTES: u64 = 64;
/// The most bytes of a file that are read or written at once.
pub const MAX_FILE_BYTES: u64 = 4096;
/// The least room for a list.
pub const MIN_LIST_BYTES: u64 = 512;
/// Alignment of tensors in the shared memory.
pub const TENSOR_ALIGN: u64 = 16;
/// The most time that a job gets, in nanoseconds.
pub const MAX_JOB_NS: u64 = 60_000_000_000;
/// How long an app may take to end itself, in nanoseconds.
pub const STOP_GRACE_NS: u64 = 1_000_000_000;
