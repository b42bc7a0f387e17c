//! The shell's state: what is typed, what runs, and what it waits for.
//!
//! A turn does what can be done now and never waits. A command that needs an answer leaves an [`Activity`] behind, with
//! the time at which it gives up; keys typed meanwhile are kept, and ^C ends it.

use crate::commands::{Command, parse};
use crate::complete::{Completion, List};
use crate::editor::{Editor, Outcome};
use crate::history::History;
use crate::jobs::Periodics;
use crate::keys::{CANCEL_BYTE, Decoder};
use crate::npu::Action;
use crate::reports::{Clients, Facts, Report};
use crate::rot::Stage;
use crate::storage::Job;
use crate::units::Micros;
use crate::words::{self, Words};
use crate::world::World;
use heapless::{Deque, String, Vec};
use protocols::console::{ALL_CLIENTS, CHUNK, FromClient, Level, MAX_CHUNKS, MAX_LINE, kind};
use protocols::model;
use protocols::rot::{self, Reply};
use protocols::supervisor::{NO_CHILD, Request, op};

mod accelerator;
mod apps;
mod files;
mod jobs;
mod keywords;
mod transfer;
mod trust;
mod waiting;

use jobs::{Question, RUNNER_LOOK_US, Wanted};

/// What stands before the line that is typed.
pub const PROMPT: &str = "kinglet> ";
/// What stands before a line of text for a file.
pub const TEXT_PROMPT: &str = "text> ";
/// Keys that wait for a command to end; beyond these, they wait in the ring.
const KEYS_HIGH_WATER: usize = 1024;
/// Room for all keys that can be in the ring before an answer of the console.
const KEYS: usize = KEYS_HIGH_WATER + 64 * CHUNK;
/// Scripts that may run each other.
const MAX_NESTING: usize = 4;
/// Entries that one step sends at most: the end of what ran before, what runs now, and input lines around them. The ring
/// to the console must hold as many.
pub const STEP_ENTRIES: usize = 3 * MAX_CHUNKS + 4;
/// Steps in one turn.
const STEPS: usize = 64;
/// How long supervisor and console may take to answer, in microseconds.
const ANSWER_TIMEOUT_US: u64 = 1_000_000;
/// How long a farewell may take to reach the line.
const FLUSH_TIMEOUT_US: u64 = 200_000;

/// No answer of the root of trust.
const NO_REPLY: Reply =
    Reply { token: 0, command: 0, status: 0, length: 0, reserved: 0, data: [0; rot::MAX_REPLY_DATA] };

/// What the shell is doing. The representation makes `Idle` all zeros: see [`Shell::new`].
#[derive(Debug)]
#[repr(u8)]
enum Activity {
    /// Reading keys, or about to run the next command.
    Idle,
    /// Printing a report, with the next row.
    Printing(Report, usize),
    Sleeping {
        until_us: u64,
    },
    /// Waiting for the supervisor.
    Asking {
        token: u64,
        give_up_us: u64,
        then: Then,
    },
    /// Waiting for the console's clients.
    Querying {
        token: u32,
        give_up_us: u64,
        /// Index of the protection domain that was named.
        pd: Option<usize>,
        /// The level to set.
        level: Option<Level>,
    },
    /// Waiting for a model runner that can take this: it may be starting, or ending a job that was given up.
    AwaitingRunner {
        give_up_us: u64,
        wanted: Wanted,
    },
    /// Waiting for the model runner's answer.
    AskingRunner {
        request: model::Request,
        give_up_us: u64,
        question: Question,
    },
    /// Waiting for a job to end.
    Inferring {
        job: u32,
        give_up_us: u64,
        model: usize,
        input: usize,
    },
    /// Waiting for the accelerator's driver.
    AskingNpu {
        token: u32,
        give_up_us: u64,
        action: Action,
    },
    /// Waiting for the app manager.
    AskingApps {
        token: u32,
        give_up_us: u64,
    },
    /// Waiting for the storage service.
    AskingStorage {
        request: u32,
        give_up_us: u64,
    },
    /// Showing what the storage service sent, row by row.
    ShowingStored,
    /// Receiving a file from the terminal.
    Receiving {
        stage: transfer::Stage,
        request: u32,
        give_up_us: u64,
    },
    /// Waiting for the keyword spotter.
    AskingKeywords {
        token: u32,
        give_up_us: u64,
    },
    /// Waiting for the root of trust.
    AskingRot {
        token: u64,
        give_up_us: u64,
        stage: Stage,
    },
    /// Telling what it answered.
    TellingRot {
        stage: Stage,
        row: usize,
    },
    /// Waiting until what was printed is out.
    PoweringOff {
        token: u32,
        give_up_us: u64,
        code: u8,
    },
}

