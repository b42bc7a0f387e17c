//! What apps ask for: each request held against its bounds and the app's permissions, then done or passed on.

use crate::fault::Cause;
use crate::manager::{Ending, Manager};
use crate::slot::Pending;
use crate::world::World;
use app_abi::call;
use app_abi::ring::{MAX_PENDING, Reply, Request};
use app_abi::{Permission, status};
use core::fmt::{self, Write};
use protocols::console::Level;

/// Requests of one app that are served before it is the next one's turn.
pub const TURN_REQUESTS: usize = 8;
/// Replies kept free for events, beside those of requests that are under way.
const EVENT_ROOM: u64 = 4;

/// How a request is answered.
pub(crate) enum Answer {
    /// At once, with these values.
    Now([u64; 2]),
    /// When a service has answered.
    Later,
    /// Not at all: the app has ended.
    Never,
}

pub(crate) type Outcome = Result<Answer, u32>;

pub(crate) const DONE: Outcome = Ok(Answer::Now([0, 0]));

impl Manager<'_> {
    /// The apps in these slots have notified: counts that as a message of each.
    pub fn app_notified(&mut self, slot: usize, world: &mut impl World) {
        self.count_messages(slot, 1, world);
    }

    /// Serves a bounded number of requests of each app.
    pub fn serve(&mut self, world: &mut impl World) {
        self.is_busy = false;
        for slot in 0..self.slots.len() {
            self.serve_slot(slot, world);
        }
    }

    fn serve_slot(&mut self, slot: usize, world: &mut impl World) {
        for _ in 0..TURN_REQUESTS {
            let Some(occupant) = &mut self.slots[slot].occupant else { return };
            if occupant.held_back {
                return;
            }
            let under_way = occupant.pending.len() as u64;
            let next = occupant.requests.room().and_then(|room| match room > under_way + EVENT_ROOM {
                true => occupant.requests.take(),
                // The app notifies when it has taken some.
                false => Ok(None),
            });
            match next {
                Ok(Some(request)) => self.request(slot, &request, world),
                Ok(None) => return self.tell(slot, world),
                Err(_) => return self.end(slot, Ending::Fault(Cause::BadRing), world),
            }
        }
        let waiting = |slot: &crate::slot::Slot| slot.occupant.as_ref().map(|occupant| occupant.requests.is_waiting());
        self.is_busy |= waiting(&self.slots[slot]) == Some(Ok(true));
        self.tell(slot, world);
    }

    /// Counts what an app sent, and holds it back if that is too much.
    fn count_messages(&mut self, slot: usize, messages: u32, world: &mut impl World) {
        let now_ns = world.now_ns();
        let Some(occupant) = self.slots.get_mut(slot).and_then(|slot| slot.occupant.as_mut()) else { return };
        if !occupant.count_messages(messages, now_ns) || occupant.held_back {
            return;
        }
        occupant.held_back = true;
        world.stop(slot);
        if let Some(app) = &mut self.apps[occupant.app] {
            app.counts.held_back += 1;
            if app.counts.held_back == 1 {
                let name = &app.installed.name;
                world.say(Level::Warning, format_args!("{name} sends too many messages; it is held back"));
            }
        }
    }

    fn request(&mut self, slot: usize, request: &Request, world: &mut impl World) {
        self.count_messages(slot, 1, world);
        let outcome = self.perform(slot, request, world);
        // The app may be gone.
        let Some(occupant) = &mut self.slots[slot].occupant else { return };
        if let Some(app) = &mut self.apps[occupant.app] {
            app.counts.requests += 1;
            let refused = [status::BAD_REQUEST, status::NOT_PERMITTED, status::BAD_ADDRESS, status::TOO_LONG];
            app.counts.refused += u64::from(matches!(outcome, Err(status) if refused.contains(&status)));
            app.counts.dropped_lines += u64::from(matches!(outcome, Err(status::DROPPED)));
        }
        let reply = match outcome {
            Ok(Answer::Now(values)) => Reply::new(request.call, request.token, status::OK, values),
            Ok(Answer::Later | Answer::Never) => return,
            Err(status) => Reply::new(request.call, request.token, status, []),
        };
        occupant.requests.put(&reply);
        world.notify(slot);
    }

    fn perform(&mut self, slot: usize, request: &Request, world: &mut impl World) -> Outcome {
        let (needed, used) = rule(request.call).ok_or(status::BAD_REQUEST)?;
        if request.arguments[used..].iter().any(|argument| *argument != 0) {
            return Err(status::BAD_REQUEST);
        }
        let occupant = self.slots[slot].occupant.as_mut().ok_or(status::UNAVAILABLE)?;
        if needed.is_some_and(|needed| !occupant.permissions.contains(needed)) {
            return Err(status::NOT_PERMITTED);
        }
        let is_passed_on = !matches!(
            request.call,
            call::EXIT | call::LOG | call::TIMER_SET | call::TIMER_CANCEL | call::MODEL_CANCEL | call::KEYWORDS
        );
        if is_passed_on && occupant.pending.len() >= MAX_PENDING {
            return Err(status::BUSY);
        }
        let now_ns = world.now_ns();
        let [first, second, third, ..] = request.arguments;
        match request.call {
            call::EXIT => {
                self.end(slot, Ending::Exit(first as i64), world);
                Ok(Answer::Never)
            }
            call::LOG => self.log(slot, first, (second, third), world),
            call::TIMER_SET => {
                let timer = occupant.timers.get_mut(first as usize).ok_or(status::BAD_ARGUMENT)?;
                let period_fits = third == 0 || (call::MIN_PERIOD_NS..=call::MAX_DELAY_NS).contains(&third);
                if second > call::MAX_DELAY_NS || !period_fits {
                    return Err(status::BAD_ARGUMENT);
                }
                timer.set(now_ns, second, third);
                DONE
            }
            call::TIMER_CANCEL => {
                let timer = occupant.timers.get_mut(first as usize).ok_or(status::BAD_ARGUMENT)?;
                Ok(Answer::Now([timer.cancel().into(), 0]))
            }
            call::RANDOM => self.random(slot, request, world),
            call::MODEL_INFO | call::MODEL_SUBMIT => self.model(slot, request, world),
            call::MODEL_CANCEL => self.cancel(slot, first, world),
            call::KEYWORDS => self.subscribe(slot, first, world),
            _ => self.store(slot, request, world),
        }
    }

    fn log(&mut self, slot: usize, level: u64, text: (u64, u64), world: &mut impl World) -> Outcome {
        let level = match level {
            call::LEVEL_ERROR => Level::Error,
            call::LEVEL_WARNING => Level::Warning,
            call::LEVEL_INFO => Level::Info,
            call::LEVEL_DEBUG => Level::Debug,
            _ => return Err(status::BAD_ARGUMENT),
        };
        let mut bytes = [0; call::MAX_LOG_BYTES as usize];
        let text = self.fetch(slot, text, &mut bytes)?;
        let name = self.app_name(slot);
        match world.say(level, format_args!("{name}: {}", OneLine(text))) {
            true => DONE,
            false => Err(status::DROPPED),
        }
    }

    fn app_name(&self, slot: usize) -> &str {
        let app = self.slots[slot].occupant.as_ref().and_then(|occupant| self.apps[occupant.app].as_ref());
        app.map_or("", |app| &app.installed.name)
    }

    /// Copies what lies at an address of the app.
    pub(crate) fn fetch<'b>(
        &self,
        slot: usize,
        (address, length): (u64, u64),
        into: &'b mut [u8],
    ) -> Result<&'b [u8], u32> {
        let length = usize::try_from(length).map_err(|_| status::TOO_LONG)?;
        let into = into.get_mut(..length).ok_or(status::TOO_LONG)?;
        self.slots[slot].memory.read(address, into)?;
        Ok(into)
    }

    /// The same for text.
    pub(crate) fn fetch_text<'b>(&self, slot: usize, place: (u64, u64), into: &'b mut [u8]) -> Result<&'b str, u32> {
        let text = core::str::from_utf8(self.fetch(slot, place, into)?).map_err(|_| status::BAD_ARGUMENT)?;
        let plain = !text.is_empty() && !text.chars().any(|character| character.is_control() || character == '/');
        if plain && !text.starts_with('.') { Ok(text) } else { Err(status::BAD_ARGUMENT) }
    }

    pub(crate) fn wait_for(&mut self, slot: usize, pending: Pending) -> Outcome {
        let occupant = self.slots[slot].occupant.as_mut().ok_or(status::UNAVAILABLE)?;
        // There is room: that was looked at first.
        occupant.pending.push(pending).map_err(|_| status::BUSY)?;
        Ok(Answer::Later)
    }
}

