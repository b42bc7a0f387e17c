//! What the shell wants of the accelerator's driver.

use super::{ANSWER_TIMEOUT_US, Activity, Shell};
use crate::npu::{self, Action};
use crate::world::World;
use protocols::npu::{Reply, code};

impl Shell<'_> {
    pub(super) fn ask_npu(&mut self, action: Action, world: &mut impl World) {
        let token = self.token() as u32;
        match world.ask_npu(action.request(token)) {
            Ok(()) => {
                let give_up_us = world.now_us() + ANSWER_TIMEOUT_US;
                self.activity = Activity::AskingNpu { token, give_up_us, action };
            }
            Err(error) => world.print(format_args!("npu: {error}")),
        }
    }

    /// Takes the driver's reply; one to something that was given up is of no use any more.
    pub(super) fn npu_replied(&mut self, reply: &Reply, action: Action, world: &mut impl World) {
        self.activity = Activity::Idle;
        match (reply.code, action) {
            (code::DONE, Action::Status) => npu::print_status(&reply.body(), world),
            (code::DONE, Action::Reset) => world.print(format_args!("npu: reset; the job that ran has ended")),
            (code::DONE, Action::Provoke(fault, _)) => world.print(format_args!("npu: the next job is a {fault}")),
            (code, _) => world.print(format_args!("npu: {}", code::text(code))),
        }
    }
}
