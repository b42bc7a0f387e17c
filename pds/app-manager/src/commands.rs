//! What the shell asks for.

use bundle::Restart;
use core::fmt;
use protocols::apps::{Answer, Request, op};
use protocols::console::Level;

use crate::MAX_APPS;
use crate::loader::{Failure, Job};
use crate::manager::{App, ListState, Manager, State};
use crate::world::World;

/// How long the staging memory is kept for a bundle of which nothing more comes, in nanoseconds.
const UPLOAD_NS: u64 = 10_000_000_000;

/// What is left to do for a request.
enum Rest {
    /// Nothing: it is answered now.
    Nothing,
    /// It is answered when a job or an app has ended.
    Later,
}

impl Manager<'_> {
    /// Does what the shell asks for, or begins it.
    pub fn command(&mut self, request: &Request, world: &mut impl World) {
        self.ask_for_list(world);
        let token = request.token;
        let name = request.text();
        let outcome = match request.op {
            op::UPLOAD => match self.upload(request, world) {
                Ok(()) => return,
                Err(failure) => Err(failure),
            },
            op::LIST => self.list_apps(token, world),
            op::INSTALL => match name.try_into() {
                Ok(path) => self.begin_job(Job::Install { path, token }, world),
                Err(_) => Err(Failure::NoApp),
            },
            op::INSTALL_UPLOAD => self.end_upload(request, world),
            _ => self.find(name).ok_or(Failure::NoApp).and_then(|app| self.of_app(app, request, world)),
        };
        match outcome {
            Ok(Rest::Later) => {}
            Ok(Rest::Nothing) => world.answer(Answer::done(token, false)),
            Err(failure) => {
                let what = if failure == Failure::NoApp { name } else { word(request.op) };
                Self::line(token, format_args!("{what}: {failure}"), world);
                world.answer(Answer::done(token, true));
            }
        }
    }

    fn begin_job(&mut self, job: Job, world: &mut impl World) -> Result<Rest, Failure> {
        self.queue(job, world);
        Ok(Rest::Later)
    }

    fn of_app(&mut self, app: usize, request: &Request, world: &mut impl World) -> Result<Rest, Failure> {
        let token = request.token;
        let entry = self.apps[app].as_mut().ok_or(Failure::NoApp)?;
        let is_running = entry.state.slot().is_some();
        let is_starting = entry.state == State::Starting;
        match request.op {
            op::START if is_running || is_starting => Err(Failure::Running),
            op::START => self.begin_job(Job::Start { app, token: Some(token) }, world),
            op::STOP | op::RESTART if is_starting => Err(Failure::Busy),
            op::STOP if is_running && entry.stop_token.is_none() && entry.restart_token.is_none() => {
                entry.stop_token = Some(token);
                self.ask_to_stop(app, world);
                Ok(Rest::Later)
            }
            op::STOP if is_running => Err(Failure::Busy),
            // Not to be started again, if that was planned.
            op::STOP if entry.again_ns.take().is_some() => {
                entry.state = State::Stopped;
                Ok(Rest::Nothing)
            }
            op::STOP => Err(Failure::NotRunning),
            op::RESTART if !is_running => self.begin_job(Job::Start { app, token: Some(token) }, world),
            op::RESTART if entry.restart_token.is_some() => Err(Failure::Busy),
            op::RESTART => {
                entry.restart_token = Some(token);
                self.ask_to_stop(app, world);
                Ok(Rest::Later)
            }
            op::UNINSTALL if is_running || is_starting => Err(Failure::Running),
            op::UNINSTALL => {
                entry.again_ns = None;
                self.begin_job(Job::Uninstall { app, erase: request.argument == 1, token }, world)
            }
            op::AUTOSTART => {
                entry.installed.autostart = request.argument == 1;
                self.begin_job(Job::Save { token }, world)
            }
            op::STATUS => {
                if let Some(slot) = entry.state.slot() {
                    self.count_cpu(slot, world);
                }
                self.status(app, token, world);
                Ok(Rest::Nothing)
            }
            op::CAPABILITIES => {
                self.capabilities(app, token, world);
                Ok(Rest::Nothing)
            }
            _ => Err(Failure::Incomplete),
        }
    }

    /// Whether the staging memory is kept for a bundle that is being sent.
    pub(crate) fn is_uploading(&self, now_ns: u64) -> bool {
        self.loader.uploaded != 0 && now_ns < self.loader.upload_until_ns
    }

    fn upload(&mut self, request: &Request, world: &mut impl World) -> Result<(), Failure> {
        let now_ns = world.now_ns();
        let (at, bytes) = (request.argument as usize, request.bytes());
        let begins = at == 0;
        if self.loader.work.is_some() || (begins && self.is_uploading(now_ns)) {
            return Err(Failure::Busy);
        }
        if !begins && (at != self.loader.uploaded || !self.is_uploading(now_ns)) {
            return Err(Failure::Incomplete);
        }
        let too_big = bundle::Error::TooBig { bytes: at + bytes.len(), most: self.loader.staging.len() };
        let room = self.loader.staging.get_mut(at..at + bytes.len());
        let Some(room) = room else {
            self.loader.uploaded = 0;
            return Err(too_big.into());
        };
        room.copy_from_slice(bytes);
        self.loader.uploaded = at + bytes.len();
        self.loader.upload_until_ns = now_ns.saturating_add(UPLOAD_NS);
        Ok(())
    }

    fn end_upload(&mut self, request: &Request, world: &mut impl World) -> Result<Rest, Failure> {
        let bytes = core::mem::take(&mut self.loader.uploaded);
        if bytes != request.argument as usize || bytes == 0 || self.loader.work.is_some() {
            return Err(Failure::Incomplete);
        }
        // It goes before what waits: the staging memory holds it now.
        let job = Job::InstallUpload { bytes, token: request.token };
        self.loader.waiting.push_front(job).map_err(|_| Failure::Busy)?;
        self.begin(world);
        Ok(Rest::Later)
    }

    fn list_apps(&mut self, token: u32, world: &mut impl World) -> Result<Rest, Failure> {
        if let ListState::Failed(_) | ListState::Unknown | ListState::Asked(_) = self.list
            && self.apps.iter().all(Option::is_none)
        {
            return Err(match self.list {
                ListState::Failed(code) => Failure::Storage(code),
                _ => Failure::NotReady,
            });
        }
        if self.apps.iter().all(Option::is_none) {
            Self::line(token, format_args!("no apps are installed"), world);
            return Ok(Rest::Nothing);
        }
        let head = ("app", "version", "state", "slot", "start", "publisher");
        Self::row(token, head.0, head.1, head.2, head.3, (head.4, head.5), world);
        for app in self.apps.iter().flatten() {
            let installed = &app.installed;
            let autostart = if installed.autostart { "auto" } else { "-" };
            let key = Key(&installed.kid);
            let publisher = format_args!("{} {key}", installed.publisher);
            let (version, state) = (installed.version, app.state);
            match app.state.slot() {
                Some(slot) => Self::row(token, &installed.name, version, state, slot, (autostart, publisher), world),
                None => Self::row(token, &installed.name, version, state, "-", (autostart, publisher), world),
            }
        }
        Ok(Rest::Nothing)
    }

    fn row(
        token: u32,
        name: &str,
        version: impl fmt::Display,
        state: impl fmt::Display,
        slot: impl fmt::Display,
        rest: (&str, impl fmt::Display),
        world: &mut impl World,
    ) {
        let (version, state) = (Cell::new(version), Cell::new(state));
        let (start, publisher) = rest;
        let text =
            format_args!("{name:<20} {:<12} {:<14} {slot:<5} {start:<6} {publisher}", version.text(), state.text());
        Self::line(token, text, world);
    }

    fn status(&self, app: usize, token: u32, world: &mut impl World) {
        let Some(App { installed, state, counts, policy, last_fault, again_ns, .. }) = &self.apps[app] else { return };
        let now_ns = world.now_ns();
        let mut say = |text: fmt::Arguments<'_>| Self::line(token, text, world);
        say(format_args!("{} {} by {}", installed.name, installed.version, installed.publisher));
        match (state.slot(), again_ns) {
            (Some(slot), _) => say(format_args!("state      {state} in slot {slot}")),
            (None, Some(again_ns)) => {
                let wait_ms = again_ns.saturating_sub(now_ns) / 1_000_000;
                say(format_args!("state      {state}; starts again in {wait_ms} ms"));
            }
            (None, None) => say(format_args!("state      {state}")),
        }
        say(format_args!("cpu        {} us", counts.cpu_us));
        if let Some(slot) = state.slot() {
            let slot = &self.slots[slot];
            let memory = self.apps[app].as_ref().and_then(|app| app.manifest.as_ref()).map_or(0, |m| m.memory_bytes);
            say(format_args!("memory     {memory} bytes of data, {} of stack", app_abi::map::STACK_BYTES));
            if let Some(occupant) = &slot.occupant {
                let held_back = if occupant.held_back { ", held back" } else { "" };
                let age_ms = now_ns.saturating_sub(occupant.started_ns) / 1_000_000;
                let pending = occupant.pending.len();
                say(format_args!("running    {age_ms} ms, {pending} requests under way{held_back}"));
            }
        }
        say(format_args!(
            "messages   {}, {} refused, {} lines dropped, held back {} times",
            counts.requests, counts.refused, counts.dropped_lines, counts.held_back
        ));
        let policy = if *policy == Restart::Never { "" } else { policy.name() };
        let policy = if policy.is_empty() { "never" } else { policy };
        say(format_args!("starts     {}, faults {}, started again: {policy}", counts.starts, counts.faults));
        if let Some(fault) = last_fault {
            say(format_args!("last fault {fault}"));
        }
    }

    fn capabilities(&self, app: usize, token: u32, world: &mut impl World) {
        use app_abi::map;
        let Some(entry) = &self.apps[app] else { return };
        let mut say = |text: fmt::Arguments<'_>| Self::line(token, text, world);
        let Some(manifest) = &entry.manifest else {
            say(format_args!(
                "{}: not started yet; what it may touch is read from its bundle then",
                entry.installed.name
            ));
            return;
        };
        let maps = [
            ("code", map::CODE, map::CODE_BYTES, "r-x"),
            ("stack", map::STACK, map::STACK_BYTES, "rw-"),
            ("data", map::DATA, map::DATA_BYTES, "rw-"),
            ("tensors", map::TENSORS, map::TENSORS_BYTES, "rw-"),
            ("requests", map::REQUESTS, map::PAGE_BYTES, "rw-"),
            ("replies", map::REPLIES, 2 * map::PAGE_BYTES, "r--"),
        ];
        for (name, start, bytes, rights) in maps {
            say(format_args!("memory     {start:#010x} {bytes:>7} bytes {rights} {name}"));
        }
        say(format_args!("notify     the app manager, capability {}", app_abi::ring::NOTIFY_CPTR));
        for permission in app_abi::Permission::ALL {
            let may = if manifest.permissions.contains(permission) { "yes" } else { "no" };
            say(format_args!("{:<10} {may}", permission.name()));
        }
        for model in &manifest.models {
            say(format_args!("model      {model}"));
        }
        if let Some(slot) = entry.state.slot() {
            let slot = &self.slots[slot];
            say(format_args!("processor  {} us every {} us, below every service", slot.budget_us, slot.period_us));
        }
    }

    /// The slots that a system has are told once, so that a wrong description is found.
    pub fn announce(&self, world: &mut impl World) {
        if self.slots.is_empty() {
            world.say(Level::Warning, format_args!("the system description gives no slots: no app can be started"));
        }
        debug_assert!(self.apps.len() == MAX_APPS);
    }
}

/// A key's id.
struct Key<'a>(&'a [u8; bundle::KEY_ID_BYTES]);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Text of a column: padding needs to know its length first.
struct Cell(heapless::String<32>);

impl Cell {
    fn new(value: impl fmt::Display) -> Self {
        let mut text = heapless::String::new();
        // What is longer is cut off.
        let _ = fmt::write(&mut text, format_args!("{value}"));
        Self(text)
    }

    fn text(&self) -> &str {
        &self.0
    }
}

/// The command's name, for errors.
fn word(number: u32) -> &'static str {
    match number {
        op::INSTALL | op::UPLOAD | op::INSTALL_UPLOAD => "install",
        op::UNINSTALL => "uninstall",
        op::START => "start",
        op::STOP => "stop",
        op::RESTART => "restart",
        op::LIST => "apps",
        op::STATUS => "status",
        op::CAPABILITIES => "caps",
        op::AUTOSTART => "autostart",
        _ => "apps",
    }
}
