//! What the timer is to its clients: the calls of `protocols::timer`, one alarm for all of them.

use protocols::timer::{MAX_ANSWER, op, status};

use crate::clock::Clock;
use crate::registers::Registers;
use crate::timers::{SetError, Timers};

/// Clients that call, at most. A client is a channel; one that never calls takes no room.
pub const CALLERS: usize = 16;
/// Clients with a link, at most.
pub const LINKED: usize = 4;
/// The table of all clients' timers.
pub type Table = Timers<{ CALLERS + LINKED }>;
/// The device's alarm rings at most once in this time, so that all the timers of all clients together cannot keep the
/// processor from everybody else. A deadline that follows another more closely is served that much later.
pub const MIN_ALARM_GAP_NS: u64 = 50_000;

/// An answer to a call: a label, and so many of the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// One of [`status`].
    pub label: u64,
    /// How many words of the answer count.
    pub words: usize,
}

/// Who is to be told that timers of his expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The client that calls on this channel.
    Caller {
        /// Its id.
        channel: usize,
    },
    /// The client with this link.
    Linked {
        /// Its number.
        index: usize,
    },
}

/// The driver.
#[derive(Debug)]
pub struct Driver<'a, R> {
    clock: Clock<R>,
    timers: &'a mut Table,
    /// Channels of the clients that called, by index in the table.
    callers: [Option<usize>; CALLERS],
    started_ns: u64,
    /// When the alarm last rang.
    rang_ns: u64,
    come_back: bool,
}

impl<'a, R: Registers> Driver<'a, R> {
    /// A driver with its table of timers, which is best a static: it is larger than a usual stack.
    pub fn new(mut clock: Clock<R>, timers: &'a mut Table) -> Self {
        let started_ns = clock.now_ns();
        Self { clock, timers, callers: [None; CALLERS], started_ns, rang_ns: 0, come_back: false }
    }

    /// Answers the call on `channel` with this label and message.
    pub fn call(&mut self, channel: usize, label: u64, message: &[u64], answer: &mut [u64; MAX_ANSWER]) -> Answer {
        answer[0] = self.started_ns;
        let result = match self.caller(channel) {
            None => Err(status::TOO_MANY_CLIENTS),
            Some(client) if label == op::TAKE_EXPIRED && message.is_empty() => Ok(self.take_expired(client, answer)),
            Some(client) => self.act(client, label, message).map(|value| {
                answer[1] = value;
                2
            }),
        };
        match result {
            Ok(words) => Answer { label: status::OK, words },
            Err(label) => Answer { label, words: 1 },
        }
    }

    /// Does what `op` asks for a client that has a link.
    ///
    /// # Errors
    /// Gives the [`status`].
    pub fn request(&mut self, index: usize, op: u64, message: &[u64]) -> Result<u64, u64> {
        self.act(CALLERS + index, op, message)
    }

    /// Forgets the timers of a client that has a link.
    pub fn reset(&mut self, index: usize) {
        self.timers.reset(CALLERS + index);
    }

    /// Takes one timer's expiries of a client that has a link.
    pub fn take(&mut self, index: usize) -> Option<(usize, u64)> {
        self.timers.take(CALLERS + index)
    }

    /// Whether such a client has expiries to take.
    pub fn has_expired(&self, index: usize) -> bool {
        self.timers.expired(CALLERS + index) != 0
    }

    /// The alarm rang.
    pub fn rang(&mut self) {
        self.clock.acknowledge();
        self.rang_ns = self.clock.now_ns();
    }

    /// Lets the alarm ring as soon as it may: something is left to do that nobody will notify of.
    pub fn come_back(&mut self) {
        self.come_back = true;
    }

    /// Expires what is due and tells whose it was; sets the alarm for what is not. Follows everything else.
    pub fn serve(&mut self, mut tell: impl FnMut(Client)) {
        let now_ns = self.clock.now_ns();
        let callers = &self.callers;
        self.timers.expire(now_ns, |client| match callers.get(client) {
            Some(Some(channel)) => tell(Client::Caller { channel: *channel }),
            Some(None) => (),
            None => tell(Client::Linked { index: client - CALLERS }),
        });
        let earliest_ns = self.rang_ns.saturating_add(MIN_ALARM_GAP_NS);
        let next_ns = if core::mem::take(&mut self.come_back) { Some(now_ns) } else { self.timers.next_ns() };
        self.clock.set_alarm(next_ns.map(|next_ns| next_ns.max(earliest_ns)));
    }

    /// The index of the client that calls on `channel`.
    fn caller(&mut self, channel: usize) -> Option<usize> {
        let known = self.callers.iter().position(|caller| *caller == Some(channel));
        known.or_else(|| {
            let free = self.callers.iter().position(Option::is_none)?;
            self.callers[free] = Some(channel);
            Some(free)
        })
    }

    fn act(&mut self, client: usize, label: u64, message: &[u64]) -> Result<u64, u64> {
        let now_ns = self.clock.now_ns();
        match (label, message) {
            (op::NOW, []) => Ok(now_ns),
            (op::SET_AT, &[id, deadline_ns, period_ns]) => self.set(client, id, Some(deadline_ns), period_ns),
            (op::SET_AFTER, &[id, delay_ns, period_ns]) => {
                self.set(client, id, now_ns.checked_add(delay_ns), period_ns)
            }
            (op::CANCEL, &[id]) => self.timers.cancel(client, id).map(u64::from).map_err(code),
            (op::RESET, []) => {
                self.timers.reset(client);
                Ok(0)
            }
            _ => Err(status::BAD_CALL),
        }
    }

    fn set(&mut self, client: usize, id: u64, deadline_ns: Option<u64>, period_ns: u64) -> Result<u64, u64> {
        let deadline_ns = deadline_ns.ok_or(status::TOO_FAR)?;
        self.timers.set(client, id, deadline_ns, period_ns).map_err(code)?;
        Ok(deadline_ns)
    }

    fn take_expired(&mut self, client: usize, answer: &mut [u64; MAX_ANSWER]) -> usize {
        answer[1] = u64::from(self.timers.expired(client));
        let mut words = 2;
        while let Some((_, count)) = self.timers.take(client) {
            answer[words] = count;
            words += 1;
        }
        words
    }
}

fn code(error: SetError) -> u64 {
    match error {
        SetError::BadId => status::BAD_ID,
        SetError::PeriodTooShort => status::PERIOD_TOO_SHORT,
    }
}
