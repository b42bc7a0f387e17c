//! The client's side of the timer.

use core::fmt;

use super::{MAX_ANSWER, TIMERS, op, status};

/// How a call reaches the driver.
pub trait Call {
    /// Calls with this label and these words, waits, and gives the answer's label and number of words, which are in
    /// `answer` (more than fit are cut off).
    fn call(&self, label: u64, message: &[u64], answer: &mut [u64]) -> (u64, usize);
}

/// Calls on a channel: its id, then as [`Call::call`].
pub type CallChannel = fn(usize, u64, &[u64], &mut [u64]) -> (u64, usize);

/// Calls by a channel of the protection domain. [`timer!`](crate::timer!) makes it.
#[derive(Clone, Copy)]
pub struct ChannelCall {
    channel: usize,
    call: CallChannel,
}

impl ChannelCall {
    /// Calls by `call`, with this `channel`.
    pub const fn new(channel: usize, call: CallChannel) -> Self {
        Self { channel, call }
    }

    /// Id of the channel; the driver notifies on it.
    pub const fn channel(&self) -> usize {
        self.channel
    }
}

impl Call for ChannelCall {
    fn call(&self, label: u64, message: &[u64], answer: &mut [u64]) -> (u64, usize) {
        (self.call)(self.channel, label, message, answer)
    }
}

impl fmt::Debug for ChannelCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelCall({})", self.channel)
    }
}

/// The timer of a protection domain: `timer!(NAME)` gives `Option<Timer>`, `None` if the system description does not wire
/// it. Declares the symbol `NAME`, the channel's id, that the composer patches (62 and above mean "not wired"), and the calls
/// in the program's notes. The package must depend on `sel4-microkit`.
#[macro_export]
macro_rules! timer {
    ($name:ident) => {{
        $crate::calls!($name: $crate::timer::PROTOCOL, $crate::timer::VERSION);
        fn call(channel: usize, label: u64, message: &[u64], answer: &mut [u64]) -> (u64, usize) {
            sel4_microkit::with_msg_regs_mut(|registers| registers[..message.len()].copy_from_slice(message));
            let info = sel4_microkit::MessageInfo::new(label, message.len());
            let info = sel4_microkit::Channel::new(channel).pp_call(info);
            let count = info.count().min(answer.len());
            sel4_microkit::with_msg_regs(|registers| answer[..count].copy_from_slice(&registers[..count]));
            (info.label(), count)
        }
        let channel = *sel4_microkit::var!($name: usize = usize::MAX);
        (channel < 62).then(|| $crate::timer::Timer::new($crate::timer::ChannelCall::new(channel, call)))
    }};
}

/// Why a call to the timer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerError {
    /// The id is not below [`TIMERS`].
    BadId,
    /// The deadline is beyond the end of the clock.
    TooFar,
    /// The period is shorter than [`super::MIN_PERIOD_NS`].
    PeriodTooShort,
    /// The driver has no room for another client.
    TooManyClients,
    /// The driver does not understand, or is not understood: client and driver are of different versions.
    Protocol,
    /// The driver restarted within each try.
    Restarting,
}

impl fmt::Display for TimerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TimerError::BadId => "timer: no such id",
            TimerError::TooFar => "timer: the deadline is beyond the end of the clock",
            TimerError::PeriodTooShort => "timer: the period is too short",
            TimerError::TooManyClients => "timer: the driver has no room for another client",
            TimerError::Protocol => "timer: client and driver do not understand each other",
            TimerError::Restarting => "timer: the driver does not stop restarting",
        })
    }
}

impl core::error::Error for TimerError {}

/// Timers that expired, and how often since the last look: more than once only if periodic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    counts: [u64; TIMERS],
}

impl Expired {
    /// How often timer `id` expired.
    pub fn count(&self, id: usize) -> u64 {
        self.counts.get(id).copied().unwrap_or(0)
    }

    /// Ids of the timers that expired, and how often, lowest id first.
    pub fn iter(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.counts.iter().copied().enumerate().filter(|(_, count)| *count != 0)
    }

    /// Whether none expired.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

/// A timer as its client knows it: what to set again when the driver has forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Armed {
    deadline_ns: u64,
    period_ns: u64,
}

/// Tries of a call while the driver keeps restarting.
const TRIES: usize = 4;

/// A client's end of the timer.
#[derive(Debug)]
pub struct Timer<C = ChannelCall> {
    call: C,
    /// When the driver started that knows the timers below; `None` before the first call.
    driver: Option<u64>,
    timers: [Option<Armed>; TIMERS],
}

impl<C: Call> Timer<C> {
    /// A client without timers. Nothing is called yet; the first call cancels what an earlier life of this client left.
    pub fn new(call: C) -> Self {
        Self { call, driver: None, timers: [None; TIMERS] }
    }

    /// How calls reach the driver.
    pub fn transport(&self) -> &C {
        &self.call
    }

    /// The time in nanoseconds.
    ///
    /// # Errors
    /// [`TimerError::Protocol`] or [`TimerError::Restarting`]; all calls may give these.
    pub fn now_ns(&mut self) -> Result<u64, TimerError> {
        self.value(op::NOW, &[])
    }