/// What follows the supervisor's answer.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// The table of protection domains, or one of them.
    Show(Option<usize>),
    /// Say how this command went for the protection domain with this index.
    Tell(&'static str, usize),
}

/// Where the next command comes from.
#[derive(Clone, Copy, Debug)]
struct Frame<'a> {
    /// The rest of the line.
    line: &'a str,
    /// The lines after it.
    rest: &'a str,
}

/// The shell.
pub struct Shell<'a> {
    facts: Option<Facts<'a>>,
    clients: Clients,
    decoder: Decoder,
    editor: Editor,
    history: History,
    keys: Deque<u8, KEYS>,
    /// The typed line, and how much of it has run.
    line: String<MAX_LINE>,
    line_done: usize,
    /// Scripts that run, the innermost last.
    frames: Vec<Frame<'a>, MAX_NESTING>,
    activity: Activity,
    /// The command about files or keys that runs, or ran last.
    storage: Job,
    /// The file that is received, or was last.
    transfer: transfer::Transfer,
    /// What the root of trust answered last.
    rot_reply: Reply,
    /// The input line on the screen is up to date.
    view_shown: bool,
    tokens: u64,
    cancelled: bool,
    /// Periodic jobs, which go on while others are typed.
    periodics: Periodics,
    /// A line of the app manager of which not all parts have come.
    partial: apps::Partial,
}

impl<'a> Shell<'a> {
    /// A shell with an empty line, which knows nothing of the system. All zeros, so that it takes no room in the program.
    pub const fn new() -> Self {
        Self {
            facts: None,
            clients: Clients::new(),
            decoder: Decoder::new(),
            editor: Editor::new(),
            history: History::new(),
            keys: Deque::new(),
            line: String::new(),
            line_done: 0,
            frames: Vec::new(),
            activity: Activity::Idle,
            storage: Job::new(),
            transfer: transfer::Transfer::new(),
            rot_reply: NO_REPLY,
            view_shown: false,
            tokens: 0,
            cancelled: false,
            periodics: Periodics::new(),
            partial: Vec::new(),
        }
    }

    /// Tells it of the system.
    pub fn set_facts(&mut self, facts: Facts<'a>) {
        self.facts = Some(facts);
    }

