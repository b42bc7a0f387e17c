//! What the shell wants of the root of trust: one request after the other, each answer told row by row.

use super::{Activity, Shell};
use crate::rot::Stage;
use crate::world::World;
use protocols::rot::{DEFAULT_TIMEOUT_MS, Reply, status};

/// How long the driver may take: it gives up itself before that.
const ANSWER_TIMEOUT_US: u64 = DEFAULT_TIMEOUT_MS as u64 * 1_000 + 2_000_000;

impl Shell<'_> {
    pub(super) fn ask_rot(&mut self, stage: Stage, world: &mut impl World) {
        let token = self.token();
        match world.ask_rot(&stage.request(token)) {
            Ok(()) => {
                let give_up_us = world.now_us() + ANSWER_TIMEOUT_US;
                self.activity = Activity::AskingRot { token, give_up_us, stage };
            }
            Err(error) => {
                self.activity = Activity::Idle;
                world.print(format_args!("{}: {error}", stage.command()));
            }
        }
    }

    /// Takes the driver's reply.
    pub(super) fn rot_replied(&mut self, reply: Reply, stage: Stage, world: &mut impl World) {
        if reply.status == status::OK {
            self.rot_reply = reply;
            self.activity = Activity::TellingRot { stage, row: 0 };
        } else {
            self.activity = Activity::Idle;
            world.print(format_args!("{}: {}", stage.command(), status::text(reply.status)));
        }
    }

    /// Prints the next row, or asks for what comes after the last.
    pub(super) fn tell_rot(&mut self, stage: Stage, row: usize, world: &mut impl World) {
        if stage.print_row(&self.rot_reply, row, world) {
            self.activity = Activity::TellingRot { stage, row: row + 1 };
            return;
        }
        match stage.next(&self.rot_reply) {
            Some(next) => self.ask_rot(next, world),
            None => self.activity = Activity::Idle,
        }
    }
}
