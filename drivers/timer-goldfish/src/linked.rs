//! A client that may not call: a link of requests and events.

use protocols::timer::{Event, Request, op, status};
use ring::{Link, LinkError, Notify, PushError};

use crate::driver::Driver;
use crate::registers::Registers;

/// Requests that one turn takes of one client.
const REQUESTS: usize = 16;

/// The driver's end of a link.
#[derive(Debug)]
pub struct Linked<N> {
    link: Link<Event, Request, N>,
    index: usize,
}

impl<N: Notify> Linked<N> {
    /// The client with this link, number `index` of the driver's.
    pub fn new(link: Link<Event, Request, N>, index: usize) -> Self {
        Self { link, index }
    }

    /// Does what the client asks. True if more requests may be there, which nobody will notify of.
    pub fn take_requests(&mut self, driver: &mut Driver<'_, impl Registers>) -> bool {
        // A client that restarts or misbehaves has no timers until it sets them in its next session.
        match self.link.poll() {
            Ok(false) => (),
            Ok(true) | Err(_) => driver.reset(self.index),
        }
        for _ in 0..REQUESTS {
            match self.take_request(driver) {
                Ok(true) => (),
                Ok(false) => return false,
                Err(_) => {
                    driver.reset(self.index);
                    return false;
                }
            }
        }
        true
    }

    /// Tells the client what has expired, as far as there is room; the rest when the client has made some.
    pub fn send_expired(&mut self, driver: &mut Driver<'_, impl Registers>) {
        while driver.has_expired(self.index) && self.link.reserve(1) == Ok(true) {
            let Some((id, count)) = driver.take(self.index) else { return };
            // There is room; if the client has restarted, its timers are gone anyway.
            let _ = self.link.push(&Event { op: Event::EXPIRED, id: id as u64, status: status::OK, value: count });
        }
    }

    /// Takes a request only if there is room for its answer, so that no answer is dropped. False if there is none.
    fn take_request(&mut self, driver: &mut Driver<'_, impl Registers>) -> Result<bool, LinkError> {
        if !self.link.reserve(1)? {
            return Ok(false);
        }
        let Some(Request { op, id, time_ns, period_ns }) = self.link.pop()? else { return Ok(false) };
        let result = match op {
            op::SET_AT | op::SET_AFTER => driver.request(self.index, op, &[id, time_ns, period_ns]),
            op::CANCEL => driver.request(self.index, op, &[id]),
            op => driver.request(self.index, op, &[]),
        };
        let (status, value) = result.map_or_else(|status| (status, 0), |value| (status::OK, value));
        match self.link.push(&Event { op, id, status, value }) {
            Ok(()) | Err(PushError::Full) => Ok(true),
            Err(PushError::Link(error)) => Err(error),
        }
    }
}
