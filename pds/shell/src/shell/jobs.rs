//! What the shell wants of the model runner.

use super::{Activity, Shell};
use crate::jobs::{self, Action, Periodic};
use crate::models::{self, Verdict};
use crate::world::{Order, RunnerReply, SubmitError, World};
use protocols::model::{self, ClientInfo, JobInfo, JobResult, MAX_CLIENTS, Request, code, kind};
use protocols::model_pack::PackedModel;
use protocols::supervisor::State;
use protocols::system_table::text;

/// How long a model runner may take to come up, or to end a job that was given up, in microseconds.
const RUNNER_START_US: u64 = 2_000_000;
/// How long the model runner may take, which has the lowest priority and one job after the other to do.
const RUNNER_TIMEOUT_US: u64 = 10_000_000;
/// How often the shell looks whether the model runner was stopped meanwhile: nobody notifies of that.
pub(super) const RUNNER_LOOK_US: u64 = 200_000;

/// What the model runner is wanted for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// To answer a question.
    Answer(Question),
    /// To run a model on one of its inputs, once or with this period.
    Run { model: usize, input: usize, period_us: u64 },
}

/// What the model runner is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    /// About the model with this number in the pack, and then the ones after it.
    Model(usize),
    /// About the job with this serial number, or the next, and then the ones after it.
    Job(u32),
    /// About the client in this slot, and then the ones after it.
    Client(u32),
    /// To end the job with this serial number.
    End(u32),
}

impl Question {
    fn request(self, number: u32) -> Request {
        match self {
            Question::Model(model) => Request::ask(kind::MODEL_INFO, number, model as u32),
            Question::Job(serial) => Request::ask(kind::JOB_INFO, serial, 0),
            Question::Client(slot) => Request::ask(kind::CLIENT_INFO, number, slot),
            Question::End(serial) => Request::ask(kind::END, serial, 0),
        }
    }

    fn command(self) -> &'static str {
        if matches!(self, Question::Model(_)) { "models" } else { "jobs" }
    }
}

impl<'a> Shell<'a> {
    pub(super) fn models(&mut self, world: &mut impl World) {
        models::print_head(world);
        if self.facts().models.is_some_and(|pack| !pack.is_empty()) {
            self.want(Wanted::Answer(Question::Model(0)), world);
        }
    }

    pub(super) fn jobs(&mut self, action: Action<'_>, world: &mut impl World) {
        match action {
            Action::List => self.want(Wanted::Answer(Question::Job(0)), world),
            Action::Clients => self.want(Wanted::Answer(Question::Client(0)), world),
            Action::Cancel(serial) => self.want(Wanted::Answer(Question::End(serial)), world),
            Action::Start { model, period_us, input } if !self.periodics.is_full() => {
                self.run_model("jobs", model, input, period_us, world);
            }
            Action::Start { .. } => {
                world.print(format_args!("jobs: the shell has as many periodic jobs as it may have"));
            }
        }
    }

    pub(super) fn run_model(
        &mut self,
        command: &str,
        name: &str,
        input: usize,
        period_us: u64,
        world: &mut impl World,
    ) {
        let Some((model, packed)) = self.facts().models.and_then(|pack| pack.by_name(name)) else {
            return world.print(format_args!("{command}: there is no model '{name}'; models lists them"));
        };
        if packed.sample(input).is_none() {
            let count = packed.samples();
            return world
                .print(format_args!("{command}: {name} has {count} inputs, numbered from 0; there is no {input}"));
        }
        self.want(Wanted::Run { model, input, period_us }, world);
    }

    fn want(&mut self, wanted: Wanted, world: &mut impl World) {
        let give_up_us = world.now_us() + RUNNER_START_US;
        self.try_runner(wanted, give_up_us, world);
    }

    /// Whether the model runner will not come by itself; then what waits for it ends with a word.
    pub(super) fn runner_is_stopped(&mut self, world: &mut impl World) -> bool {
        let state = match world.runner_state() {
            Some(State::Stopped) => "is stopped",
            Some(State::GivenUp) => "faulted too often and stays stopped",
            _ => return false,
        };
        self.activity = Activity::Idle;
        world.print(format_args!("the model runner {state}; start it to run models"));
        true
    }

    /// Asks the model runner for what is wanted, if it can take that now. False if that is worth trying again later.
    pub(super) fn try_runner(&mut self, wanted: Wanted, give_up_us: u64, world: &mut impl World) -> bool {
        if self.runner_is_stopped(world) {
            return true;
        }
        let now = world.now_us();
        let reply_by_us = now + RUNNER_TIMEOUT_US;
        let number = self.token() as u32;
        let (command, outcome) = match wanted {
            Wanted::Answer(question) => {
                let request = question.request(number);
                self.activity = Activity::AskingRunner { request, give_up_us: reply_by_us, question };
                (question.command(), world.ask_runner(request).then_some(()).ok_or(SubmitError::NoRunner))
            }
            Wanted::Run { model, input, period_us } => {
                let sample = self.packed(model).and_then(|packed| packed.sample(input));
                self.activity = Activity::Inferring { job: number, give_up_us: reply_by_us, model, input };
                let outcome = sample.map_or(Err(SubmitError::NoRunner), |sample| {
                    let (input, output_bytes) = (sample.input, sample.output.len());
                    world.submit(&Order { job: number, model: model as u32, input, output_bytes, period_us })
                });
                if period_us != 0 && outcome.is_ok() {
                    self.activity = Activity::Idle;
                    let periodic = Periodic { job: number, model, input, exact: 0, different: 0, failed: 0 };
                    // There is room, or it would not have been wanted.
                    let _ = self.periodics.push(periodic);
                }
                (if period_us == 0 { "infer" } else { "jobs" }, outcome)
            }
        };
        match outcome {
            Ok(()) => true,
            Err(SubmitError::NoRunner | SubmitError::Busy) if now < give_up_us => {
                self.activity = Activity::AwaitingRunner { give_up_us, wanted };
                false
            }
            Err(error) => {
                self.activity = Activity::Idle;
                world.print(format_args!("{command}: {error}"));
                true
            }
        }
    }

