//! The timer, by link: a call would hold the runner up for as long as the driver is stopped.

use protocols::timer::{Event, Request, op};
use ring::{Link, Notify};

/// The one timer that the runner uses.
const WAKE_UP: u64 = 0;

/// Asks to be run again.
pub struct Wake<N> {
    link: Link<Request, Event, N>,
    /// When the timer expires, unless the driver has forgotten it.
    armed_ns: Option<u64>,
}

impl<N: Notify> Wake<N> {
    /// Nothing is asked yet.
    pub fn new(link: Link<Request, Event, N>) -> Self {
        Wake { link, armed_ns: None }
    }

    /// Takes what the driver said. To be called first in every turn.
    pub fn hear(&mut self) {
        // A driver that came up anew knows nothing; one that makes no sense is of no use until it does.
        if self.link.poll() != Ok(false) {
            self.armed_ns = None;
        }
        while let Ok(Some(event)) = self.link.pop() {
            if event.op == Event::EXPIRED {
                self.armed_ns = None;
            }
        }
    }

    /// Asks to be notified at `time_ns` at the latest, of a clock that says `now_ns`. A driver that is not there, or full,
    /// hears it at the next call.
    pub fn at(&mut self, time_ns: u64, now_ns: u64) {
        // Being woken too early does no harm; the next time is asked for then.
        if self.armed_ns.is_some_and(|armed_ns| armed_ns <= time_ns) {
            return;
        }
        let delay_ns = time_ns.saturating_sub(now_ns);
        let request = Request { op: op::SET_AFTER, id: WAKE_UP, time_ns: delay_ns, period_ns: 0 };
        if self.link.push(&request).is_ok() {
            self.armed_ns = Some(time_ns);
        }
    }
}
