//! The app manager's whole state, and what ends an app.

use app_abi::Permission;
use app_abi::call::STOP_GRACE_NS;
use bundle::{Limits, Name, Version};
use core::fmt;
use heapless::Vec;
use protocols::apps::{self, Answer};
use protocols::console::Level;
use protocols::model_pack::ModelPack;
use protocols::{model, storage};

use crate::catalogue::{self, Installed};
use crate::fault::{Cause, Report};
use crate::loader::{Job, Loader};
use crate::restart::{End, Patience};
use crate::slot::{Key, Slot};
use crate::world::World;
use crate::{MAX_APPS, MAX_SLOTS};

/// Bytes of keys and values that an app may store.
pub const KV_BYTES: u64 = 64 * 1024;
/// Keys that an app may have.
pub const KV_KEYS: u64 = 64;
/// How long to wait until rings that had more than a turn takes are looked at again, in nanoseconds.
const BUSY_WAIT_NS: u64 = 500_000;

/// What an app is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was not started since the machine's start.
    Installed,
    /// Its bundle is being checked.
    Starting,
    /// It runs in this slot.
    Running(usize),
    /// It runs in this slot, and was asked to end.
    Stopping(usize),
    /// It was stopped.
    Stopped,
    /// It faulted.
    Faulted,
    /// It exited with this code.
    Exited(i64),
}

impl State {
    /// Its slot, if it has one.
    pub fn slot(self) -> Option<usize> {
        match self {
            State::Running(slot) | State::Stopping(slot) => Some(slot),
            _ => None,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Installed => f.write_str("installed"),
            State::Starting => f.write_str("starting"),
            State::Running(_) => f.write_str("running"),
            State::Stopping(_) => f.write_str("stopping"),
            State::Stopped => f.write_str("stopped"),
            State::Faulted => f.write_str("faulted"),
            State::Exited(code) => write!(f, "exited ({code})"),
        }
    }
}

/// What was counted of an app since the machine's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Starts.
    pub starts: u64,
    /// Faults.
    pub faults: u64,
    /// Requests.
    pub requests: u64,
    /// Requests that were refused: malformed, not permitted, or too many.
    pub refused: u64,
    /// Lines that the console had no room for.
    pub dropped_lines: u64,
    /// Times that it was held back because it sent too many messages.
    pub held_back: u64,
    /// Microseconds of processor time.
    pub cpu_us: u64,
}

/// An installed app.
#[derive(Debug)]
pub struct App {
    /// What the catalogue says.
    pub installed: Installed,
    /// What it is doing.
    pub state: State,
    /// What its manifest says about starting it again, as of its last start.
    pub policy: bundle::Restart,
    /// What its manifest allows, as of its last start.
    pub manifest: Option<bundle::Manifest>,
    pub(crate) patience: Patience,
    /// When it is started again.
    pub again_ns: Option<u64>,
    /// What was counted.
    pub counts: Counts,
    /// Its last fault.
    pub last_fault: Option<Report>,
    /// Who waits for its end.
    pub(crate) stop_token: Option<u32>,
    /// Who wants it to be started once it has ended.
    pub(crate) restart_token: Option<u32>,
}

impl App {
    pub(crate) fn new(installed: Installed) -> Self {
        Self {
            installed,
            state: State::Installed,
            policy: bundle::Restart::Never,
            manifest: None,
            patience: Patience::default(),
            again_ns: None,
            counts: Counts::default(),
            last_fault: None,
            stop_token: None,
            restart_token: None,
        }
    }
}

/// What is known of the list of installed apps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListState {
    /// The storage service was not asked, or did not answer before it restarted.
    Unknown,
    /// It was asked under this number.
    Asked(u32),
    /// The list is known.
    Ready,
    /// It cannot be read, for this reason.
    Failed(u32),
    /// What is stored is not a list.
    Broken,
}

/// How an app ended.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    Exit(i64),
    Fault(Cause),
    /// It was told to; whether it had to be forced.
    Stopped,
}

impl Default for Manager<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// See the [crate].
#[derive(Debug)]
pub struct Manager<'a> {
    /// The sandboxes.
    pub slots: Vec<Slot, MAX_SLOTS>,
    /// The installed apps; their numbers are places in this table.
    pub apps: [Option<App>; MAX_APPS],
    pub(crate) loader: Loader,
    pub(crate) pack: Option<ModelPack<'a>>,
    pub(crate) timebase_hz: u64,
    pub(crate) list: ListState,
    pub(crate) next_rot: u64,
    pub(crate) next_job: u32,
    pub(crate) hears_keywords: bool,
    /// A ring had more than a turn takes.
    pub(crate) is_busy: bool,
}

impl<'a> Manager<'a> {
    /// A manager of no slots, which has nothing to work with yet. It is large, and lies where it is made.
    pub const fn new() -> Self {
        Self {
            slots: Vec::new(),
            apps: [const { None }; MAX_APPS],
            loader: Loader::new(),
            pack: None,
            timebase_hz: 1,
            list: ListState::Unknown,
            next_rot: 0,
            next_job: 0,
            hears_keywords: false,
            is_busy: false,
        }
    }

