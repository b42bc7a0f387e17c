//! The shell in a simulated system: what is typed, and what appears.

use proptest::prelude::*;
use protocols::apps;
use protocols::console::{self, CHUNK, ClientStatus, FromClient, FromConsole, Level, kind};
use protocols::keywords;
use protocols::model;
use protocols::model_pack;
use protocols::npu;
use protocols::rot;
use protocols::storage::{self, Ask, ClientError, Event};
use protocols::supervisor::{Answer, ChildStats, Request, State, op, result};
use protocols::system_table::*;
use shell::reports::Facts;
use shell::scripts::Scripts;
use shell::shell::Shell;
use shell::world::{Order, RunnerReply, SubmitError, World};
use std::collections::VecDeque;
use std::fmt;
use zerocopy::{FromZeros, IntoBytes};

#[derive(Default)]
struct Machine {
    now_us: u64,
    alarm_us: Option<u64>,
    no_timer: bool,
    /// Entries that the console still takes; none is no limit.
    room: Option<usize>,
    printed: Vec<String>,
    view: String,
    /// Views as they were when their line was finished.
    entered: Vec<String>,
    controls: Vec<FromClient>,
    to_shell: VecDeque<FromConsole>,
    requests: Vec<Request>,
    answers: VecDeque<Answer>,
    stats: [Option<ChildStats>; 4],
    /// The model runner is not there, or has not given back the tensors of the job before.
    runner_trouble: Option<SubmitError>,
    runner_requests: Vec<model::Request>,
    runner_state: Option<State>,
    jobs: Vec<(u32, u32, Vec<u8>, u64)>,
    replies: VecDeque<RunnerReply>,
    output: Vec<u8>,
    no_npu: bool,
    npu_requests: Vec<npu::Request>,
    npu_replies: VecDeque<npu::Reply>,
    apps_requests: Vec<apps::Request>,
    /// What the app manager answers to each request.
    apps_script: Vec<apps::Answer>,
    apps_answers: Vec<apps::Answer>,
    no_keywords: bool,
    keywords_requests: Vec<keywords::Request>,
    keywords_events: VecDeque<keywords::Event>,
    no_rot: bool,
    rot_requests: Vec<rot::Request>,
    rot_replies: VecDeque<rot::Reply>,
    powered_off: Option<u8>,
    storage_asked: Vec<String>,
    storage_trouble: Option<ClientError>,
    storage_events: VecDeque<(Event, Vec<u8>)>,
}

impl World for Machine {
    fn now_us(&mut self) -> u64 {
        self.now_us
    }
    fn wake_at(&mut self, time_us: u64) -> bool {
        self.alarm_us = Some(time_us);
        !self.no_timer
    }
    fn console_has_room(&mut self, entries: usize) -> bool {
        self.room.is_none_or(|room| room >= entries)
    }
    fn print(&mut self, text: fmt::Arguments<'_>) {
        let text = text.to_string();
        assert!(text.len() <= console::MAX_LINE && !text.contains('\n'), "{text}");
        self.printed.push(text);
        self.room = self.room.map(|room| room.checked_sub(console::MAX_CHUNKS).expect("room was asked for"));
    }
    fn control(&mut self, entry: FromClient) {
        self.room = self.room.map(|room| room.checked_sub(1).expect("room was asked for"));
        match entry.kind {
            kind::VIEW => self.view = String::from_utf8(entry.text().to_vec()).unwrap(),
            kind::VIEW_DONE => self.entered.push(std::mem::take(&mut self.view)),
            _ => self.controls.push(entry),
        }
    }
    fn receive(&mut self) -> Option<FromConsole> {
        self.to_shell.pop_front()
    }
    fn ask(&mut self, request: Request) -> bool {
        self.requests.push(request);
        true
    }
    fn answer(&mut self) -> Option<Answer> {
        self.answers.pop_front()
    }
    fn stats(&mut self, child: usize) -> Option<ChildStats> {
        self.stats.get(child).copied().flatten()
    }
    fn submit(&mut self, order: &Order<'_>) -> Result<(), SubmitError> {
        if let Some(error) = self.runner_trouble {
            return Err(error);
        }
        assert_eq!(order.output_bytes, 2);
        self.jobs.push((order.job, order.model, order.input.to_vec(), order.period_us));
        Ok(())
    }
    fn runner_state(&mut self) -> Option<State> {
        self.runner_state
    }
    fn ask_runner(&mut self, request: model::Request) -> bool {
        if self.runner_trouble.is_some() {
            return false;
        }
        self.runner_requests.push(request);
        true
    }
    fn runner_reply(&mut self) -> Option<RunnerReply> {
        self.replies.pop_front()
    }
    fn output(&mut self, _: &model::JobResult, into: &mut [u8]) -> usize {
        let length = self.output.len().min(into.len());
        into[..length].copy_from_slice(&self.output[..length]);
        length
    }
    fn ask_npu(&mut self, request: npu::Request) -> Result<(), &'static str> {
        if self.no_npu {
            return Err("this system has no accelerator");
        }
        self.npu_requests.push(request);
        Ok(())
    }
    fn ask_apps(&mut self, request: apps::Request) -> bool {
        self.apps_requests.push(request);
        self.apps_answers
            .extend(self.apps_script.iter().map(|answer| apps::Answer { token: request.token, ..*answer }));
        true
    }
    fn apps_answer(&mut self) -> Option<apps::Answer> {
        (!self.apps_answers.is_empty()).then(|| self.apps_answers.remove(0))
    }
    fn ask_rot(&mut self, request: &rot::Request) -> Result<(), &'static str> {
        if self.no_rot {
            return Err("this system has no root of trust");
        }
        self.rot_requests.push(*request);
        Ok(())
    }
    fn rot_reply(&mut self) -> Option<rot::Reply> {
        self.rot_replies.pop_front()
    }
    fn npu_reply(&mut self) -> Option<npu::Reply> {
        self.npu_replies.pop_front()
    }
    fn ask_storage(&mut self, ask: &Ask<'_>) -> Result<u32, ClientError> {
        self.storage_asked.push(format!("{ask:?}"));
        self.storage_trouble.map_or(Ok(self.storage_asked.len() as u32), Err)
    }
    fn storage_event(&mut self, into: &mut [u8]) -> Option<Event> {
        let (event, bytes) = self.storage_events.pop_front()?;
        let length = bytes.len().min(into.len());
        into[..length].copy_from_slice(&bytes[..length]);
        Some(event)
    }
    fn ask_keywords(&mut self, request: keywords::Request) -> Result<(), &'static str> {
        if self.no_keywords {
            return Err("this system does not listen");
        }
        self.keywords_requests.push(request);
        Ok(())
    }
    fn keywords_event(&mut self) -> Option<keywords::Event> {
        self.keywords_events.pop_front()
    }
    fn power_off(&mut self, code: u8) {
        self.powered_off = Some(code);
    }
}

