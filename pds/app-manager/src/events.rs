//! What apps are told without asking.

use app_abi::call::event;
use app_abi::ring::Reply;
use app_abi::status;

use crate::calls::{DONE, Outcome};
use crate::manager::Manager;
use crate::slot::{Keyword, Occupant};
use crate::world::World;

impl Manager<'_> {
    /// Tells an app what there is to tell, as far as its ring has room; the rest waits until it has taken replies.
    pub(crate) fn tell(&mut self, slot: usize, world: &mut impl World) {
        let Some(occupant) = &mut self.slots[slot].occupant else { return };
        let mut told = false;
        // Counts that make no sense are found when its requests are looked at.
        while occupant.requests.room().is_ok_and(|room| room > occupant.pending.len() as u64)
            && let Some(reply) = next_event(occupant)
        {
            occupant.requests.put(&reply);
            told = true;
        }
        if told {
            world.notify(slot);
        }
    }

    pub(crate) fn subscribe(&mut self, slot: usize, wanted: u64, world: &mut impl World) -> Outcome {
        let occupant = self.slots[slot].occupant.as_mut().ok_or(status::UNAVAILABLE)?;
        occupant.wants_keywords = match wanted {
            0 => false,
            1 => true,
            _ => return Err(status::BAD_ARGUMENT),
        };
        match self.update_keywords(world) || wanted == 0 {
            true => DONE,
            false => Err(status::UNAVAILABLE),
        }
    }

    /// Lets the app manager hear keywords if an app wants to. False if that is not possible.
    pub fn update_keywords(&mut self, world: &mut impl World) -> bool {
        let occupants = self.slots.iter().filter_map(|slot| slot.occupant.as_ref());
        world.keywords(occupants.filter(|occupant| occupant.wants_keywords).count() != 0)
    }

    /// A keyword was detected.
    pub fn keyword(&mut self, keyword: Keyword, world: &mut impl World) {
        for slot in 0..self.slots.len() {
            if let Some(occupant) = self.slots[slot].occupant.as_mut().filter(|occupant| occupant.wants_keywords) {
                occupant.hear(keyword);
                self.tell(slot, world);
            }
        }
    }
}

/// What an app is to be told next.
fn next_event(occupant: &mut Occupant) -> Option<Reply> {
    if occupant.stop_at_ns.is_some() && !core::mem::replace(&mut occupant.stop_told, true) {
        return Some(Reply::new(event::STOP, 0, status::OK, []));
    }
    if let Some(number) = occupant.timers.iter().position(|timer| timer.has_expired()) {
        let times = occupant.timers[number].take();
        return Some(Reply::new(event::TIMER, 0, status::OK, [number as u64, times]));
    }
    let keyword = occupant.keywords.pop_front()?;
    let dropped = core::mem::take(&mut occupant.keywords_dropped);
    let Keyword { number, confidence, word, time_ns } = keyword;
    let word = u128::from_le_bytes(word);
    let values = [number, confidence.into(), time_ns, dropped, word as u64, (word >> 64) as u64];
    Some(Reply::new(event::KEYWORD, 0, status::OK, values))
}
