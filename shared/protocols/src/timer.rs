//! The timer: alarms by protected call, expiry by notification.
//!
//! Times are nanoseconds of the timer's clock, which never goes back, not even when the driver restarts; its zero is
//! whatever the device's is. A client has [`TIMERS`] timers with ids of its own choice.
//!
//! | label | message | answer, after the word `started_ns` |
//! |---|---|---|
//! | [`op::NOW`] | | now |
//! | [`op::SET_AT`] | id, deadline, period (0: once) | deadline |
//! | [`op::SET_AFTER`] | id, delay, period (0: once) | deadline |
//! | [`op::CANCEL`] | id | 1 if it was armed or had an expiry to tell of, else 0 |
//! | [`op::TAKE_EXPIRED`] | | mask of ids, then how often each of them expired, lowest id first |
//! | [`op::RESET`] | | |
//!
//! The answer's label is a [`status`]. Setting a timer replaces what it was before. On each expiry the client is notified
//! on the channel of the calls; one notification may stand for several expiries, the mask and the counts tell them all.
//!
//! Every call may be issued again, as happens when the driver restarts within it. A restart loses the driver's table, so
//! it notifies all its clients, and each answer begins with the time at which the driver started. [`Timer`], the client's
//! side, notices a new one and sets its timers again: an expiry may be late, but none is lost.
//!
//! Clients that may not call (a parent must not wait for its child) have a link: they push [`Request`]s and pop
//! [`Event`]s. When the link begins a session anew, their timers are gone and they set them again.

mod client;
pub use client::{Call, CallChannel, ChannelCall, Expired, Timer, TimerError};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Names this protocol in a link.
pub const PROTOCOL: u32 = u32::from_le_bytes(*b"TIMR");
/// Version of the layouts below.
pub const VERSION: u32 = 1;
/// Timers of one client: ids are 0 to this, exclusive.
pub const TIMERS: usize = 32;
/// The shortest period, in nanoseconds: what a client costs the others is bounded.
pub const MIN_PERIOD_NS: u64 = 100_000;
/// The most message registers of an answer.
pub const MAX_ANSWER: usize = 2 + TIMERS;

/// Labels of calls, and [`Request::op`].
pub mod op {
    /// Read the clock.
    pub const NOW: u64 = 1;
    /// Set a timer to a time.
    pub const SET_AT: u64 = 2;
    /// Set a timer to a time from now.
    pub const SET_AFTER: u64 = 3;
    /// Cancel a timer.
    pub const CANCEL: u64 = 4;
    /// Take the expiries since the last time this was asked.
    pub const TAKE_EXPIRED: u64 = 5;
    /// Cancel all timers: the client starts.
    pub const RESET: u64 = 6;
}

/// Labels of answers, and [`Event::status`].
pub mod status {
    /// Done.
    pub const OK: u64 = 0;
    /// There is no such call, or it has another number of words.
    pub const BAD_CALL: u64 = 1;
    /// The id is not below [`TIMERS`](super::TIMERS).
    pub const BAD_ID: u64 = 2;
    /// The deadline is beyond the end of the clock.
    pub const TOO_FAR: u64 = 3;
    /// The period is not 0 and shorter than [`MIN_PERIOD_NS`](super::MIN_PERIOD_NS).
    pub const PERIOD_TOO_SHORT: u64 = 4;
    /// The driver has no room for another client.
    pub const TOO_MANY_CLIENTS: u64 = 5;
}

/// An entry from a client that has a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Request {
    /// One of [`op`]; expiries come by themselves, so [`op::TAKE_EXPIRED`] is none of a link.
    pub op: u64,
    /// Id of the timer.
    pub id: u64,
    /// Deadline or delay in nanoseconds.
    pub time_ns: u64,
    /// Period in nanoseconds, or 0.
    pub period_ns: u64,
}

/// An entry to a client that has a link: the answer to a request, in order, or an expiry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Event {
    /// The request's `op`, or [`Event::EXPIRED`].
    pub op: u64,
    /// The request's id, or that of the timer.
    pub id: u64,
    /// One of [`status`].
    pub status: u64,
    /// What the call answers; or how often the timer expired.
    pub value: u64,
}

impl Event {
    /// [`Event::op`]: a timer expired.
    pub const EXPIRED: u64 = 0;
}