fn pd(name: &str, priority: u16, parent: u16, child_id: u16) -> PdEntry {
    let mut entry = PdEntry::new_zeroed();
    entry.name[..name.len()].copy_from_slice(name.as_bytes());
    (entry.priority, entry.parent, entry.child_id) = (priority, parent, child_id);
    (entry.budget_us, entry.period_us, entry.stack_bytes, entry.image_bytes) = (1000, 1000, 0x2000, 0x5000);
    entry
}

fn table_words() -> Vec<u64> {
    let header =
        Header { magic: MAGIC, timebase_hz: 10_000_000, pds: 6, channels: 1, regions: 1, reserved: 0, board: [0; 32] };
    let pds = [
        pd("supervisor", 200, NO_PARENT, 0),
        pd("timer", 190, 0, 0),
        pd("shell", 120, 0, 1),
        pd("app", 10, 2, 0),
        pd("console", 170, 0, 2),
        pd("uart", 180, 0, 3),
    ];
    let channels = [ChannelEntry { pd_a: 5, id_a: 1, pd_b: 4, id_b: 1 }];
    let mut region = RegionEntry::new_zeroed();
    region.name[..4].copy_from_slice(b"uart");
    (region.bytes, region.paddr) = (0x1000, 0x1000_0000);
    let bytes = [header.as_bytes(), pds.as_bytes(), channels.as_bytes(), region.as_bytes()].concat();
    bytes.chunks(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap())).collect()
}

/// One model, `digits`, with one input of 3 bytes whose class is 1.
fn pack_words() -> Vec<u128> {
    let mut entry = model_pack::ModelEntry::new_zeroed();
    entry.name[..6].copy_from_slice(b"digits");
    (entry.file_at, entry.file_bytes, entry.samples, entry.input_bytes, entry.output_bytes) = (80, 5, 1, 3, 2);
    (entry.labels_at, entry.inputs_at, entry.outputs_at) = (96, 112, 128);
    let header = model_pack::Header { magic: model_pack::MAGIC, bytes: 160, models: 1 };
    let mut bytes = [0; 160];
    bytes[..16].copy_from_slice(header.as_bytes());
    bytes[16..80].copy_from_slice(entry.as_bytes());
    bytes[96] = 1;
    bytes[112..115].copy_from_slice(b"abc");
    bytes[128..130].copy_from_slice(&[0x80, 0x7f]);
    bytes.chunks(16).map(|chunk| u128::from_le_bytes(chunk.try_into().unwrap())).collect()
}

const SCRIPTS: &[u8] = b"[hello]\necho one; echo two\n# nothing\n\necho three\n[bad]\necho 'open\necho after\n\
    [endless]\necho again; source endless\n[slow]\nsleep 5\necho done\n";

struct Session {
    shell: Shell<'static>,
    machine: Machine,
}

fn session() -> Session {
    let table: &'static [u64] = Vec::leak(table_words());
    let pack: &'static [u128] = Vec::leak(pack_words());
    let mut shell = Shell::new();
    shell.set_facts(Facts {
        table: SystemTable::parse(table.as_bytes()).unwrap(),
        scripts: Scripts::new(SCRIPTS),
        models: Some(model_pack::ModelPack::parse(pack.as_bytes()).unwrap()),
        own: 2,
        console: 4,
    });
    let mut session = Session { shell, machine: Machine::default() };
    session.settle();
    session
}