    fn packed(&self, model: usize) -> Option<PackedModel<'a>> {
        self.facts().models.and_then(|pack| pack.models().nth(model))
    }

    // ---- Replies ---------------------------------------------------------------------------------------------------

    /// Takes the next reply of the model runner, which may be to something that runs beside what is typed. False if there is
    /// none.
    pub(super) fn hear_runner(&mut self, world: &mut impl World) -> bool {
        match world.runner_reply() {
            None => return false,
            Some(RunnerReply::Reply(reply)) => self.take_reply(&reply, world),
            Some(RunnerReply::Restarted) => {
                if matches!(self.activity, Activity::AskingRunner { .. } | Activity::Inferring { .. }) {
                    self.activity = Activity::Idle;
                    world.print(format_args!("the model runner restarted"));
                }
                if !self.periodics.is_empty() {
                    let count = self.periodics.len();
                    self.periodics.clear();
                    let text = "periodic jobs ended with the model runner's restart";
                    world.print(format_args!("jobs: {count} {text}"));
                }
            }
        }
        true
    }

    /// A reply to something that was given up is of no use any more.
    fn take_reply(&mut self, reply: &model::Reply, world: &mut impl World) {
        if let Some(index) = self.periodics.iter().position(|periodic| periodic.job == reply.job)
            && matches!(reply.kind, kind::RUN | kind::SUBMIT)
        {
            return self.periodic_replied(index, reply, world);
        }
        match self.activity {
            Activity::AskingRunner { request, question, .. }
                if (reply.kind, reply.job) == (request.kind, request.job) =>
            {
                self.activity = Activity::Idle;
                self.answered_question(question, reply, world);
            }
            Activity::Inferring { job, model, input, .. } if (reply.kind, reply.job) == (kind::SUBMIT, job) => {
                self.activity = Activity::Idle;
                let Some(packed) = self.packed(model) else { return };
                match (reply.code, packed.sample(input)) {
                    (code::DONE, Some(sample)) => {
                        models::print_result(packed.name(), input, &sample, &reply.body(), world);
                    }
                    (code, _) => world.print(format_args!("infer: {}", code::text(code))),
                }
            }
            _ => {}
        }
    }

    fn answered_question(&mut self, question: Question, reply: &model::Reply, world: &mut impl World) {
        let next = match question {
            Question::Model(model) => {
                if let Some(packed) = self.packed(model) {
                    match reply.code {
                        code::DONE => models::print_row(packed.name(), &reply.body(), packed.samples(), world),
                        code => world.print(format_args!("{:<16} {}", packed.name(), code::text(code))),
                    }
                }
                self.packed(model + 1).is_some().then_some(Question::Model(model + 1))
            }
            Question::Job(from) => {
                let info: JobInfo = reply.body();
                if reply.code != code::DONE {
                    if from == 0 {
                        world.print(format_args!("jobs: there are none"));
                    }
                    return;
                }
                if from == 0 {
                    jobs::print_head(world);
                }
                let model = self.packed(info.model as usize).map_or("?", |packed| packed.name());
                jobs::print_row(self.pd_name(info.pd), model, &info, world);
                info.serial.checked_add(1).map(Question::Job)
            }
            Question::Client(slot) => {
                if slot == 0 {
                    jobs::print_clients_head(world);
                }
                let info: ClientInfo = reply.body();
                if reply.code == code::DONE {
                    jobs::print_client(self.pd_name(info.pd), &info, world);
                }
                (slot + 1 < MAX_CLIENTS as u32).then_some(Question::Client(slot + 1))
            }
            Question::End(serial) => {
                if reply.code != code::DONE {
                    world.print(format_args!("jobs: there is no job {serial}; jobs lists them"));
                }
                None
            }
        };
        if let Some(next) = next {
            self.want(Wanted::Answer(next), world);
        }
    }

    fn pd_name(&self, pd: u32) -> &'a str {
        self.facts().table.pds.get(pd as usize).map_or("?", |entry| text(&entry.name))
    }

    /// A run of a periodic job has ended, or the job.
    fn periodic_replied(&mut self, index: usize, reply: &model::Reply, world: &mut impl World) {
        let result: JobResult = reply.body();
        let Some(periodic) = self.periodics.get(index).copied() else { return };
        let Some(packed) = self.packed(periodic.model) else { return };
        if reply.kind == kind::SUBMIT {
            jobs::print_end(packed.name(), &periodic, code::text(reply.code), &result, world);
            self.periodics.swap_remove(index);
            return;
        }
        let verdict = match (reply.code, packed.sample(periodic.input)) {
            (code::DONE, Some(sample)) => Some(models::compare(&sample, &result, world).0),
            _ => None,
        };
        let periodic = &mut self.periodics[index];
        match verdict {
            Some(Verdict::Different) => periodic.different += 1,
            Some(_) => periodic.exact += 1,
            None => periodic.failed += 1,
        }
    }
}