/// The permission that a call needs, and how many arguments it has; `None` if there is no such call.
fn rule(number: u32) -> Option<(Option<Permission>, usize)> {
    Some(match number {
        call::EXIT => (None, 1),
        call::LOG => (Some(Permission::Log), 3),
        call::RANDOM => (Some(Permission::Random), 2),
        call::TIMER_SET => (Some(Permission::Timers), 3),
        call::TIMER_CANCEL => (Some(Permission::Timers), 1),
        call::KV_READ | call::KV_WRITE => (Some(Permission::Kv), 4),
        call::KV_DELETE => (Some(Permission::Kv), 2),
        call::KV_LIST => (Some(Permission::Kv), 3),
        call::FILE_READ | call::FILE_WRITE => (Some(Permission::Files), 5),
        call::FILE_REMOVE | call::FILE_SIZE => (Some(Permission::Files), 2),
        call::FILE_LIST => (Some(Permission::Files), 3),
        call::MODEL_INFO | call::MODEL_CANCEL => (Some(Permission::Models), 1),
        call::MODEL_SUBMIT => (Some(Permission::Models), 4),
        call::KEYWORDS => (Some(Permission::Keywords), 1),
        _ => return None,
    })
}

/// Bytes of an app as one line of text: line breaks are spaces, and what is not UTF-8 is shown as `\xNN`.
struct OneLine<'a>(&'a [u8]);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                f.write_char(if character == '\n' { ' ' } else { character })?;
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_one_line() {
        assert_eq!(OneLine("a\nb é".as_bytes()).to_string(), "a b é");
        assert_eq!(OneLine(b"x\xff\xfey").to_string(), "x\\xff\\xfey");
    }
}