impl Session {
    fn settle(&mut self) {
        for _ in 0..10_000 {
            if !self.shell.turn(&mut self.machine) {
                return;
            }
        }
        panic!("the shell does not come to rest");
    }

    fn type_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(CHUNK) {
            self.machine.to_shell.push_back(FromConsole::new(kind::INPUT).with_text(chunk));
        }
        self.settle();
    }

    /// What appears after a line was typed.
    fn run(&mut self, line: &str) -> Vec<String> {
        self.machine.printed.clear();
        self.type_bytes(line.as_bytes());
        self.type_bytes(b"\r");
        std::mem::take(&mut self.machine.printed)
    }

    /// The same, with the supervisor answering.
    fn run_answered(&mut self, line: &str, outcome: u32) -> (Vec<String>, Request) {
        assert_eq!(self.run(line), [""; 0]);
        let request = *self.machine.requests.last().unwrap();
        self.machine.answers.push_back(Answer { result: outcome, child: request.child, token: request.token });
        self.settle();
        (std::mem::take(&mut self.machine.printed), request)
    }

    fn pass(&mut self, us: u64) -> Vec<String> {
        self.machine.now_us += us;
        self.settle();
        std::mem::take(&mut self.machine.printed)
    }

    /// The console's answer to the last query.
    fn console_answers(&mut self) -> Vec<String> {
        let query = *self.machine.controls.last().unwrap();
        for (slot, pd) in [(0, 2), (3, 1)] {
            let status = ClientStatus { printed: 7, filtered: 8, dropped: 9, pd };
            let mut entry = FromConsole::new(kind::STATUS).with_text(status.as_bytes()).with_argument(slot);
            entry.level = Level::Warning as u8;
            self.machine.to_shell.push_back(entry);
        }
        self.machine.to_shell.push_back(FromConsole::new(kind::DONE).with_argument(query.argument));
        self.settle();
        std::mem::take(&mut self.machine.printed)
    }
}

#[test]
fn the_prompt_shows_what_is_typed() {
    let mut session = session();
    assert_eq!(session.machine.view, "kinglet> ");
    session.type_bytes(b"ech");
    assert_eq!(session.machine.view, "kinglet> ech");
    assert_eq!(session.run("o hi"), ["hi"]);
    assert_eq!(session.machine.entered, ["kinglet> echo hi"]);
    assert_eq!(session.machine.view, "kinglet> ");
}

#[test]
fn commands_of_a_line_run_in_order_and_bad_ones_say_so() {
    let mut session = session();
    assert_eq!(session.run("echo a; nonsense; echo b"), ["a", "nonsense: no such command; help lists them", "b"]);
    assert_eq!(session.run("echo a; echo 'b"), ["the quote ' is not closed; nothing of the line was run"]);
    assert_eq!(session.run(""), [""; 0]);
    assert_eq!(session.run("uptime"), ["up 0 us"]);
    assert!(session.run("help").iter().any(|line| line.starts_with("infer MODEL INPUT")));
    assert_eq!(session.run("help sleep"), ["usage: sleep SECONDS", "wait; fractions are fine"]);
}

#[test]
fn pasted_lines_all_run() {
    let mut session = session();
    let lines: String = (0..300).map(|n| format!("echo {n}{}", ["\r", "\n", "\r\n"][n % 3])).collect();
    session.type_bytes(lines.as_bytes());
    assert!(session.machine.printed.iter().map(|line| line.parse::<i32>().unwrap()).eq(0..300));
}

#[test]
fn a_line_that_is_too_long_is_refused_whole() {
    let mut session = session();
    assert_eq!(session.run(&format!("echo {}", "x".repeat(1019))), ["x".repeat(1019)]);
    let refused = session.run(&format!("echo {}; echo no", "x".repeat(2000)));
    assert_eq!(refused, ["the line has 2014 bytes, more than 1024; nothing of it was run"]);
    assert_eq!(session.run("echo fine"), ["fine"]);
}

#[test]
fn output_waits_for_room() {
    let mut session = session();
    session.machine.room = Some(40);
    session.type_bytes(b"help\r");
    let before = session.machine.printed.len();
    assert!(before < 5);
    for _ in 0..40 {
        session.machine.room = Some(40);
        session.settle();
    }
    assert!(session.machine.printed.len() > 15);
    session.machine.room = None;
    assert_eq!(session.run("echo x"), ["x"]);
}

