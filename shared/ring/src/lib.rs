//! Links: two protection domains that talk by a pair of rings in shared memory.
//!
//! A link is two memory regions and one channel with notifications both ways. Each side writes one region and only reads
//! the other's, so the mapping itself forbids that one side corrupts the other's indices. A region is its writer's *index
//! page* (what it is, how far it has come, whether it sleeps) and then the slots of the writer's outgoing ring.
//!
//! ```ignore
//! // In a protection domain; the composer patches `console_tx`, `console_rx`, their sizes and `console_channel`.
//! let mut link: Link<FromClient, FromConsole> =
//!     ring::link!(console: FromClient, FromConsole, console::PROTOCOL, console::VERSION)?.expect("wired");
//!
//! // Each turn (at the start, and whenever the channel is notified):
//! if link.poll()? {
//!     // The peer began anew, or has come up: forget what was under way.
//! }
//! while let Some(entry) = link.pop()? { /* … */ }
//! link.push(&entry)?;
//! ```
//!
//! # Rules
//! * [`Link::poll`] comes first in every turn: it finds a peer that (re)started, and joins it.
//! * Pop until there is nothing, or come back without being notified: only [`Link::pop`] giving `None` asks the peer to
//!   notify. Likewise [`Link::push`] giving [`PushError::Full`], and [`Link::reserve`] giving `false`, ask to be notified
//!   when there is room.
//! * Entries may be pushed before the peer is there; it finds them when it comes up. Once it has been there and restarts,
//!   whatever both rings held is gone: jobs under way then end with an error.
//! * Whatever the peer writes, nothing here panics, blocks or touches other memory. A peer whose indices make no sense is
//!   ignored until it restarts ([`LinkError::Misbehaved`]).
//!
//! # How it works
//! Indices are free-running 64-bit counters, each written by one side alone; either side keeps copies of both and looks at
//! shared memory only when the copy says "full" or "empty". Who finds nothing to do raises a flag, makes a full fence, and
//! looks again before it sleeps; who made something to do makes a full fence before it reads the flag. So at least one
//! of them sees the other, and no wake-up is lost. The flag holds a number that differs at each sleep, and the waker
//! notifies once a number.
//!
//! An *epoch* in each index page changes whenever its writer starts. Two sides are in a session when each has written the
//! other's epoch into its own page; indices count from 0 in each session. [`link`](Link) has the details.
#![cfg_attr(not(any(test, loom)), no_std)]

mod buffers;
mod error;
mod layout;
mod link;
mod wire;
mod words;

pub use buffers::{BufferError, Buffers, Span};
pub use error::{Header, LinkError, OpenError, PushError, Side};
pub use layout::{INDEX_BYTES, region_bytes};
pub use link::{Counters, Entry, Link};
pub use wire::{ChannelNotifier, Notify};
pub use words::Words;

#[doc(hidden)]
pub mod _private {
    pub use interface_notes::{Note, REQUIRED, note};
    pub use pastey::paste;
}

#[cfg(test)]
mod tests;