    fn facts(&self) -> Facts<'a> {
        self.facts.unwrap_or(Facts::NONE)
    }

    /// The console began anew, and knows nothing of the input line.
    pub fn console_restarted(&mut self) {
        self.view_shown = false;
    }

    /// One turn of bounded length. True if more could be done at once.
    pub fn turn(&mut self, world: &mut impl World) -> bool {
        for _ in 0..STEPS {
            let ready = world.console_has_room(STEP_ENTRIES);
            let left = ready && self.receive(world);
            // What was left in the ring for want of room is not announced again, so it is looked for when there is room.
            if !ready || (!self.step(world) && !(left && self.keys.len() <= KEYS_HIGH_WATER)) {
                if let Some(time) = self.wake_time(world.now_us()) {
                    world.wake_at(time);
                }
                return false;
            }
        }
        true
    }

    fn wake_time(&self, now_us: u64) -> Option<u64> {
        match &self.activity {
            Activity::Idle | Activity::Printing(..) | Activity::ShowingStored | Activity::TellingRot { .. } => None,
            Activity::Sleeping { until_us } => Some(*until_us),
            Activity::AwaitingRunner { give_up_us, .. }
            | Activity::AskingRunner { give_up_us, .. }
            | Activity::Inferring { give_up_us, .. } => Some((*give_up_us).min(now_us + RUNNER_LOOK_US)),
            Activity::Asking { give_up_us, .. }
            | Activity::Querying { give_up_us, .. }
            | Activity::AskingNpu { give_up_us, .. }
            | Activity::AskingApps { give_up_us, .. }
            | Activity::AskingStorage { give_up_us, .. }
            | Activity::Receiving { give_up_us, .. }
            | Activity::AskingKeywords { give_up_us, .. }
            | Activity::AskingRot { give_up_us, .. }
            | Activity::PoweringOff { give_up_us, .. } => Some(*give_up_us),
        }
    }

    /// Takes what the console sent. Keys are kept; they are left in the ring when many wait, unless an answer is due,
    /// which is behind them in the ring. True if some may have been left.
    fn receive(&mut self, world: &mut impl World) -> bool {
        loop {
            let expecting = matches!(self.activity, Activity::Querying { .. } | Activity::PoweringOff { .. });
            let limit = if expecting { KEYS - CHUNK } else { KEYS_HIGH_WATER };
            if self.keys.len() > limit {
                return true;
            }
            let Some(entry) = world.receive() else { return false };
            match entry.kind {
                kind::INPUT => self.keep_keys(entry.text()),
                kind::STATUS => self.take_status(&entry),
                kind::DONE => self.take_done(entry.argument, world),
                _ => {}
            }
        }
    }

    fn keep_keys(&mut self, bytes: &[u8]) {
        let busy = !self.is_reading();
        for byte in bytes {
            if busy && *byte == CANCEL_BYTE && !matches!(self.activity, Activity::Receiving { .. }) {
                self.keys.clear();
                self.cancelled = true;
            } else {
                // There is room: the limit was looked at.
                let _ = self.keys.push_back(*byte);
            }
        }
    }

    /// Whether nothing runs, so that keys go to the editor.
    fn is_reading(&self) -> bool {
        matches!(self.activity, Activity::Idle) && self.frames.is_empty() && self.line_done == self.line.len()
    }

    /// One step. False if there is nothing to do until something arrives.
    fn step(&mut self, world: &mut impl World) -> bool {
        if core::mem::take(&mut self.cancelled) {
            self.cancel(world);
        }
        if self.hear_runner(world) {
            return true;
        }
        match self.activity {
            Activity::Idle if self.is_reading() => self.read_keys(world),
            Activity::Idle => {
                self.next_command(world);
                true
            }
            Activity::Printing(ref report, row) => {
                let more = report.print(row, &self.facts(), &self.clients, world);
                match &mut self.activity {
                    Activity::Printing(_, row) if more => *row += 1,
                    activity => *activity = Activity::Idle,
                }
                true
            }
            Activity::ShowingStored => {
                self.show_stored(world);
                true
            }
            Activity::TellingRot { stage, row } => {
                self.tell_rot(stage, row, world);
                true
            }
            _ => self.wait(world),
        }
    }

    /// Ends what runs, and all that was to follow it.
    fn cancel(&mut self, world: &mut impl World) {
        if let Activity::Inferring { job, .. } = self.activity {
            world.ask_runner(model::Request::ask(model::kind::CANCEL, job, 0));
        }
        self.activity = Activity::Idle;
        self.storage.end_typing();
        self.frames.clear();
        self.line.clear();
        self.line_done = 0;
        self.view_shown = false;
        world.print(format_args!("^C"));
    }

    // ---- Reading a line --------------------------------------------------------------------------------------------

    /// Gives keys to the editor up to the end of a line. False if there are none.
    fn read_keys(&mut self, world: &mut impl World) -> bool {
        while let Some(byte) = self.keys.pop_front() {
            let Some(key) = self.decoder.key(byte) else { continue };
            let outcome = self.editor.key(key, &self.history);
            self.view_shown = false;
            match outcome {
                Outcome::Editing => continue,
                Outcome::Entered => self.enter(world),
                Outcome::TooLong(bytes) => {
                    self.finish_view(world);
                    world
                        .print(format_args!("the line has {bytes} bytes, more than {MAX_LINE}; nothing of it was run"));
                }
                Outcome::Cancelled => {
                    self.finish_view(world);
                    self.storage.end_typing();
                }
                Outcome::ClearScreen => world.control(FromClient::new(kind::CLEAR)),
                Outcome::Complete => self.complete(world),
            }
            return true;
        }
        if !core::mem::replace(&mut self.view_shown, true) {
            self.show_view(world);
        }
        false
    }

    fn show_view(&self, world: &mut impl World) {
        let view = self.editor.view(if self.storage.is_typing() { TEXT_PROMPT } else { PROMPT });
        let entry = FromClient::new(kind::VIEW).with_text(&view.bytes[..view.length]);
        world.control(entry.with_argument(view.cursor as u32));
    }

    /// Leaves the typed line on the screen and empties the editor.
    fn finish_view(&mut self, world: &mut impl World) {
        self.show_view(world);
        world.control(FromClient::new(kind::VIEW_DONE));
        self.editor.clear();
        self.view_shown = false;
    }

    fn enter(&mut self, world: &mut impl World) {
        self.line.clear();
        self.line_done = 0;
        // A line of the editor fits.
        let _ = self.line.push_str(self.editor.line());
        if self.storage.is_typing() {
            self.finish_view(world);
            return self.store_line(world);
        }
        self.history.add(&self.line);
        self.finish_view(world);
        if let Err(error) = words::check(&self.line) {
            world.print(format_args!("{error}; nothing of the line was run"));
            self.line.clear();
        }
    }

    fn complete(&mut self, world: &mut impl World) {
        let Some(completion) = Completion::new(self.editor.before_cursor()) else { return };
        let (count, common) = completion.common(&self.facts());
        let Some(new) = common.get(completion.typed.len()..).filter(|_| count > 0) else { return };
        if new.is_empty() && count > 1 {
            world.print(format_args!("{}", List(&completion, &self.facts())));
            return;
        }
        self.editor.insert(new);
        if count == 1 {
            self.editor.insert(" ");
        }
    }

    // ---- Running commands ------------------------------------------------------------------------------------------

    /// Runs the next command of the innermost script, or of the typed line.
    fn next_command(&mut self, world: &mut impl World) {
        let Some(frame) = self.frames.last_mut() else {
            let rest = self.line.get(self.line_done..).unwrap_or("");
            // The line was checked when it was entered.
            let Ok((words, after)) = words::first_command(rest) else { return };
            self.line_done = self.line.len() - after.len();
            return self.run(&words, world);
        };
        if frame.line.is_empty() {
            match frame.rest.split_once('\n').or((!frame.rest.is_empty()).then_some((frame.rest, ""))) {
                Some((line, rest)) => *frame = Frame { line: line.trim(), rest },
                None => {
                    self.frames.pop();
                }
            }
            return;
        }
        match words::check(frame.line).and_then(|()| words::first_command(frame.line)) {
            Ok((words, after)) => {
                frame.line = after;
                self.run(&words, world);
            }
            Err(error) => {
                world.print(format_args!("{error}: {}", frame.line));
                frame.line = "";
            }
        }
    }

    fn run(&mut self, words: &Words, world: &mut impl World) {
        if words.is_empty() {
            return;
        }
        let command = match parse(words) {
            Ok(command) => command,
            Err(error) => return world.print(format_args!("{error}")),
        };
        match command {
            Command::Help(spec) => self.activity = Activity::Printing(Report::Help(spec), 0),
            Command::Mem => self.activity = Activity::Printing(Report::Memory, 0),
            Command::Uptime => {
                let up = Micros(world.now_us());
                world.print(format_args!("up {up}"));
            }
            Command::Echo => world.print(format_args!("{}", Joined(words))),
            Command::Colour(on) => {
                world.control(FromClient::new(kind::SET_COLOUR).with_argument(u32::from(on)));
            }
            Command::Sleep(us) => self.sleep(us, world),
            Command::Source(name) => self.source(name, world),
            Command::Ps(name) => {
                if let Ok(pd) = self.optional_pd("ps", name, world) {
                    self.ask(op::REFRESH, NO_CHILD, Then::Show(pd), world);
                }
            }
            Command::Restart(name) if !self.is_pd(name) => self.control_app("restart", name, world),
            Command::Stop(name) if !self.is_pd(name) => self.control_app("stop", name, world),
            Command::Start(name) if !self.is_pd(name) => self.control_app("start", name, world),
            Command::Receive(path) => self.receive_file(path, false, world),
            Command::ReceiveApp => self.receive_file("", true, world),
            Command::Apps(number, text, argument) => self.ask_apps(number, text, argument, world),
            Command::Restart(name) => self.control("restart", op::RESTART, name, world),
            Command::Stop(name) => self.control("stop", op::STOP, name, world),
            Command::Start(name) => self.control("start", op::START, name, world),
            Command::Log { of, level } => self.log(of, level, world),
            Command::PowerOff(code) => {
                let token = self.token() as u32;
                world.print(format_args!("powering off"));
                world.control(FromClient::new(kind::FLUSH).with_argument(token));
                self.activity = Activity::PoweringOff { token, give_up_us: world.now_us() + FLUSH_TIMEOUT_US, code };
            }
            Command::Models => {
                self.models(world);
            }
            Command::Infer { model, input } => self.run_model("infer", model, input, 0, world),
            Command::Jobs(action) => self.jobs(action, world),
            Command::Storage(action) => self.store(action, words, world),
            Command::Npu(action) => self.ask_npu(action, world),
            Command::Keywords => self.ask_keywords(world),
            Command::Attest(nonce) => self.ask_rot(nonce.map_or(Stage::Nonce, Stage::Quote), world),
            Command::Rot { test } => self.ask_rot(if test { Stage::Test } else { Stage::Driver }, world),
        }
    }

    fn token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    /// The index of a protection domain, or none without a name. Says so if there is no such one.
    fn optional_pd(&self, command: &str, name: Option<&str>, world: &mut impl World) -> Result<Option<usize>, ()> {
        let Some(name) = name else { return Ok(None) };
        let pd = self.facts().table.pd_by_name(name);
        if pd.is_none() {
            world.print(format_args!("{command}: there is no protection domain '{name}'; ps lists them"));
        }
        pd.map(Some).ok_or(())
    }

    fn sleep(&mut self, us: u64, world: &mut impl World) {
        let until_us = world.now_us().saturating_add(us);
        if world.wake_at(until_us) {
            self.activity = Activity::Sleeping { until_us };
        } else {
            world.print(format_args!("sleep: the system has no timer"));
        }
    }

    fn source(&mut self, name: &str, world: &mut impl World) {
        match self.facts().scripts.get(name) {
            None => world.print(format_args!("source: there is no script '{name}'; help lists them")),
            Some(text) => {
                if self.frames.push(Frame { line: "", rest: text }).is_err() {
                    world.print(format_args!(
                        "source: more than {MAX_NESTING} scripts would run each other; {name} is left out"
                    ));
                }
            }
        }
    }

    fn control(&mut self, command: &'static str, op: u32, name: &str, world: &mut impl World) {
        let Ok(Some(pd)) = self.optional_pd(command, Some(name), world) else { return };
        let entry = &self.facts().table.pds[pd];
        // The supervisor is the one that has children and no parent.
        let parent = self.facts().table.pds.get(usize::from(entry.parent));
        if parent.is_none_or(|parent| self.facts().table.pds.get(usize::from(parent.parent)).is_some()) {
            return world.print(format_args!("{command}: {name} is no child of the supervisor"));
        }
        if op == op::STOP && self.facts().carries_terminal(pd) {
            return world.print(format_args!("stop: without {name} there is no shell; it can be restarted"));
        }
        self.ask(op, u32::from(entry.child_id), Then::Tell(command, pd), world);
    }

    fn ask(&mut self, op: u32, child: u32, then: Then, world: &mut impl World) {
        let token = self.token();
        if world.ask(Request { op, child, token }) {
            self.activity = Activity::Asking { token, give_up_us: world.now_us() + ANSWER_TIMEOUT_US, then };
        } else {
            world.print(format_args!("the supervisor takes no requests now"));
        }
    }

    fn log(&mut self, of: Option<&str>, level: Option<Level>, world: &mut impl World) {
        let of = of.filter(|name| *name != "all");
        let Ok(pd) = self.optional_pd("log", of, world) else { return };
        if let (None, Some(level)) = (pd, level) {
            return world.control(set_level(ALL_CLIENTS, level));
        }
        let token = self.token() as u32;
        self.clients.clear();
        world.control(FromClient::new(kind::QUERY).with_argument(token));
        let give_up_us = world.now_us() + ANSWER_TIMEOUT_US;
        self.activity = Activity::Querying { token, give_up_us, pd, level };
    }
}

fn set_level(slot: u32, level: Level) -> FromClient {
    FromClient { level: level as u8, ..FromClient::new(kind::SET_LEVEL).with_argument(slot) }
}

/// The words after the first, with blanks between them.
struct Joined<'a>(&'a Words);

impl core::fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (index, word) in self.0.iter().skip(1).enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(word)?;
        }
        Ok(())
    }
}

impl Default for Shell<'_> {
    fn default() -> Self {
        Self::new()
    }
}
