//! Where things lie in an app's address space. Apps are linked for these addresses, and run nowhere else.
//!
//! | from | to | rights | |
//! |---|---|---|---|
//! | [`CODE`] | +[`CODE_BYTES`] | read, execute | segments that are not writable |
//! | [`STACK`] | +[`STACK_BYTES`] | read, write | the stack, growing down from its end |
//! | [`DATA`] | +[`DATA_BYTES`] | read, write | writable segments, then free memory |
//! | [`TENSORS`] | +[`TENSORS_BYTES`] | read, write | inputs and outputs of models |
//! | [`REQUESTS`] | +[`PAGE_BYTES`] | read, write | the ring of requests |
//! | [`REPLIES`] | +[`PAGE_BYTES`] | read | the ring of replies |
//! | [`INFO`] | +[`PAGE_BYTES`] | read | what the app manager says of the app and the device |
//!
//! What is below the stack and between the rows is not mapped. Stack and data are one region of the system description,
//! [`WRITABLE_BYTES`] long.

/// Bytes of a page.
pub const PAGE_BYTES: u64 = 0x1000;
/// Start of the segments that are not writable.
pub const CODE: u64 = 0x1000_0000;
/// Bytes for them.
pub const CODE_BYTES: u64 = 0x4_0000;
/// Lowest address of the stack. Nothing is mapped below.
pub const STACK: u64 = 0x2000_0000;
/// Bytes of the stack.
pub const STACK_BYTES: u64 = 0x1_0000;
/// Where the stack begins, growing down.
pub const STACK_TOP: u64 = STACK + STACK_BYTES;
/// Start of the writable segments.
pub const DATA: u64 = STACK_TOP;
/// Bytes for them and for what the app allocates.
pub const DATA_BYTES: u64 = 0x7_0000;
/// Bytes of stack and data together.
pub const WRITABLE_BYTES: u64 = STACK_BYTES + DATA_BYTES;
/// Start of the memory that the app shares with the model runner.
pub const TENSORS: u64 = 0x3000_0000;
/// Bytes of it.
pub const TENSORS_BYTES: u64 = 0x1_0000;
/// The page with the ring of requests, which the app writes.
pub const REQUESTS: u64 = 0x4000_0000;
/// The page with the ring of replies, which the app manager writes.
pub const REPLIES: u64 = 0x4001_0000;
/// The page with what the app manager says of app and device; right behind the replies.
pub const INFO: u64 = REPLIES + PAGE_BYTES;
