//! What the shell wants of the keyword spotter.

use super::{ANSWER_TIMEOUT_US, Activity, Shell};
use crate::keywords;
use crate::world::World;
use protocols::keywords::{Request, kind, request};

impl Shell<'_> {
    pub(super) fn ask_keywords(&mut self, world: &mut impl World) {
        let token = self.token() as u32;
        match world.ask_keywords(Request { kind: request::QUERY, token }) {
            Ok(()) => {
                let give_up_us = world.now_us() + ANSWER_TIMEOUT_US;
                self.activity = Activity::AskingKeywords { token, give_up_us };
            }
            Err(error) => world.print(format_args!("keywords: {error}")),
        }
    }

    /// Takes the spotter's events; true once the answer is complete. Those of an answer that was given up are of no use any more.
    pub(super) fn take_keywords(&mut self, token: u32, world: &mut impl World) -> bool {
        while let Some(event) = world.keywords_event() {
            match event.kind {
                _ if event.token != token => (),
                kind::RECENT => keywords::print_heard(&event.body(), world),
                kind::STATUS => {
                    keywords::print_status(&event.body(), world);
                    return true;
                }
                _ => (),
            }
        }
        false
    }
}