    /// Gives it the memory where bundles lie while they are checked, the device's models, and the speed of its clock.
    pub fn equip(&mut self, staging: &'static mut [u8], pack: Option<ModelPack<'a>>, timebase_hz: u64) {
        self.loader.staging = staging;
        self.pack = pack;
        self.timebase_hz = timebase_hz;
    }

    /// Says that there is a keyword spotter, so that apps may ask for keywords.
    pub fn offer_keywords(&mut self) {
        self.hears_keywords = true;
    }

    /// Adds a slot, whose sandbox is stopped and whose memory is wiped: an earlier life of this program may have left an
    /// app in it.
    pub fn add_slot(&mut self, slot: Slot, world: &mut impl World) {
        let number = self.slots.len();
        world.stop(number);
        slot.memory.wipe();
        // More than there can be are left out, and stay stopped.
        let _ = self.slots.push(slot);
    }

    /// The time has come, or may have: timers expire, apps that do not end are ended, others go on or are started again.
    pub fn tick(&mut self, world: &mut impl World) {
        let now_ns = world.now_ns();
        for slot in 0..self.slots.len() {
            let Some(occupant) = &mut self.slots[slot].occupant else { continue };
            occupant.timers.iter_mut().for_each(|timer| timer.tick(now_ns));
            let app = occupant.app;
            if occupant.stop_at_ns.is_some_and(|stop_at_ns| stop_at_ns <= now_ns) {
                self.end(slot, Ending::Stopped, world);
                continue;
            }
            if occupant.end_window(now_ns) && core::mem::take(&mut occupant.held_back) {
                world.resume(slot);
            }
            self.tell(slot, world);
            debug_assert!(app < MAX_APPS);
        }
        for app in 0..MAX_APPS {
            let Some(entry) = &mut self.apps[app] else { continue };
            if entry.again_ns.is_some_and(|again_ns| again_ns <= now_ns) {
                entry.again_ns = None;
                self.queue(Job::Start { app, token: None }, world);
            }
        }
        self.work_timeout(now_ns, world);
        self.begin(world);
    }

    /// Something was left for the next turn.
    pub fn more_to_do(&mut self) {
        self.is_busy = true;
    }

    /// When [`Manager::tick`] has something to do.
    pub fn deadline_ns(&self, now_ns: u64) -> Option<u64> {
        let slots = self.slots.iter().filter_map(|slot| slot.occupant.as_ref()?.deadline_ns());
        let apps = self.apps.iter().flatten().filter_map(|app| app.again_ns);
        let work = self.loader.work.as_ref().map(|work| work.give_up_ns);
        let busy = self.is_busy.then_some(now_ns + BUSY_WAIT_NS);
        slots.chain(apps).chain(work).chain(busy).min()
    }

    /// A sandbox faulted.
    pub fn fault(&mut self, slot: usize, fault: sel4_microkit::Fault, world: &mut impl World) {
        match self.slots.get(slot).is_some_and(|slot| slot.occupant.is_some()) {
            true => self.end(slot, Ending::Fault(Cause::Fault(fault)), world),
            // The sandbox's own program, before there is an app; it waits for the next start.
            false => world.stop(slot),
        }
    }

    /// Asks an app to end; it has a while to do so.
    pub(crate) fn ask_to_stop(&mut self, app: usize, world: &mut impl World) {
        let now_ns = world.now_ns();
        let Some(entry) = &mut self.apps[app] else { return };
        let Some(slot) = entry.state.slot() else { return };
        entry.state = State::Stopping(slot);
        if let Some(occupant) = &mut self.slots[slot].occupant {
            occupant.stop_at_ns.get_or_insert(now_ns.saturating_add(STOP_GRACE_NS));
        }
        self.tell(slot, world);
    }

    /// An app has ended, or is ended now: nothing of it stays in its slot.
    pub(crate) fn end(&mut self, slot: usize, ending: Ending, world: &mut impl World) {
        let now_ns = world.now_ns();
        world.stop(slot);
        self.count_cpu(slot, world);
        let place = world.place(slot).unwrap_or_default();
        let Some(occupant) = self.slots[slot].occupant.take() else { return };
        let memory = self.slots[slot].memory;
        let report = match &ending {
            Ending::Fault(cause) => Some(Report::new(*cause, place, &memory)),
            _ => None,
        };
        for pending in &occupant.pending {
            if let Key::Model(job) = pending.key
                && pending.call == app_abi::call::MODEL_SUBMIT
                && world.models(slot, model::Request::ask(model::kind::CANCEL, job, 0))
            {
                // As many as can be pending.
                let _ = self.slots[slot].draining.push(job);
            }
        }
        memory.wipe();
        if occupant.permissions.contains(Permission::Kv) || occupant.permissions.contains(Permission::Files) {
            // The next app in this slot opens its own. Should this be lost, that replaces it all the same.
            let _ = world.storage(&storage::Ask::close_space(slot as u32 + 1));
        }
        self.ended(occupant.app, ending, report, now_ns.saturating_sub(occupant.started_ns), world);
        self.update_keywords(world);
        self.begin(world);
    }