#[test]
fn processes_and_memory() {
    let mut session = session();
    session.machine.stats[0] = Some(ChildStats {
        state: State::GivenUp as u64,
        faults: 6,
        restarts: 5,
        cpu_us: 1500,
        fault_pc: 0x200010,
        fault_ticks: 20_000_000,
        ..ChildStats::default()
    });
    let (lines, request) = session.run_answered("ps", result::OK);
    assert_eq!(request.op, op::REFRESH);
    assert_eq!(lines[1], "supervisor       running   200     1 ms     1 ms          -       -         -");
    assert_eq!(lines[2], "timer            faulted   190     1 ms     1 ms     1.5 ms       6         5");
    assert_eq!(lines[3], "shell            -         120     1 ms     1 ms          -       -         -");
    let (lines, _) = session.run_answered("ps timer", result::OK);
    assert_eq!(lines[0], "timer: faulted");
    assert_eq!(lines[4], "last fault 2 s after start, pc 0x200010, address 0x0");
    assert_eq!(session.run("ps x"), ["ps: there is no protection domain 'x'; ps lists them"]);
    let memory = session.run("mem");
    assert_eq!(memory[1], "supervisor                     20 KiB      8 KiB");
    assert_eq!(memory[8], "uart                            4 KiB 0x10000000");
    assert_eq!(memory[9], "in all: programs 120 KiB, stacks 48 KiB, regions in RAM 0 B");
}

#[test]
fn the_app_manager_is_asked_about_apps() {
    let mut session = session();
    let long = format!("{}end", "x".repeat(200));
    let mut script = Vec::new();
    apps::line(0, format_args!("{long}"), &mut |answer| script.push(answer));
    apps::line(0, format_args!(""), &mut |answer| script.push(answer));
    script.push(apps::Answer::done(0, false));
    session.machine.apps_script = script;
    for (line, number, text, argument) in [
        ("apps", apps::op::LIST, "", 0),
        ("install apps/hello.klb", apps::op::INSTALL, "apps/hello.klb", 0),
        ("uninstall hello erase", apps::op::UNINSTALL, "hello", 1),
        ("start hello", apps::op::START, "hello", 0),
        ("stop hello", apps::op::STOP, "hello", 0),
        ("restart hello", apps::op::RESTART, "hello", 0),
        ("autostart hello on", apps::op::AUTOSTART, "hello", 1),
    ] {
        assert_eq!(session.run(line), [&long, ""], "{line}");
        let request = session.machine.apps_requests.pop().unwrap();
        assert_eq!((request.op, request.text(), request.argument), (number, text, argument));
    }
    session.machine.apps_script.clear();
    session.run("status hello");
    session.machine.now_us += 80_000_000;
    session.settle();
    assert_eq!(session.machine.printed.last().unwrap(), "the app manager does not answer");
}

#[test]
fn the_supervisor_is_asked_and_may_refuse_or_be_silent() {
    let mut session = session();
    let (lines, request) = session.run_answered("restart timer", result::OK);
    assert_eq!((lines.len(), request.op, request.child), (0, op::RESTART, 0));
    assert_eq!(session.run_answered("stop timer", result::ALREADY).0, ["stop: timer is stopped already"]);
    for lifeline in ["shell", "console", "uart"] {
        let refusal = format!("stop: without {lifeline} there is no shell; it can be restarted");
        assert_eq!(session.run(&format!("stop {lifeline}")), [refusal]);
    }
    assert_eq!(session.run_answered("start shell", result::ALREADY).0, ["start: shell runs already"]);
    assert_eq!(session.run("restart supervisor"), ["restart: supervisor is no child of the supervisor"]);
    assert_eq!(session.run("stop app"), ["stop: app is no child of the supervisor"]);
    assert_eq!(session.run("restart timer"), [""; 0]);
    assert_eq!(session.machine.alarm_us, Some(1_000_000));
    assert_eq!(session.pass(1_000_000), ["the supervisor does not answer"]);
    // The late answer is for nobody.
    let token = session.machine.requests.last().unwrap().token;
    session.machine.answers.push_back(Answer { result: 9, child: 0, token });
    assert_eq!(session.run_answered("restart timer", result::OK).0, [""; 0]);
}

#[test]
fn sleep_ends_in_time_or_by_control_c() {
    let mut session = session();
    assert_eq!(session.run("sleep 0.5; echo up"), [""; 0]);
    assert_eq!(session.machine.alarm_us, Some(500_000));
    session.type_bytes(b"echo typed\r");
    assert_eq!(session.pass(499_999), [""; 0]);
    assert_eq!(session.pass(1), ["up", "typed"]);
    assert_eq!(session.run("sleep 100; echo never"), [""; 0]);
    session.type_bytes(b"echo lost\x03echo kept\r");
    assert_eq!(session.pass(0), ["^C", "kept"]);
    session.machine.no_timer = true;
    assert_eq!(session.run("sleep 1; echo next"), ["sleep: the system has no timer", "next"]);
}

#[test]
fn scripts() {
    let mut session = session();
    assert_eq!(session.run("source hello; echo four"), ["one", "two", "three", "four"]);
    assert_eq!(session.run("source bad"), ["the quote ' is not closed: echo 'open", "after"]);
    assert_eq!(session.run("source none"), ["source: there is no script 'none'; help lists them"]);
    let endless = session.run("source endless");
    assert_eq!(endless.last().unwrap(), "source: more than 4 scripts would run each other; endless is left out");
    assert_eq!(session.run("source slow"), [""; 0]);
    session.type_bytes(b"\x03");
    assert_eq!(session.pass(9_000_000), ["^C"]);
}

