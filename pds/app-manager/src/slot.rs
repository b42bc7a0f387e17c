//! A slot: a sandbox, and the app that is in it.

use app_abi::Permissions;
use app_abi::call::{MIN_PERIOD_NS, TIMERS};
use app_abi::ring::MAX_PENDING;
use bundle::MAX_MODELS;
use heapless::{Deque, Vec};

use crate::memory::SlotMemory;
use crate::requests::Requests;

/// Messages that an app may send within [`WINDOW_NS`]; then it is held back for the rest of it.
pub const WINDOW_MESSAGES: u32 = 256;
/// Length of that window in nanoseconds.
pub const WINDOW_NS: u64 = 100_000_000;
/// Keywords that wait for an app to take replies; older ones are dropped.
pub const MAX_KEYWORDS: usize = 8;

/// A sandbox.
#[derive(Debug)]
pub struct Slot {
    /// What its app can reach.
    pub memory: SlotMemory,
    /// Microseconds of processor time in each period.
    pub budget_us: u32,
    /// The period, in microseconds.
    pub period_us: u32,
    /// Bytes of the stack that the composer gave.
    pub stack_bytes: u64,
    /// The app that is in it.
    pub occupant: Option<Occupant>,
    /// Jobs of its last app that the model runner has not ended yet. It may still write their tensors, so the slot is not
    /// free before.
    pub draining: Vec<u32, MAX_PENDING>,
}

impl Slot {
    /// An empty slot.
    pub const fn new(memory: SlotMemory, budget_us: u32, period_us: u32, stack_bytes: u64) -> Self {
        Self { memory, budget_us, period_us, stack_bytes, occupant: None, draining: Vec::new() }
    }

    /// Whether an app can be put into it.
    pub fn is_free(&self) -> bool {
        self.occupant.is_none() && self.draining.is_empty()
    }
}

/// A request whose reply is not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The app's call.
    pub call: u32,
    /// The app's token.
    pub token: u32,
    /// What the service is asked under.
    pub key: Key,
    /// Where in the app's memory the answer goes.
    pub address: u64,
    /// Bytes of room there.
    pub bytes: u64,
}

/// Whom a request was passed on to, and under what number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The storage service.
    Storage(u32),
    /// The root of trust.
    Rot(u64),
    /// The model runner; a job, or a question.
    Model(u32),
}

/// One of an app's timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppTimer {
    /// When it expires next.
    deadline_ns: Option<u64>,
    /// Nanoseconds between further expiries, or 0.
    period_ns: u64,
    /// Expiries that the app was not told of.
    expired: u64,
}

impl AppTimer {
    /// Sets it.
    pub fn set(&mut self, now_ns: u64, delay_ns: u64, period_ns: u64) {
        *self = Self { deadline_ns: Some(now_ns.saturating_add(delay_ns)), period_ns, expired: 0 };
    }

    /// Cancels it. True if it was set, or had an expiry to tell.
    pub fn cancel(&mut self) -> bool {
        let timer = core::mem::take(self);
        timer.deadline_ns.is_some() || timer.expired != 0
    }

    /// Looks at the clock.
    pub fn tick(&mut self, now_ns: u64) {
        let Some(deadline_ns) = self.deadline_ns.filter(|deadline_ns| *deadline_ns <= now_ns) else { return };
        let times = match self.period_ns {
            0 => 1,
            period_ns => 1 + (now_ns - deadline_ns) / period_ns.max(MIN_PERIOD_NS),
        };
        self.expired = self.expired.saturating_add(times);
        self.deadline_ns = (self.period_ns != 0).then(|| deadline_ns.saturating_add(times * self.period_ns));
    }

    /// Takes the expiries that the app was not told of.
    pub fn take(&mut self) -> u64 {
        core::mem::take(&mut self.expired)
    }

    /// Whether there are any.
    pub fn has_expired(&self) -> bool {
        self.expired != 0
    }

    /// When it expires next.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.deadline_ns
    }
}

