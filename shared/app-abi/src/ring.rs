//! The two rings, one in each direction, and what goes through them.
//!
//! The page [`map::REQUESTS`](crate::map::REQUESTS) is written by the app, [`map::REPLIES`](crate::map::REPLIES) by the app
//! manager. Each begins with two 64-bit words, [`PRODUCED`] and [`CONSUMED`]: how many entries its writer has put into
//! its own ring, and how many it has taken out of the other one, since the app was started. They only grow. Entry `n` lies in
//! slot `n % SLOTS`, which begins at `SLOTS_AT + n % SLOTS * ENTRY_BYTES`.
//!
//! Who writes an entry writes it whole, then (release) counts it. Who reads one reads the count (acquire), then the entry.
//! The app notifies the app manager (a `Send` to capability [`NOTIFY_CPTR`]) when it has put something in, and when it has
//! taken replies out of a ring that was full. The app manager notifies the app when it has put something in; the app waits for that with a `Recv` from
//! capability [`WAIT_CPTR`].
//!
//! An app whose counts make no sense is stopped as if it had faulted.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Index of the word that says how many entries this page's writer has put into its ring.
pub const PRODUCED: usize = 0;
/// Index of the word that says how many entries this page's writer has taken out of the other ring.
pub const CONSUMED: usize = 1;
/// Where the first slot begins in a page.
pub const SLOTS_AT: usize = 0x100;
/// Slots of a ring.
pub const SLOTS: u64 = 32;
/// Bytes of an entry.
pub const ENTRY_BYTES: usize = 64;
/// Requests without a reply that an app may have at once; one more is answered with
/// [`BUSY`](crate::status::BUSY).
pub const MAX_PENDING: usize = 8;
/// The capability that notifies the app manager.
pub const NOTIFY_CPTR: u64 = 10;
/// The capability that waits for the app manager.
pub const WAIT_CPTR: u64 = 1;

/// From the app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Request {
    /// One of [`call`](crate::call).
    pub call: u32,
    /// The app's number for the request; the reply repeats it.
    pub token: u32,
    /// What the call takes; the rest must be 0.
    pub arguments: [u64; 7],
}

/// To the app: the reply to a request, or an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Reply {
    /// The request's call, or one of [`event`](crate::call::event).
    pub call: u32,
    /// The request's token; 0 for events.
    pub token: u32,
    /// How it went: one of [`status`](crate::status).
    pub status: u32,
    /// Is 0.
    pub reserved: u32,
    /// What the call gives; the rest is 0.
    pub values: [u64; 6],
}

const _: () = assert!(size_of::<Request>() == ENTRY_BYTES && size_of::<Reply>() == ENTRY_BYTES);
const _: () = assert!(SLOTS_AT + SLOTS as usize * ENTRY_BYTES <= crate::map::PAGE_BYTES as usize);

impl Request {
    /// A request with these arguments, of which there are at most seven.
    pub fn new<const N: usize>(call: u32, token: u32, given: [u64; N]) -> Request {
        const { assert!(N <= 7) };
        let mut arguments = [0; 7];
        arguments[..N].copy_from_slice(&given);
        Request { call, token, arguments }
    }
}

impl Reply {
    /// A reply with these values, of which there are at most six.
    pub fn new<const N: usize>(call: u32, token: u32, status: u32, given: [u64; N]) -> Reply {
        const { assert!(N <= 6) };
        let mut values = [0; 6];
        values[..N].copy_from_slice(&given);
        Reply { call, token, status, reserved: 0, values }
    }
}

/// Where the slot of entry `number` begins in its page, in bytes.
pub const fn slot_at(number: u64) -> usize {
    SLOTS_AT + (number % SLOTS) as usize * ENTRY_BYTES
}
