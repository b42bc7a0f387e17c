//! Commands about apps: the app manager does them, and says in lines how it went.

use super::{Activity, Shell};
use crate::world::World;
use heapless::Vec;
use protocols::apps::{Request, TEXT_BYTES, kind, op};

/// How long the app manager may take to answer, in microseconds: the root of trust and the disk have times of their own,
/// which are shorter.
const ANSWER_US: u64 = 70_000_000;
/// Bytes of the longest line; what is longer goes on in the next.
pub(super) const LINE_BYTES: usize = 4 * TEXT_BYTES;

/// A line of which not all parts have come.
pub(super) type Partial = Vec<u8, LINE_BYTES>;

impl Shell<'_> {
    /// Whether a name is that of a protection domain, which the supervisor controls; others are taken for apps'.
    pub(super) fn is_pd(&self, name: &str) -> bool {
        self.facts().table.pd_by_name(name).is_some()
    }

    /// Asks the app manager for something.
    pub(super) fn ask_apps(&mut self, number: u32, text: &str, argument: u32, world: &mut impl World) {
        let token = self.token() as u32;
        let Some(request) = Request::new(number, token, argument, text.as_bytes()) else {
            return world.print(format_args!("'{text}' is longer than {TEXT_BYTES} bytes"));
        };
        self.partial.clear();
        match world.ask_apps(request) {
            true => self.activity = Activity::AskingApps { token, give_up_us: world.now_us() + ANSWER_US },
            false => world.print(format_args!("the app manager takes no requests now")),
        }
    }

    /// Starts, stops or restarts an app.
    pub(super) fn control_app(&mut self, command: &str, name: &str, world: &mut impl World) {
        let number = match command {
            "start" => op::START,
            "stop" => op::STOP,
            _ => op::RESTART,
        };
        self.ask_apps(number, name, 0, world);
    }

    /// Takes the next answer. False if there is none yet.
    pub(super) fn take_apps_answer(&mut self, token: u32, give_up_us: u64, world: &mut impl World) -> bool {
        // Answers to requests that were given up are still on their way.
        let answer = core::iter::from_fn(|| world.apps_answer()).find(|answer| answer.token == token);
        let Some(answer) = answer else {
            let is_late = world.now_us() >= give_up_us;
            if is_late {
                self.activity = Activity::Idle;
                world.print(format_args!("the app manager does not answer"));
            }
            return is_late;
        };
        if answer.kind == kind::DONE {
            self.activity = Activity::Idle;
            return true;
        }
        if self.partial.extend_from_slice(answer.bytes()).is_err() {
            self.print_partial(world);
            // A part is shorter than a line.
            let _ = self.partial.extend_from_slice(answer.bytes());
        }
        if answer.last != 0 {
            self.print_partial(world);
        }
        true
    }

    fn print_partial(&mut self, world: &mut impl World) {
        if self.partial.is_empty() {
            world.print(format_args!(""));
        }
        for chunk in self.partial.utf8_chunks() {
            world.print(format_args!("{}", chunk.valid()));
        }
        self.partial.clear();
    }
}
