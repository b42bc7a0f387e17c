//! The table of timers: who waits for what, and what has expired that its client was not told yet.
//!
//! It knows neither device nor messages. Expiries are neither lost nor merged: each timer counts its own until the client
//! takes them.

use protocols::timer::{MIN_PERIOD_NS, TIMERS};

/// Why a timer was not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetError {
    /// The id is not below [`TIMERS`].
    BadId,
    /// The period is not 0 and shorter than [`MIN_PERIOD_NS`].
    PeriodTooShort,
}

/// One client's timers.
#[derive(Clone, Copy, Debug)]
struct Client {
    /// One bit an id: the timer waits.
    armed: u32,
    /// One bit an id: the timer has expiries that were not taken.
    expired: u32,
    /// The earliest deadline of those that wait, if any does.
    next_ns: u64,
    deadline_ns: [u64; TIMERS],
    /// 0: once.
    period_ns: [u64; TIMERS],
    count: [u64; TIMERS],
}

const _: () = assert!(TIMERS <= u32::BITS as usize);

impl Client {
    /// All zeros, so that a table of them takes no room in the program's file.
    const NEW: Client = Client {
        armed: 0,
        expired: 0,
        next_ns: 0,
        deadline_ns: [0; TIMERS],
        period_ns: [0; TIMERS],
        count: [0; TIMERS],
    };

    fn find_next(&mut self) {
        self.next_ns = bits(self.armed).map(|id| self.deadline_ns[id]).min().unwrap_or(u64::MAX);
    }

    /// Expires what is due. True if anything was.
    fn expire(&mut self, now_ns: u64) -> bool {
        if now_ns < self.next_ns || self.armed == 0 {
            return false;
        }
        let mut any = false;
        for id in bits(self.armed) {
            let deadline_ns = self.deadline_ns[id];
            if deadline_ns > now_ns {
                continue;
            }
            any = true;
            self.armed &= !(1 << id);
            // How many periods have passed since the deadline, none if it has no period.
            let periods = (now_ns - deadline_ns).checked_div(self.period_ns[id]);
            let times = 1 + periods.unwrap_or(0);
            if periods.is_some() {
                // A next time beyond the end of the clock never comes.
                let ahead_ns = times.checked_mul(self.period_ns[id]);
                if let Some(next_ns) = ahead_ns.and_then(|ahead_ns| deadline_ns.checked_add(ahead_ns)) {
                    self.deadline_ns[id] = next_ns;
                    self.armed |= 1 << id;
                }
            }
            self.expired |= 1 << id;
            self.count[id] = self.count[id].saturating_add(times);
        }
        self.find_next();
        any
    }
}

/// The positions of the ones in `mask`, lowest first.
fn bits(mask: u32) -> impl Iterator<Item = usize> {
    let mut left = mask;
    core::iter::from_fn(move || {
        let id = left.trailing_zeros() as usize;
        left &= left.wrapping_sub(1);
        (id < u32::BITS as usize).then_some(id)
    })
}

/// The timers of `N` clients, named by their index.
#[derive(Debug)]
pub struct Timers<const N: usize> {
    clients: [Client; N],
}

impl<const N: usize> Default for Timers<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Timers<N> {
    /// No timers.
    pub const fn new() -> Self {
        Self { clients: [Client::NEW; N] }
    }

    /// Sets timer `id` of `client`, in place of what it was, to `deadline_ns` and then every `period_ns` (0: once).
    ///
    /// # Errors
    /// When the id is too large or the period too short.
    pub fn set(&mut self, client: usize, id: u64, deadline_ns: u64, period_ns: u64) -> Result<(), SetError> {
        let id = check(id)?;
        if period_ns != 0 && period_ns < MIN_PERIOD_NS {
            return Err(SetError::PeriodTooShort);
        }
        let client = &mut self.clients[client];
        client.deadline_ns[id] = deadline_ns;
        client.period_ns[id] = period_ns;
        client.armed |= 1 << id;
        client.expired &= !(1 << id);
        client.count[id] = 0;
        client.find_next();
        Ok(())
    }

    /// Cancels timer `id` of `client` and forgets its expiries. True if it waited or had any.
    ///
    /// # Errors
    /// When the id is too large.
    pub fn cancel(&mut self, client: usize, id: u64) -> Result<bool, SetError> {
        let id = check(id)?;
        let client = &mut self.clients[client];
        let was = (client.armed | client.expired) >> id & 1 != 0;
        client.armed &= !(1 << id);
        client.expired &= !(1 << id);
        client.count[id] = 0;
        client.find_next();
        Ok(was)
    }

    /// Forgets all timers of `client`.
    pub fn reset(&mut self, client: usize) {
        self.clients[client] = Client::NEW;
    }

    /// Expires what is due for all clients; `tell` gets each client that has something new.
    pub fn expire(&mut self, now_ns: u64, mut tell: impl FnMut(usize)) {
        for (index, client) in self.clients.iter_mut().enumerate() {
            if client.expire(now_ns) {
                tell(index);
            }
        }
    }

    /// Timers of `client` with expiries to take, one bit an id.
    pub fn expired(&self, client: usize) -> u32 {
        self.clients[client].expired
    }

    /// Takes the expiries of the first such timer: its id, and how many.
    pub fn take(&mut self, client: usize) -> Option<(usize, u64)> {
        let client = &mut self.clients[client];
        let id = bits(client.expired).next()?;
        client.expired &= !(1 << id);
        Some((id, core::mem::take(&mut client.count[id])))
    }

    /// The earliest deadline.
    pub fn next_ns(&self) -> Option<u64> {
        self.clients.iter().filter(|client| client.armed != 0).map(|client| client.next_ns).min()
    }
}

fn check(id: u64) -> Result<usize, SetError> {
    usize::try_from(id).ok().filter(|id| *id < TIMERS).ok_or(SetError::BadId)
}
