//! What the shell wants of the model runner.

use super::{Activity, Shell};
use crate::world::{SubmitError, World};
use protocols::model;
use protocols::model_pack::Sample;

/// How long a model runner may take to come up, or to end a job that was given up, in microseconds.
const RUNNER_START_US: u64 = 2_000_000;
/// How long the model runner may take, which has the lowest priority and one job after the other to do.
const RUNNER_TIMEOUT_US: u64 = 10_000_000;

/// What the model runner is wanted for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// To tell of the model with this number in the pack, and the ones after it.
    Models(usize),
    /// To run a model on one of its inputs.
    Inference { model: usize, input: usize },
}

impl Shell<'_> {
    /// Asks the model runner about a model of the pack, if there is such a one.
    pub(super) fn ask_model(&mut self, model: usize, world: &mut impl World) {
        self.activity = Activity::Idle;
        if self.facts().models.is_some_and(|pack| model < pack.len()) {
            self.want(Wanted::Models(model), world);
        }
    }

    pub(super) fn infer(&mut self, name: &str, input: usize, world: &mut impl World) {
        let Some((model, packed)) = self.facts().models.and_then(|pack| pack.by_name(name)) else {
            return world.print(format_args!("infer: there is no model '{name}'; models lists them"));
        };
        if packed.sample(input).is_none() {
            let count = packed.samples();
            return world.print(format_args!("infer: {name} has {count} inputs, numbered from 0; there is no {input}"));
        }
        self.want(Wanted::Inference { model, input }, world);
    }

    fn want(&mut self, wanted: Wanted, world: &mut impl World) {
        let give_up_us = world.now_us() + RUNNER_START_US;
        self.try_runner(wanted, give_up_us, world);
    }

    /// Asks the model runner for what is wanted, if it can take that now. False if that is worth trying again later.
    pub(super) fn try_runner(&mut self, wanted: Wanted, give_up_us: u64, world: &mut impl World) -> bool {
        let now = world.now_us();
        let reply_by_us = now + RUNNER_TIMEOUT_US;
        let token = self.token() as u32;
        let (command, outcome) = match wanted {
            Wanted::Models(model) => {
                let asked = world.ask_runner(model::Request::ask(model::kind::MODEL_INFO, token, model as u32));
                self.activity = Activity::AskingModel { request: token, give_up_us: reply_by_us, model };
                ("models", asked.then_some(()).ok_or(SubmitError::NoRunner))
            }
            Wanted::Inference { model, input } => {
                let packed = self.facts().models.and_then(|pack| pack.models().nth(model));
                let sample = packed.and_then(|packed| packed.sample(input));
                self.activity = Activity::Inferring { job: token, give_up_us: reply_by_us, model, input };
                let submit = |sample: Sample| world.submit(token, model as u32, sample.input, sample.output.len());
                ("infer", sample.map_or(Err(SubmitError::NoRunner), submit))
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
}