#[test]
fn log_levels() {
    let mut session = session();
    session.run("log all error");
    let set = *session.machine.controls.last().unwrap();
    assert_eq!((set.kind, set.argument, set.level), (kind::SET_LEVEL, console::ALL_CLIENTS, Level::Error as u8));
    session.run("log timer debug");
    assert_eq!(session.console_answers(), [""; 0]);
    let set = *session.machine.controls.last().unwrap();
    assert_eq!((set.kind, set.argument, set.level), (kind::SET_LEVEL, 3, Level::Debug as u8));
    session.run("log");
    let lines = session.console_answers();
    assert_eq!(
        lines[1..],
        [
            "shell            -                7         8         9",
            "timer            warning          7         8         9"
        ]
    );
    session.run("log timer");
    assert_eq!(session.console_answers().len(), 2);
    session.run("log app debug");
    assert_eq!(session.console_answers(), ["log: app has no link to the console"]);
    session.run("log");
    assert_eq!(session.pass(1_000_000), ["log: the console does not answer"]);
}

#[test]
fn an_answer_behind_many_keys_arrives() {
    let mut session = session();
    session.run("log");
    let keys = "echo later\r".repeat(400);
    keys.as_bytes().chunks(CHUNK).for_each(|keys| {
        session.machine.to_shell.push_back(FromConsole::new(kind::INPUT).with_text(keys));
    });
    let lines = session.console_answers();
    assert!(lines[1].starts_with("shell"));
    assert_eq!(lines.iter().filter(|line| *line == "later").count(), 400);
}

#[test]
fn models_and_inference() {
    let mut session = session();
    assert_eq!(session.run("models").len(), 1);
    let request = session.machine.runner_requests[0];
    let info = model::ModelInfo { file_bytes: 18_000, arena_bytes: 6_000, macs: 200, runs: 3, ..Default::default() };
    let reply = model::Reply::new(&request, model::code::DONE).with_body(&info);
    session.machine.replies.push_back(RunnerReply::Reply(reply));
    let row = session.pass(0);
    assert_eq!(
        row,
        ["digits             17.5 KiB    5.8 KiB        0 B       0 B    0        200       3      1 processor"]
    );

    assert_eq!(session.run("infer digits 0"), [""; 0]);
    let (job, model, input, _) = session.machine.jobs.pop().unwrap();
    assert_eq!((model, &input[..]), (0, &b"abc"[..]));
    let request = model::Request::submit(job, model, Default::default(), Default::default(), 0);
    let result =
        model::JobResult { started_ns: 1, finished_ns: 2_000_001, instructions: 500, macs: 200, ..Default::default() };
    session.machine.output = vec![0x80, 0x7f];
    let reply = model::Reply::new(&request, model::code::DONE).with_body(&result);
    session.machine.replies.push_back(RunnerReply::Reply(reply));
    let lines = session.pass(0);
    assert_eq!(lines[0], "digits 0: class 1, which is right; output as the reference's, bit for bit");
    assert_eq!(lines[1], "2 ms, 500 instructions (2.5 per MAC), waited 0 us");

    assert_eq!(session.run("infer digits 1"), ["infer: digits has 1 inputs, numbered from 0; there is no 1"]);
    assert_eq!(session.run("infer x 1"), ["infer: there is no model 'x'; models lists them"]);
    assert_eq!(session.run("infer digits 0"), [""; 0]);
    session.machine.replies.push_back(RunnerReply::Restarted);
    assert_eq!(session.pass(0), ["the model runner restarted"]);
    assert_eq!(session.run("infer digits 0"), [""; 0]);
    assert_eq!(session.pass(10_000_000), ["the model runner does not answer"]);
    assert_eq!(session.machine.runner_requests.last().unwrap().kind, model::kind::CANCEL);
}

fn reply_to(session: &mut Session, code: u32, body: &(impl IntoBytes + zerocopy::Immutable)) -> Vec<String> {
    let request = *session.machine.runner_requests.last().unwrap();
    session.machine.replies.push_back(RunnerReply::Reply(model::Reply::new(&request, code).with_body(body)));
    session.pass(0)
}