/// A detected keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyword {
    /// How many were detected before, since the spotter started.
    pub number: u64,
    /// How sure the model is, in thousandths.
    pub confidence: u32,
    /// The word, padded with zeros.
    pub word: [u8; 16],
    /// When, in nanoseconds since the machine's start.
    pub time_ns: u64,
}

/// How many messages an app has sent lately.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    start_ns: u64,
    messages: u32,
}

/// A running app.
#[derive(Debug)]
pub struct Occupant {
    /// Its number among the apps.
    pub app: usize,
    /// Its rings.
    pub requests: Requests,
    /// What its manifest allows.
    pub permissions: Permissions,
    /// Its models, by their numbers in the model pack.
    pub models: Vec<u32, MAX_MODELS>,
    /// Its timers.
    pub timers: [AppTimer; TIMERS],
    /// Requests that services work on.
    pub pending: Vec<Pending, MAX_PENDING>,
    /// It wants keywords.
    pub wants_keywords: bool,
    /// Keywords that it was not told of.
    pub keywords: Deque<Keyword, MAX_KEYWORDS>,
    /// Keywords dropped since the last one that it was told of.
    pub keywords_dropped: u64,
    /// When it was started.
    pub started_ns: u64,
    /// It was asked to end, and is ended at this time.
    pub stop_at_ns: Option<u64>,
    /// It was told so.
    pub stop_told: bool,
    /// It is held back until its window ends.
    pub held_back: bool,
    window: Window,
}

impl Occupant {
    /// An app that starts now.
    pub fn new(app: usize, memory: &SlotMemory, permissions: Permissions, now_ns: u64) -> Self {
        Self {
            app,
            requests: Requests::new(memory.requests, memory.reply_page()),
            permissions,
            models: Vec::new(),
            timers: [AppTimer::default(); TIMERS],
            pending: Vec::new(),
            wants_keywords: false,
            keywords: Deque::new(),
            keywords_dropped: 0,
            started_ns: now_ns,
            stop_at_ns: None,
            stop_told: false,
            held_back: false,
            window: Window { start_ns: now_ns, messages: 0 },
        }
    }

    /// Counts messages. True if these are more than an app may send in a window.
    pub fn count_messages(&mut self, messages: u32, now_ns: u64) -> bool {
        self.end_window(now_ns);
        self.window.messages = self.window.messages.saturating_add(messages);
        self.window.messages > WINDOW_MESSAGES
    }

    /// Begins a new window if the old one is over. True if it does.
    pub fn end_window(&mut self, now_ns: u64) -> bool {
        let is_over = now_ns.saturating_sub(self.window.start_ns) >= WINDOW_NS;
        if is_over {
            self.window = Window { start_ns: now_ns, messages: 0 };
        }
        is_over
    }

    /// When something is to be done about it without being asked.
    pub fn deadline_ns(&self) -> Option<u64> {
        let timers = self.timers.iter().filter_map(AppTimer::deadline_ns);
        let window = self.held_back.then_some(self.window.start_ns + WINDOW_NS);
        timers.chain(self.stop_at_ns).chain(window).min()
    }

    /// A keyword was detected.
    pub fn hear(&mut self, keyword: Keyword) {
        if self.keywords.is_full() {
            self.keywords.pop_front();
            self.keywords_dropped += 1;
        }
        // There is room now.
        let _ = self.keywords.push_back(keyword);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_expire_once_or_again_without_drift() {
        let mut timer = AppTimer::default();
        timer.set(100, 50, 0);
        timer.tick(149);
        assert!(!timer.has_expired());
        timer.tick(1_000);
        assert_eq!((timer.take(), timer.deadline_ns(), timer.cancel()), (1, None, false));
        timer.set(0, 10, MIN_PERIOD_NS);
        timer.tick(10 + 3 * MIN_PERIOD_NS);
        assert_eq!((timer.take(), timer.deadline_ns()), (4, Some(10 + 4 * MIN_PERIOD_NS)));
        assert!(timer.cancel() && !timer.cancel());
        timer.set(u64::MAX, u64::MAX, u64::MAX);
        timer.tick(u64::MAX);
        assert_eq!(timer.take(), 1);
    }
}