    /// Sets timer `id` to expire once, at `deadline_ns`; at once if that is past.
    ///
    /// # Errors
    /// When the id is too large.
    pub fn set_at(&mut self, id: usize, deadline_ns: u64) -> Result<(), TimerError> {
        self.set(op::SET_AT, id, deadline_ns, 0).map(|_| ())
    }

    /// Sets timer `id` to expire once, `delay_ns` from now, and gives that time.
    ///
    /// # Errors
    /// When the id is too large or the time too far.
    pub fn set_after(&mut self, id: usize, delay_ns: u64) -> Result<u64, TimerError> {
        self.set(op::SET_AFTER, id, delay_ns, 0)
    }

    /// Sets timer `id` to expire every `period_ns`, for the first time that long from now, and gives that time. The times
    /// do not drift.
    ///
    /// # Errors
    /// When the id is too large, the period too short, or the time too far.
    pub fn set_every(&mut self, id: usize, period_ns: u64) -> Result<u64, TimerError> {
        // A period of 0 would mean "once" to the driver.
        if period_ns == 0 {
            return Err(TimerError::PeriodTooShort);
        }
        self.set(op::SET_AFTER, id, period_ns, period_ns)
    }

    /// Cancels timer `id`, and forgets an expiry that was not taken yet. True if there was either.
    ///
    /// # Errors
    /// When the id is too large.
    pub fn cancel(&mut self, id: usize) -> Result<bool, TimerError> {
        let armed = self.timers.get_mut(id).ok_or(TimerError::BadId)?.take().is_some();
        Ok(self.value(op::CANCEL, &[id as u64])? != 0 || armed)
    }

    /// Takes the expiries. To be called whenever the driver notifies, even if no timer is set: that is also how it says
    /// that it restarted.
    ///
    /// # Errors
    /// See [`Timer::now_ns`].
    pub fn take_expired(&mut self) -> Result<Expired, TimerError> {
        let mut answer = [0; MAX_ANSWER];
        let words = self.request(op::TAKE_EXPIRED, &[], &mut answer)?;
        let mask = if words > 1 { answer[1] } else { return Err(TimerError::Protocol) };
        if mask >> TIMERS != 0 || words != 2 + mask.count_ones() as usize {
            return Err(TimerError::Protocol);
        }
        let mut expired = Expired { counts: [0; TIMERS] };
        let ids = (0..TIMERS).filter(|id| mask >> id & 1 != 0);
        for (id, count) in ids.zip(&answer[2..words]) {
            expired.counts[id] = *count;
            self.timers[id] = self.timers[id].filter(|timer| timer.period_ns != 0).map(|timer| Armed {
                deadline_ns: timer.deadline_ns.saturating_add(timer.period_ns.saturating_mul(*count)),
                ..timer
            });
        }
        Ok(expired)
    }

    fn set(&mut self, label: u64, id: usize, time_ns: u64, period_ns: u64) -> Result<u64, TimerError> {
        if id >= TIMERS {
            return Err(TimerError::BadId);
        }
        let deadline_ns = self.value(label, &[id as u64, time_ns, period_ns])?;
        self.timers[id] = Some(Armed { deadline_ns, period_ns });
        Ok(deadline_ns)
    }

    /// A call whose answer has one word after the driver's start.
    fn value(&mut self, label: u64, message: &[u64]) -> Result<u64, TimerError> {
        let mut answer = [0; 2];
        let words = self.request(label, message, &mut answer)?;
        if words == answer.len() { Ok(answer[1]) } else { Err(TimerError::Protocol) }
    }

    /// Calls until the driver that answered is the one that knows this client's timers.
    fn request(&mut self, label: u64, message: &[u64], answer: &mut [u64]) -> Result<usize, TimerError> {
        for _ in 0..TRIES {
            if self.driver.is_none() {
                self.set_all_again()?;
            }
            let words = self.call_once(label, message, answer)?;
            if self.driver == Some(answer[0]) {
                return Ok(words);
            }
            self.driver = None;
        }
        Err(TimerError::Restarting)
    }

    /// Makes a driver that knows nothing of this client, or something outdated, know its timers.
    fn set_all_again(&mut self) -> Result<(), TimerError> {
        let mut answer = [0; 2];
        self.call_once(op::RESET, &[], &mut answer)?;
        let driver = answer[0];
        for (id, timer) in self.timers.iter().enumerate() {
            let Some(Armed { deadline_ns, period_ns }) = *timer else { continue };
            self.call_once(op::SET_AT, &[id as u64, deadline_ns, period_ns], &mut answer)?;
        }
        // If it restarted once more in between, the next call finds that out.
        self.driver = Some(driver);
        Ok(())
    }

    fn call_once(&self, label: u64, message: &[u64], answer: &mut [u64]) -> Result<usize, TimerError> {
        match self.call.call(label, message, answer) {
            (status::OK, words @ 1..) => Ok(words.min(answer.len())),
            (status::BAD_ID, _) => Err(TimerError::BadId),
            (status::TOO_FAR, _) => Err(TimerError::TooFar),
            (status::PERIOD_TOO_SHORT, _) => Err(TimerError::PeriodTooShort),
            (status::TOO_MANY_CLIENTS, _) => Err(TimerError::TooManyClients),
            _ => Err(TimerError::Protocol),
        }
    }
}