#[test]
fn jobs_of_all_clients_are_listed_and_ended() {
    let mut session = session();
    assert_eq!(session.run("jobs"), [""; 0]);
    let info = model::JobInfo {
        serial: 7,
        client: 2,
        state: model::state::RUNNING,
        engine: model::engine::ACCELERATOR,
        priority: 3,
        runs: 12,
        missed: 1,
        pd: 3,
        period_ns: 500_000_000,
        age_ns: 6_100_000_000,
        ..Default::default()
    };
    let lines = reply_to(&mut session, model::code::DONE, &info);
    assert!(lines[0].starts_with("  JOB CLIENT"), "{lines:?}");
    assert_eq!(
        lines[1],
        "    7 app              digits           on the accelerator     3   500 ms     12      1    6.1 s"
    );
    assert_eq!(session.machine.runner_requests.last().unwrap().job, 8);
    assert_eq!(reply_to(&mut session, model::code::NO_JOB, &[0u8; 0]), [""; 0]);
    assert_eq!(session.run("jobs; echo next"), [""; 0]);
    assert_eq!(reply_to(&mut session, model::code::NO_JOB, &[0u8; 0]), ["jobs: there are none", "next"]);

    assert_eq!(session.run("jobs cancel 7"), [""; 0]);
    assert_eq!(session.machine.runner_requests.last().unwrap().kind, model::kind::END);
    assert_eq!(reply_to(&mut session, model::code::DONE, &[0u8; 0]), [""; 0]);
    session.run("jobs cancel 8");
    assert_eq!(reply_to(&mut session, model::code::NO_JOB, &[0u8; 0]), ["jobs: there is no job 8; jobs lists them"]);

    session.run("jobs clients");
    let info = model::ClientInfo { done: 450, share: 333, connected: 1, pd: 3, ..Default::default() };
    let lines = reply_to(&mut session, model::code::DONE, &info);
    assert_eq!(lines[1], "app                 0      450      0     0      0       0      0     0      0 us 33.3 %");
    for _ in 1..8 {
        assert_eq!(reply_to(&mut session, model::code::BAD_REQUEST, &[0u8; 0]), [""; 0]);
    }
    assert_eq!(session.run("echo free"), ["free"]);
}

#[test]
fn a_periodic_job_goes_on_beside_what_is_typed() {
    let mut session = session();
    assert_eq!(session.run("jobs start digits every 500ms; echo on"), ["on"]);
    let (job, _, input, period_us) = session.machine.jobs.pop().unwrap();
    assert_eq!((&input[..], period_us), (&b"abc"[..], 500_000));
    let reply = |kind, code, missed| {
        let request = model::Request::ask(kind, job, 0);
        let result = model::JobResult { missed, ..Default::default() };
        RunnerReply::Reply(model::Reply::new(&request, code).with_body(&result))
    };
    for (output, code) in [([0x80, 0x7f], 0), ([0x80, 0x7f], 0), ([1, 2], 0), ([0x80, 0x7f], model::code::TIMED_OUT)] {
        session.machine.output = output.to_vec();
        session.machine.replies.push_back(reply(model::kind::RUN, code, 0));
        assert_eq!(session.pass(500_000), [""; 0]);
    }
    session.machine.replies.push_back(reply(model::kind::SUBMIT, model::code::CANCELLED, 3));
    assert_eq!(
        session.pass(0),
        ["jobs: digits: cancelled; 2 runs with the reference's output, 1 WITH ANOTHER, 1 failed, 3 missed"]
    );
    session.run("jobs start digits every 1s 0");
    session.machine.replies.push_back(RunnerReply::Restarted);
    assert_eq!(session.pass(0), ["jobs: 1 periodic jobs ended with the model runner's restart"]);
    for _ in 0..7 {
        assert_eq!(session.run("jobs start digits every 1s"), [""; 0]);
    }
    assert_eq!(session.run("jobs start digits every 1s"), ["jobs: the shell has as many periodic jobs as it may have"]);
    for (bad, text) in [
        ("jobs start digits every 0ms", "jobs: '0ms' is not a period of at least 1ms, such as 500ms or 2s"),
        ("jobs start digits 1s", "usage: jobs [clients | cancel JOB | start MODEL every PERIOD [INPUT]]"),
        ("jobs cancel x", "jobs: 'x' is not the number of a job"),
        ("jobs stop", "jobs: 'stop' is not one of: cancel clients start"),
    ] {
        assert_eq!(session.run(bad), [text]);
    }
}

#[test]
fn a_model_runner_that_is_stopped_is_told_at_once() {
    let mut session = session();
    let text = "the model runner is stopped; start it to run models";
    session.machine.runner_state = Some(State::Stopped);
    session.machine.runner_trouble = Some(SubmitError::NoRunner);
    assert_eq!(session.run("infer digits 0"), [text]);
    assert_eq!(session.run("models")[1..], [text]);
    assert_eq!(session.run("jobs"), [text]);
    // It is stopped while a job runs: nobody says so, but the shell looks.
    session.machine.runner_state = Some(State::Running);
    session.machine.runner_trouble = None;
    assert_eq!(session.run("infer digits 0"), [""; 0]);
    session.machine.runner_state = Some(State::GivenUp);
    assert!(session.machine.alarm_us.unwrap() <= session.machine.now_us + 200_000);
    assert_eq!(session.pass(200_000), ["the model runner faulted too often and stays stopped; start it to run models"]);
}

