//! `npu`: what the shell asks the accelerator's driver, and how it tells the answers.

use crate::units::{Bytes, Micros};
use crate::world::World;
use protocols::npu::{Request, Status, code, fault, kind, state};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// How it is.
    Status,
    /// To reset it.
    Reset,
    /// To make the next job a fault: its name and its number in the protocol.
    Provoke(&'static str, u64),
}

/// Words for actions, for parsing and completion.
const ACTIONS: [(&str, Action); 4] = [
    ("reset", Action::Reset),
    ("hang", Action::Provoke("hang", fault::HANG)),
    ("crash", Action::Provoke("crash", fault::CRASH)),
    ("nonsense", Action::Provoke("nonsense", fault::NONSENSE)),
];

/// What can stand behind `npu`.
pub fn words() -> impl Iterator<Item = &'static str> + Clone {
    ACTIONS.iter().map(|(word, _)| *word)
}

impl Action {
    /// The action that a word asks for.
    pub fn from_word(word: &str) -> Option<Action> {
        ACTIONS.iter().find(|(name, _)| *name == word).map(|(_, action)| *action)
    }

    /// The request to the driver, with this number.
    pub fn request(self, token: u32) -> Request {
        match self {
            Action::Status => Request::ask(kind::STATUS, token),
            Action::Reset => Request::ask(kind::RESET, token),
            Action::Provoke(_, fault) => Request { fault, ..Request::ask(kind::PROVOKE, token) },
        }
    }
}

/// Says how the accelerator is.
pub fn print_status(status: &Status, world: &mut impl World) {
    let Status { state, waiting, done, refused, cancelled, failed, resets, .. } = *status;
    world.print(format_args!(
        "{}; {waiting} jobs under way, {done} done, {refused} refused, {cancelled} cancelled, {failed} failed; {resets} resets",
        state::text(state)
    ));
    if state == state::ABSENT {
        return;
    }
    let permille = (status.busy_ns / 1_000).saturating_mul(1000).checked_div(status.up_ns / 1_000).unwrap_or(0);
    world.print(format_args!(
        "busy {} of {} ({}.{} %), {} instructions, heartbeat {}",
        Micros(status.busy_ns / 1_000),
        Micros(status.up_ns / 1_000),
        permille / 10,
        permille % 10,
        status.instructions,
        status.heartbeat
    ));
    world.print(format_args!("shares {} at {:#x} with the system", Bytes(status.window_bytes), status.window));
    if status.last_error != code::DONE {
        world.print(format_args!("last failure: {}", code::text(status.last_error)));
    }
    if status.crashes > 0 {
        let Status { crashes, cause, pc, value, .. } = *status;
        world.print(format_args!("{crashes} crashes; last: cause {cause}, pc {pc:#x}, address {value:#x}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_actions() {
        assert!(words().all(|word| Action::from_word(word).is_some()));
        assert_eq!(Action::from_word("sleep"), None);
        let request = Action::from_word("crash").unwrap().request(7);
        assert_eq!((request.kind, request.job, request.fault), (kind::PROVOKE, 7, fault::CRASH));
    }
}
