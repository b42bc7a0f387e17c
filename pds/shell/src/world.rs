//! What the shell needs of the rest of the system. Nothing here waits.

use core::fmt;
use protocols::apps;
use protocols::console::{FromClient, FromConsole};
use protocols::keywords;
use protocols::model;
use protocols::npu;
use protocols::rot;
use protocols::storage::{Ask, ClientError, Event};
use protocols::supervisor::{Answer, ChildStats, Request, State};

/// A job for the model runner.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Its number.
    pub job: u32,
    /// The model's number in the pack.
    pub model: u32,
    /// The input tensor.
    pub input: &'a [u8],
    /// Bytes of the output tensor.
    pub output_bytes: usize,
    /// Its period; 0: once.
    pub period_us: u64,
}

/// Why a job was not submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// There is no link to a model runner, or nothing goes through it.
    NoRunner,
    /// The tensors do not fit into the region that is shared with the runner.
    TooLarge,
    /// The runner has not given back the tensors of jobs before.
    Busy,
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SubmitError::NoRunner => "the model runner takes no jobs now",
            SubmitError::TooLarge => "the tensors do not fit into the region shared with the model runner",
            SubmitError::Busy => "the model runner has not ended the jobs before",
        })
    }
}

/// What comes from the model runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunnerReply {
    /// A reply.
    Reply(model::Reply),
    /// It restarted; jobs and requests under way are lost.
    Restarted,
}

/// The shell's links and devices, or what a test puts in their place.
pub trait World {
    /// Microseconds since the machine started.
    fn now_us(&mut self) -> u64;
    /// Asks to be run again at this time, in place of any time asked for before. False if there is no timer.
    fn wake_at(&mut self, time_us: u64) -> bool;

    /// Whether this many entries fit into the ring to the console; if not, the shell is run again when they do.
    fn console_has_room(&mut self, entries: usize) -> bool;
    /// Prints a line.
    fn print(&mut self, text: fmt::Arguments<'_>);
    /// Sends an entry that is not a line.
    fn control(&mut self, entry: FromClient);
    /// The next entry from the console.
    fn receive(&mut self) -> Option<FromConsole>;

    /// Sends a request to the supervisor. False if that is not possible now.
    fn ask(&mut self, request: Request) -> bool;
    /// The next answer of the supervisor.
    fn answer(&mut self) -> Option<Answer>;
    /// What the supervisor publishes about a child.
    fn stats(&mut self, child: usize) -> Option<ChildStats>;

    /// Gives the model runner a job: an input, and room for the output. The replies come with its number.
    ///
    /// # Errors
    /// See [`SubmitError`].
    fn submit(&mut self, order: &Order<'_>) -> Result<(), SubmitError>;
    /// What the supervisor says of the model runner; none if nobody knows.
    fn runner_state(&mut self) -> Option<State>;
    /// Sends the model runner a request without tensors. False if that is not possible now.
    fn ask_runner(&mut self, request: model::Request) -> bool;
    /// The next reply of the model runner.
    fn runner_reply(&mut self) -> Option<RunnerReply>;
    /// Copies the start of the output that a job's reply names, as much as there is room for; gives how much that is.
    fn output(&mut self, result: &model::JobResult, into: &mut [u8]) -> usize;

    /// Sends a request to the accelerator's driver.
    ///
    /// # Errors
    /// Why that is not possible, as a text.
    fn ask_npu(&mut self, request: npu::Request) -> Result<(), &'static str>;
    /// The next reply of the accelerator's driver.
    fn npu_reply(&mut self) -> Option<npu::Reply>;

    /// Sends a request to the app manager. False if that is not possible now.
    fn ask_apps(&mut self, request: apps::Request) -> bool;
    /// The next answer of the app manager.
    fn apps_answer(&mut self) -> Option<apps::Answer>;
    /// Sends a request to the keyword spotter.
    ///
    /// # Errors
    /// Why that is not possible, as a text.
    fn ask_keywords(&mut self, request: keywords::Request) -> Result<(), &'static str>;
    /// The next event of the keyword spotter.
    fn keywords_event(&mut self) -> Option<keywords::Event>;

    /// Asks the storage service for something; the reply comes with the number that this gives.
    ///
    /// # Errors
    /// See [`ClientError`].
    fn ask_storage(&mut self, ask: &Ask<'_>) -> Result<u32, ClientError>;
    /// The next that comes from the storage service; the bytes of a reply are copied to `into`.
    fn storage_event(&mut self, into: &mut [u8]) -> Option<Event>;

    /// Sends a request to the root of trust's driver.
    ///
    /// # Errors
    /// Why that is not possible, as a text.
    fn ask_rot(&mut self, request: &rot::Request) -> Result<(), &'static str>;
    /// The next reply of the root of trust's driver.
    fn rot_reply(&mut self) -> Option<rot::Reply>;

    /// Switches the machine off with this exit status. Returns only if the machine cannot do that.
    fn power_off(&mut self, code: u8);
}