#[test]
fn what_was_heard() {
    let mut session = session();
    assert_eq!(session.run("keywords"), [""; 0]);
    let keywords::Request { kind, token } = session.machine.keywords_requests[0];
    assert_eq!(kind, keywords::request::QUERY);
    let heard = keywords::Detection {
        word: *b"stop\0\0\0\0\0\0\0\0\0\0\0\0",
        number: 1,
        sample: 20_000,
        latency_ns: 14_000_000,
        confidence: 976,
        ..Default::default()
    };
    let status = keywords::Status {
        state: keywords::state::LISTENING,
        samples: 32_000,
        windows: 10,
        latency_sum_ns: 150_000_000,
        latency_max_ns: 16_000_000,
        model_ns: 120_000_000,
        detections: 2,
        ..Default::default()
    };
    let events = [
        // Of a question that was given up.
        keywords::Event { token: token + 1, ..keywords::Event::new(keywords::kind::STATUS, &status) },
        keywords::Event { token, ..keywords::Event::new(keywords::kind::RECENT, &heard) },
        keywords::Event { token, ..keywords::Event::new(keywords::kind::STATUS, &status) },
    ];
    session.machine.keywords_events.extend(events);
    let lines = session.pass(0);
    assert_eq!(lines[0], "   2. stop             at    1.25 s, sure to  97 %, told after 14 ms");
    assert_eq!(lines[1], "listens; 2 words heard in 2 s of sound, with 0 gaps and 0 samples lost");
    assert_eq!(lines[2], "10 windows judged, 0 left out, 0 failed");
    assert_eq!(lines[3], "a window is judged 15 ms after its last sample, 16 ms at most; its inference takes 12 ms");
    assert_eq!(lines.len(), 5);
    assert_eq!(session.run("keywords"), [""; 0]);
    assert_eq!(session.pass(10_000_000), ["keywords: the spotter does not answer"]);
    session.machine.no_keywords = true;
    assert_eq!(session.run("keywords"), ["keywords: this system does not listen"]);
}

#[test]
fn power_off_comes_after_the_farewell() {
    let mut session = session();
    assert_eq!(session.run("poweroff 3; echo never"), ["powering off"]);
    let flush = *session.machine.controls.last().unwrap();
    assert_eq!((flush.kind, session.machine.powered_off), (kind::FLUSH, None));
    session.machine.to_shell.push_back(FromConsole::new(kind::DONE).with_argument(flush.argument));
    session.settle();
    assert_eq!(session.machine.powered_off, Some(3));
    // A console that does not answer does not keep the machine on.
    session.machine.powered_off = None;
    session.run("poweroff");
    session.pass(200_000);
    assert_eq!(session.machine.powered_off, Some(0));
}

