//! What a command waits for: answers of the supervisor, the console and the model runner, and times.

use super::{Activity, Shell, Then, set_level};
use crate::reports::{Client, Report};
use crate::world::World;
use protocols::console::{ClientStatus, FromConsole, Level};
use protocols::model;
use protocols::supervisor::result;
use protocols::system_table::text;
use zerocopy::FromBytes;

impl Shell<'_> {
    /// Looks whether what is waited for has come, or will not come. False if it may still come.
    pub(super) fn wait(&mut self, world: &mut impl World) -> bool {
        let now = world.now_us();
        match self.activity {
            Activity::Idle | Activity::Printing(..) | Activity::ShowingStored | Activity::TellingRot { .. } => {
                return true;
            }
            Activity::Sleeping { until_us } if now < until_us => return false,
            Activity::Sleeping { .. } => self.activity = Activity::Idle,
            Activity::Asking { token, give_up_us, then } => {
                // Answers to requests that were given up are still on their way.
                match core::iter::from_fn(|| world.answer()).find(|answer| answer.token == token) {
                    Some(answer) => self.answered(answer.result, then, world),
                    None if now < give_up_us => return false,
                    None => {
                        self.activity = Activity::Idle;
                        world.print(format_args!("the supervisor does not answer"));
                    }
                }
            }
            Activity::AwaitingRunner { give_up_us, wanted } => return self.try_runner(wanted, give_up_us, world),
            Activity::AskingRunner { give_up_us, .. } | Activity::Inferring { give_up_us, .. } => {
                if self.runner_is_stopped(world) {
                    return true;
                }
                if now < give_up_us {
                    return false;
                }
                if let Activity::Inferring { job, .. } = self.activity {
                    world.ask_runner(model::Request::ask(model::kind::CANCEL, job, 0));
                }
                self.activity = Activity::Idle;
                world.print(format_args!("the model runner does not answer"));
            }
            Activity::AskingRot { token, give_up_us, stage } => {
                match core::iter::from_fn(|| world.rot_reply()).find(|reply| reply.token == token) {
                    Some(reply) => self.rot_replied(reply, stage, world),
                    None if now < give_up_us => return false,
                    None => {
                        self.activity = Activity::Idle;
                        world.print(format_args!("{}: the driver does not answer", stage.command()));
                    }
                }
            }
            Activity::AskingNpu { token, give_up_us, action } => {
                match core::iter::from_fn(|| world.npu_reply()).find(|reply| reply.job == token) {
                    Some(reply) => self.npu_replied(&reply, action, world),
                    None if now < give_up_us => return false,
                    None => {
                        self.activity = Activity::Idle;
                        world.print(format_args!("npu: the driver does not answer"));
                    }
                }
            }
            Activity::AskingApps { token, give_up_us } => return self.take_apps_answer(token, give_up_us, world),
            Activity::AskingStorage { request, give_up_us } => return self.await_storage(request, give_up_us, world),
            Activity::Receiving { stage, request, give_up_us } => {
                return self.go_on_receiving(stage, request, give_up_us, world);
            }
            Activity::AskingKeywords { token, give_up_us } => {
                if !self.take_keywords(token, world) {
                    if now < give_up_us {
                        return false;
                    }
                    world.print(format_args!("keywords: the spotter does not answer"));
                }
                self.activity = Activity::Idle;
            }
            Activity::Querying { give_up_us, .. } if now < give_up_us => return false,
            Activity::Querying { .. } => {
                self.activity = Activity::Idle;
                world.print(format_args!("log: the console does not answer"));
            }
            Activity::PoweringOff { give_up_us, .. } if now < give_up_us => return false,
            Activity::PoweringOff { code, .. } => self.power_off(code, world),
        }
        true
    }

    fn answered(&mut self, outcome: u32, then: Then, world: &mut impl World) {
        self.activity = Activity::Idle;
        let (command, pd) = match then {
            Then::Show(pd) => {
                self.activity = Activity::Printing(Report::Processes(pd), 0);
                return;
            }
            Then::Tell(command, pd) => (command, pd),
        };
        let name = text(&self.facts().table.pds[pd].name);
        match outcome {
            result::OK => {}
            result::ALREADY if command == "stop" => world.print(format_args!("stop: {name} is stopped already")),
            result::ALREADY => world.print(format_args!("{command}: {name} runs already")),
            result::NO_SUCH_CHILD => world.print(format_args!("{command}: the supervisor does not know {name}")),
            other => world.print(format_args!("{command}: the supervisor refuses ({other})")),
        }
    }

    pub(super) fn take_status(&mut self, entry: &FromConsole) {
        let status = ClientStatus::read_from_prefix(entry.text());
        if let (Some(level), Ok((status, _))) = (Level::from_raw(entry.level), status) {
            // A console that tells of more clients than there can be is not believed.
            let _ = self.clients.push(Client { slot: entry.argument, level, status });
        }
    }

    pub(super) fn take_done(&mut self, argument: u32, world: &mut impl World) {
        match self.activity {
            Activity::PoweringOff { token, code, .. } if token == argument => self.power_off(code, world),
            Activity::Querying { token, pd, level, .. } if token == argument => {
                self.activity = Activity::Idle;
                let of_pd = |client: &&Client| pd.is_some_and(|pd| client.status.pd == pd as u64);
                let slot = self.clients.iter().find(of_pd).map(|client| client.slot);
                match (pd, slot, level) {
                    (Some(pd), None, _) => {
                        let name = text(&self.facts().table.pds[pd].name);
                        world.print(format_args!("log: {name} has no link to the console"));
                    }
                    (Some(_), Some(slot), Some(level)) => world.control(set_level(slot, level)),
                    _ => self.activity = Activity::Printing(Report::Log(slot), 0),
                }
            }
            _ => {}
        }
    }

    fn power_off(&mut self, code: u8, world: &mut impl World) {
        self.activity = Activity::Idle;
        world.power_off(code);
        world.print(format_args!("poweroff: this machine has no power switch"));
    }
}
