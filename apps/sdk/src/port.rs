//! The app's end of the two rings: the only module, with the start, that touches memory and kernel by itself.

use app_abi::info::Info;
use app_abi::ring::{CONSUMED, ENTRY_BYTES, PRODUCED, Reply, Request, SLOTS, slot_at};
use core::sync::atomic::{AtomicU64, Ordering};
use zerocopy::{FromZeros, IntoBytes};

const WORD: usize = 8;
const ENTRY_WORDS: usize = ENTRY_BYTES / WORD;

/// The pages shared with the app manager, and how to wake it and to wait for it.
pub struct Port {
    requests: &'static [AtomicU64],
    replies: &'static [AtomicU64],
    info: &'static Info,
    notify: fn(),
    wait: fn(),
    ticks: fn() -> u64,
}

/// The ring of requests is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Port {
    /// A port over pages of `app_abi`'s layout. Apps get theirs from the start; this is for tests of apps on the host.
    pub const fn new(
        requests: &'static [AtomicU64],
        replies: &'static [AtomicU64],
        info: &'static Info,
        notify: fn(),
        wait: fn(),
        ticks: fn() -> u64,
    ) -> Self {
        Self { requests, replies, info, notify, wait, ticks }
    }

    pub(crate) fn info(&self) -> &'static Info {
        self.info
    }

    pub(crate) fn ticks(&self) -> u64 {
        (self.ticks)()
    }

    /// Waits until the app manager has put something into the ring of replies since the last time.
    pub(crate) fn wait(&self) {
        (self.wait)();
    }

    /// Puts a request into its ring; gives its token.
    pub(crate) fn put<const N: usize>(&mut self, call: u32, arguments: [u64; N]) -> Result<u32, Full> {
        // Only this side writes the first count.
        let number = self.requests[PRODUCED].load(Ordering::Relaxed);
        if number.wrapping_sub(self.replies[CONSUMED].load(Ordering::Acquire)) >= SLOTS {
            return Err(Full);
        }
        let token = number as u32;
        let request = Request::new(call, token, arguments);
        let slot = &self.requests[slot_at(number) / WORD..][..ENTRY_WORDS];
        for (word, bytes) in slot.iter().zip(request.as_bytes().as_chunks::<WORD>().0) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        self.requests[PRODUCED].store(number + 1, Ordering::Release);
        (self.notify)();
        Ok(token)
    }

    /// Takes the next reply or event out of its ring.
    pub(crate) fn take(&mut self) -> Option<Reply> {
        let number = self.requests[CONSUMED].load(Ordering::Relaxed);
        let put = self.replies[PRODUCED].load(Ordering::Acquire);
        if number == put {
            return None;
        }
        let mut reply = Reply::new_zeroed();
        let slot = &self.replies[slot_at(number) / WORD..][..ENTRY_WORDS];
        for (word, bytes) in slot.iter().zip(reply.as_mut_bytes().as_chunks_mut::<WORD>().0) {
            *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        self.requests[CONSUMED].store(number + 1, Ordering::Release);
        if put - number >= SLOTS / 2 {
            // The app manager may have waited for room.
            (self.notify)();
        }
        Some(reply)
    }
}