    /// What follows from an app's end.
    fn ended(&mut self, app: usize, ending: Ending, report: Option<Report>, ran_ns: u64, world: &mut impl World) {
        let now_ns = world.now_ns();
        let Some(entry) = &mut self.apps[app] else { return };
        let name = entry.installed.name.clone();
        let was_asked = matches!(entry.state, State::Stopping(_));
        entry.state = match ending {
            _ if was_asked => State::Stopped,
            Ending::Exit(code) => State::Exited(code),
            Ending::Fault(_) => State::Faulted,
            Ending::Stopped => State::Stopped,
        };
        if report.is_some() {
            entry.counts.faults += 1;
        }
        let end = if report.is_some() { End::Fault } else { End::Exit };
        let delay_ns = match was_asked {
            true => None,
            false => entry.patience.delay_ns(entry.policy, end, ran_ns),
        };
        entry.again_ns = delay_ns.map(|delay_ns| now_ns.saturating_add(delay_ns));
        let again = Again(delay_ns);
        match (&report, &ending) {
            (Some(report), _) => world.say(Level::Error, format_args!("{name} faulted: {report}{again}")),
            (None, Ending::Exit(code)) => world.say(Level::Info, format_args!("{name} exited with {code}{again}")),
            (None, _) => world.say(Level::Info, format_args!("{name} stopped")),
        };
        entry.last_fault = report.or(entry.last_fault.take());
        if let Some(token) = entry.stop_token.take() {
            world.answer(Answer::done(token, false));
        }
        if let Some(token) = entry.restart_token.take() {
            self.queue(Job::Start { app, token: Some(token) }, world);
        }
    }

    /// Adds the processor time that a slot used to its app's.
    pub(crate) fn count_cpu(&mut self, slot: usize, world: &mut impl World) {
        let used_us = world.cpu_us(slot).unwrap_or(0);
        let app = self.slots[slot].occupant.as_ref().map(|occupant| occupant.app);
        if let Some(app) = app.and_then(|app| self.apps[app].as_mut()) {
            app.counts.cpu_us = app.counts.cpu_us.saturating_add(used_us);
        }
    }

    /// Whether this device offers a kind of requests at all.
    pub(crate) fn limits(&self, slot: usize, newest: Option<Version>) -> Limits {
        let slot = &self.slots[slot];
        Limits {
            memory_bytes: app_abi::map::DATA_BYTES,
            budget_us: slot.budget_us,
            period_us: slot.period_us,
            permissions: self.offered(slot),
            accepts_models: false,
            newest,
        }
    }

    fn offered(&self, slot: &Slot) -> app_abi::Permissions {
        let mut offered = app_abi::Permissions::all();
        if slot.memory.tensors.bytes() == 0 || self.pack.is_none() {
            offered = offered.without(Permission::Models);
        }
        if !self.hears_keywords {
            offered = offered.without(Permission::Keywords);
        }
        offered
    }

    /// The number of the app with this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.apps.iter().position(|app| app.as_ref().is_some_and(|app| app.installed.name == name))
    }

    /// The list of installed apps was read.
    pub(crate) fn take_list(&mut self, bytes: &[u8], world: &mut impl World) {
        let Some(list) = catalogue::decode(bytes) else {
            self.list = ListState::Broken;
            world.say(
                Level::Error,
                format_args!("the list of installed apps on the disk is broken; install them again"),
            );
            return;
        };
        self.list = ListState::Ready;
        for (place, installed) in self.apps.iter_mut().zip(list) {
            *place = Some(App::new(installed));
        }
        for app in 0..MAX_APPS {
            if self.apps[app].as_ref().is_some_and(|app| app.installed.autostart) {
                self.queue(Job::Start { app, token: None }, world);
            }
        }
    }

    /// Prints a line for the shell.
    pub(crate) fn line(token: u32, text: fmt::Arguments<'_>, world: &mut impl World) {
        apps::line(token, text, &mut |answer| world.answer(answer));
    }

    /// The models of a manifest, by their numbers in the pack.
    ///
    /// # Errors
    /// The name of one that is not there.
    pub(crate) fn find_models(&self, names: &[Name]) -> Result<Vec<u32, { bundle::MAX_MODELS }>, Name> {
        let find = |name: &Name| {
            let found = self.pack.and_then(|pack| pack.by_name(name));
            found.map(|(index, _)| index as u32).ok_or_else(|| name.clone())
        };
        names.iter().map(find).collect()
    }
}

/// What is said of a restart.
struct Again(Option<u64>);

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(delay_ns) => write!(f, "; starts again in {} ms", delay_ns / 1_000_000),
            None => Ok(()),
        }
    }
}