#[test]
fn completion() {
    let mut session = session();
    let mut completed = |typed: &str| {
        session.type_bytes(b"\x15");
        session.type_bytes(typed.as_bytes());
        session.machine.printed.clear();
        session.type_bytes(b"\t");
        (session.machine.view["kinglet> ".len()..].to_string(), session.machine.printed.clone())
    };
    let done = |text: &str| (text.to_string(), vec![]);
    assert_eq!(completed("up"), done("uptime "));
    assert_eq!(completed("echo a; upt"), done("echo a; uptime "));
    assert_eq!(completed("restart t"), done("restart timer "));
    assert_eq!(completed("log a").1, ["all  app  "]);
    assert_eq!(completed("log all deb"), done("log all debug "));
    assert_eq!(completed("infer d"), done("infer digits "));
    assert_eq!(completed("source h"), done("source hello "));
    assert_eq!(completed("help upt"), done("help uptime "));
    assert_eq!(completed("st").1, ["stop  start  status  "]);
    assert_eq!(completed("restart ").1, ["supervisor  timer  shell  app  console  uart  "]);
    for nothing in ["nonsense x", "echo a", "restart 'ti", "mem x", "infer digits 0"] {
        assert_eq!(completed(nothing), done(nothing));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_bytes_are_harmless_and_a_line_still_runs(noise in prop::collection::vec(any::<u8>(), 0..3000)) {
        let mut session = session();
        session.type_bytes(&noise);
        session.pass(100_000_000_000);
        session.type_bytes(b"\x03\x03\r");
        session.pass(100_000_000_000);
        prop_assert_eq!(session.run("echo alive"), ["alive"]);
    }
}

#[test]
fn a_runner_that_is_coming_up_is_waited_for() {
    let mut session = session();
    for (command, error, text) in [
        ("models", SubmitError::NoRunner, "models: the model runner takes no jobs now"),
        ("infer digits 0", SubmitError::NoRunner, "infer: the model runner takes no jobs now"),
        ("infer digits 0", SubmitError::Busy, "infer: the model runner has not ended the jobs before"),
    ] {
        session.machine.runner_trouble = Some(error);
        let before = session.machine.runner_requests.len() + session.machine.jobs.len();
        session.run(command);
        assert_eq!(session.pass(1_000_000), [""; 0]);
        session.machine.runner_trouble = None;
        assert_eq!(session.pass(0), [""; 0]);
        assert_eq!(session.machine.runner_requests.len() + session.machine.jobs.len(), before + 1, "{command}");
        session.machine.replies.push_back(RunnerReply::Restarted);
        assert_eq!(session.pass(0), ["the model runner restarted"]);

        session.machine.runner_trouble = Some(error);
        session.run(command);
        assert_eq!(session.pass(2_000_000), [text]);
        session.machine.runner_trouble = None;
    }
}

/// The storage service's answer to what it was asked last.
fn storage_answers(session: &mut Session, code: u32) -> Vec<String> {
    let request = storage::Request { id: session.machine.storage_asked.len() as u32, ..Default::default() };
    session.machine.storage_events.push_back((Event::Reply(storage::Reply::new(&request, code), 0), Vec::new()));
    session.settle();
    std::mem::take(&mut session.machine.printed)
}

/// What went over the line as it is since the last time.
fn raw(session: &mut Session) -> Vec<u8> {
    let controls = std::mem::take(&mut session.machine.controls);
    controls.iter().filter(|entry| entry.kind == kind::RAW).flat_map(|entry| entry.text().to_vec()).collect()
}

fn block(number: u8, data: &[u8], filling: u8) -> Vec<u8> {
    let mut padded = data.to_vec();
    padded.resize(128, filling);
    let crc = xmodem::CRC.checksum(&padded).to_be_bytes();
    [&[xmodem::SOH, number, !number][..], &padded, &crc].concat()
}

const END: &[u8] = &[xmodem::EOT, xmodem::EOT];

#[test]
fn a_file_is_received_block_by_block() {
    let mut session = session();
    assert_eq!(session.run("receive in/file.bin"), [""; 0]);
    assert!(session.machine.storage_asked[0].contains("receive: 0"));
    assert!(raw(&mut session).is_empty(), "the terminal is taken only when there is a file");
    assert!(storage_answers(&mut session, storage::code::DONE)[0].starts_with("send the file"));
    assert!(session.machine.controls.iter().any(|entry| entry.kind == kind::RAW_BEGIN));
    assert_eq!(raw(&mut session), b"C");
    // A key that cancels commands is data here.
    session.type_bytes(&block(0, b"name\x003", 0));
    assert_eq!(raw(&mut session), [xmodem::ACK, b'C']);
    session.type_bytes(&block(1, b"\x03\r\x1a", 0x1a));
    assert!(raw(&mut session).is_empty(), "it is on the disk before it is acknowledged");
    assert_eq!(session.machine.storage_asked.len(), 2);
    storage_answers(&mut session, storage::code::DONE);
    assert_eq!(raw(&mut session), [xmodem::ACK]);
    session.type_bytes(END);
    session.type_bytes(&block(0, b"", 0));
    assert!(session.machine.controls.iter().any(|entry| entry.kind == kind::RAW_END));
    assert_eq!(session.pass(0), ["in/file.bin: 3 bytes received"]);
    assert_eq!(session.run("echo back"), ["back"]);
}

#[test]
fn an_app_is_received_and_installed() {
    let mut session = session();
    session.run("install -");
    storage_answers(&mut session, storage::code::DONE);
    session.type_bytes(&block(1, b"bundle", xmodem::PADDING));
    storage_answers(&mut session, storage::code::DONE);
    session.type_bytes(END);
    assert_eq!(session.pass(0), ["received.klb: 6 bytes received, without XMODEM's filling"]);
    storage_answers(&mut session, storage::code::DONE);
    let request = session.machine.apps_requests.pop().unwrap();
    assert_eq!((request.op, request.text()), (apps::op::INSTALL, "received.klb"));
}

#[test]
fn a_transfer_that_fails_gives_the_terminal_back() {
    let mut session = session();
    session.run("receive file");
    assert_eq!(storage_answers(&mut session, storage::code::NO_DISK), ["receive: file: there is no disk"]);
    assert!(raw(&mut session).is_empty());

    session.run("receive file");
    storage_answers(&mut session, storage::code::DONE);
    session.type_bytes(b"\x03");
    assert_eq!(session.pass(0), ["receive: interrupted"]);
    assert!(raw(&mut session).ends_with(xmodem::CANCEL));
    assert!(session.machine.storage_asked.last().unwrap().contains("102, 105, 108, 101"), "the file is removed");

    session.run("receive file");
    storage_answers(&mut session, storage::code::DONE);
    session.type_bytes(&block(1, b"x", 0));
    assert_eq!(storage_answers(&mut session, storage::code::FULL), ["receive: file: the disk is full"]);

    session.run("receive file");
    storage_answers(&mut session, storage::code::DONE);
    for _ in 0..20 {
        session.pass(3_000_000);
    }
    assert_eq!(session.run("echo back"), ["back"]);
}

#[test]
fn a_long_paste_that_comes_at_once_is_taken_whole() {
    let mut session = session();
    let paste = [b"echo ".as_slice(), &[b'm'; 5000], b"\r"].concat();
    // More than the shell keeps, with a single notification.
    session.type_bytes(&paste);
    assert_eq!(session.pass(0), ["the line has 5005 bytes, more than 1024; nothing of it was run"]);
}
