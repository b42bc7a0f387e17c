//! The shell's wiring.
//!
//! | symbol | |
//! |---|---|
//! | `system_table`, `system_table_size` | what the system is composed of, read-only |
//! | link `console` | the terminal; the shell is the console's `client0` |
//! | link `supervisor` | requests about protection domains; may be left out |
//! | `supervisor_stats` | what the supervisor publishes, read-only; may be left out |
//! | `timer_channel` | calls to the timer; may be left out |
//! | link `models`, `models_data`, `models_data_size` | the model runner, and tensors shared with it; may be left out |
//! | `model_pack`, `model_pack_size` | the models' names and inputs, read-only; may be left out |
//! | link `rot` | the root of trust's driver; may be left out |
//! | link `npu` | the accelerator's driver; may be left out |
//! | link `storage`, `storage_data`, `storage_data_size` | files and keys; may be left out |
//! | link `keywords` | the keyword spotter; may be left out |
//! | `scripts`, `scripts_size` | scripts, read-only; may be left out |
//! | link `apps` | the app manager; may be left out |
//! | `power` | the register that switches the machine off; may be left out |
#![no_std]
#![no_main]

use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU64};
use protocols::apps;
use protocols::console::{self, FromClient, FromConsole, Lines, Outbox};
use protocols::keywords;
use protocols::model::{self, JobResult};
use protocols::model_pack::ModelPack;
use protocols::npu;
use protocols::rot;
use protocols::storage::{self, Ask, ClientError, Event};
use protocols::supervisor::{self, Answer, ChildStats, REGION_WORDS, Request, State};
use protocols::system_table::SystemTable;
use protocols::timer::Timer;
use ring::{ChannelNotifier, Link};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, counters, memory_region_symbol, protection_domain, var};
use shell::reports::{Facts, NO_PD, ticks_to_us};
use shell::runner::Runner;
use shell::scripts::Scripts;
use shell::shell::{STEP_ENTRIES, Shell};
use shell::world::{Order, RunnerReply, SubmitError, World};
use static_cell::ConstStaticCell;

static SHELL: ConstStaticCell<Shell<'static>> = ConstStaticCell::new(Shell::new());
static LINES: ConstStaticCell<Lines> = ConstStaticCell::new(Lines::new());

/// The one timer that the shell uses.
const WAKE_UP: usize = 0;

/// Requests to storage under way at once.
const STORAGE_PLACES: usize = 1;

struct Wires {
    timebase_hz: u64,
    console: Link<FromClient, FromConsole>,
    lines: &'static mut Lines,
    supervisor: Option<Link<Request, Answer>>,
    stats: Option<&'static [AtomicU64]>,
    timer: Option<Timer>,
    /// The timer's driver as a child of the supervisor.
    timer_child: Option<usize>,
    /// The model runner as a child of the supervisor.
    runner_child: Option<usize>,
    /// When the timer expires.
    armed_us: Option<u64>,
    runner: Option<Runner<'static, ChannelNotifier>>,
    npu: Option<Link<npu::Request, npu::Reply>>,
    apps: Option<Link<apps::Request, apps::Answer>>,
    storage: Option<storage::Client<'static, ChannelNotifier, STORAGE_PLACES>>,
    keywords: Option<Link<keywords::Request, keywords::Event>>,
    rot: Option<Link<rot::Request, rot::Reply>>,
    power: Option<NonNull<u32>>,
}

struct Domain {
    shell: &'static mut Shell<'static>,
    wires: Wires,
}

/// A region that the composer mapped read-only, empty if it did not.
macro_rules! read_only {
    ($start:ident, $size:ident) => {{
        match NonNull::new(core::ptr::with_exposed_provenance_mut::<u8>(*var!($start: usize = 0))) {
            // SAFETY: the composer maps a region of this size there for as long as the program runs; nobody writes it.
            Some(start) => unsafe { core::slice::from_raw_parts(start.as_ptr(), *var!($size: usize = 0)) },
            None => &[],
        }
    }};
}

#[protection_domain(stack_size = 0x8000)]
fn init() -> Domain {
    let table = SystemTable::parse(read_only!(system_table, system_table_size));
    let table = table.unwrap_or_else(|error| panic!("{error}"));
    let own = table.pd_by_name(sel4_microkit::pd_name().unwrap_or(""));

    let console = ring::link!(console: FromClient, FromConsole, console::PROTOCOL, console::VERSION, required);
    let console = console.unwrap_or_else(|error| panic!("link console: {error}"));
    let (entries, needed) = (console.capacity(), STEP_ENTRIES);
    assert!(entries >= needed, "link console: its ring holds {entries} entries, and the shell needs {needed}");
    let supervisor = ring::link!(supervisor: Request, Answer, supervisor::PROTOCOL, supervisor::VERSION);
    let supervisor = supervisor.unwrap_or_else(|error| panic!("link supervisor: {error}"));
    let stats = NonNull::new(core::ptr::with_exposed_provenance_mut::<AtomicU64>(*var!(supervisor_stats: usize = 0)));
    // SAFETY: the composer maps the region, which has room for these words, there for as long as the program runs.
    let stats = stats.map(|start| unsafe { core::slice::from_raw_parts(start.as_ptr(), REGION_WORDS) });

    let timer = protocols::timer!(timer_channel);
    let timer_channel = timer.as_ref().map(|timer| timer.transport().channel());
    let timer_pd = own.zip(timer_channel).and_then(|(own, channel)| table.peer(own, channel as u16));
    let timer_child = timer_pd.map(|pd| usize::from(table.pds[pd].child_id));

    let models = ring::link!(models: model::Request, model::Reply, model::PROTOCOL, model::VERSION);
    let models = models.unwrap_or_else(|error| panic!("link models: {error}"));
    let runner_pd = own.zip(models.as_ref()).and_then(|(own, link)| table.peer(own, link.notifier().channel() as u16));
    let runner_child = runner_pd.map(|pd| usize::from(table.pds[pd].child_id));
    let runner = models.map(|link| {
        let data = memory_region_symbol!(models_data: *mut AtomicU8);
        // SAFETY: the composer maps a region of this size there for as long as the program runs, writable by this program
        // and the model runner; here it is only used by atomic bytes.
        let data = unsafe { core::slice::from_raw_parts(data.as_ptr(), *var!(models_data_size: usize = 0)) };
        Runner::new(link, data)
    });

    let npu = ring::link!(npu: npu::Request, npu::Reply, npu::PROTOCOL, npu::VERSION);
    let npu = npu.unwrap_or_else(|error| panic!("link npu: {error}"));
    let apps = ring::link!(apps: apps::Request, apps::Answer, apps::PROTOCOL, apps::VERSION);
    let apps = apps.unwrap_or_else(|error| panic!("link apps: {error}"));

    let storage = ring::link!(storage: storage::Request, storage::Reply, storage::PROTOCOL, storage::VERSION);
    let storage = storage.unwrap_or_else(|error| panic!("link storage: {error}")).map(|link| {
        let data = memory_region_symbol!(storage_data: *mut AtomicU8);
        // SAFETY: the composer maps a region of this size there for as long as the program runs, writable by this program
        // and the storage service; here it is only used by atomic bytes.
        let data = unsafe { core::slice::from_raw_parts(data.as_ptr(), *var!(storage_data_size: usize = 0)) };
        storage::Client::new(link, data)
    });
    let keywords = ring::link!(keywords: keywords::Request, keywords::Event, keywords::PROTOCOL, keywords::VERSION);
    let keywords = keywords.unwrap_or_else(|error| panic!("link keywords: {error}"));
    let rot = ring::link!(rot: rot::Request, rot::Reply, rot::PROTOCOL, rot::VERSION);
    let rot = rot.unwrap_or_else(|error| panic!("link rot: {error}"));
    let console_pd = own.and_then(|own| table.peer(own, console.notifier().channel() as u16));
    let shell = SHELL.take();
    shell.set_facts(Facts {
        table,
        scripts: Scripts::new(read_only!(scripts, scripts_size)),
        models: ModelPack::parse(read_only!(model_pack, model_pack_size)).ok(),
        own: own.unwrap_or(NO_PD),
        console: console_pd.unwrap_or(NO_PD),
    });
    let power = NonNull::new(core::ptr::with_exposed_provenance_mut(*var!(power: usize = 0)));
    let timebase_hz = table.header.timebase_hz;
    let wires = Wires {
        timebase_hz,
        console,
        lines: LINES.take(),
        supervisor,
        stats,
        timer,
        timer_child,
        runner_child,
        armed_us: None,
        runner,
        npu,
        apps,
        storage,
        keywords,
        rot,
        power,
    };
    let mut domain = Domain { shell, wires };
    domain.work();
    domain
}

impl Domain {
    fn work(&mut self) {
        // A console that misbehaves is ignored until it restarts; there is nobody else to tell.
        if let Ok(true) = self.wires.console.poll() {
            self.shell.console_restarted();
        }
        self.wires.lines.tell_drops(&mut self.wires.console);
        while self.shell.turn(&mut self.wires) {}
    }
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        if let Some(timer) = &mut self.wires.timer
            && channels.contains(Channel::new(timer.transport().channel()))
        {
            // The driver has just run, so it answers. Whatever it says, the shell looks at the clock itself.
            let _ = timer.take_expired();
            self.wires.armed_us = None;
        }
        self.work();
        Ok(())
    }
}

impl World for Wires {
    fn now_us(&mut self) -> u64 {
        ticks_to_us(counters::rdtime(), self.timebase_hz)
    }

    fn wake_at(&mut self, time_us: u64) -> bool {
        // A call to a driver that is stopped would not return.
        let stopped = |stats: ChildStats| stats.state != State::Running as u64;
        if self.timer_child.and_then(|child| self.stats(child)).is_some_and(stopped) {
            self.armed_us = None;
            return false;
        }
        if self.armed_us == Some(time_us) {
            return true;
        }
        let delay_us = time_us.saturating_sub(self.now_us());
        let Some(timer) = &mut self.timer else { return false };
        let armed = timer.set_after(WAKE_UP, delay_us.saturating_mul(1_000)).is_ok();
        self.armed_us = armed.then_some(time_us);
        armed
    }

    fn console_has_room(&mut self, entries: usize) -> bool {
        Outbox::reserve(&mut self.console, entries)
    }

    fn print(&mut self, text: fmt::Arguments<'_>) {
        self.lines.output(&mut self.console, text);
    }

    fn control(&mut self, entry: FromClient) {
        Outbox::push(&mut self.console, entry);
    }

    fn receive(&mut self) -> Option<FromConsole> {
        self.console.pop().ok()?
    }

    fn ask(&mut self, request: Request) -> bool {
        let Some(link) = &mut self.supervisor else { return false };
        let _ = link.poll();
        link.is_connected() && link.push(&request).is_ok()
    }

    fn answer(&mut self) -> Option<Answer> {
        let link = self.supervisor.as_mut()?;
        let _ = link.poll();
        link.pop().ok()?
    }

    fn stats(&mut self, child: usize) -> Option<ChildStats> {
        supervisor::read(self.stats?, child).ok()
    }

    fn submit(&mut self, order: &Order<'_>) -> Result<(), SubmitError> {
        self.runner.as_mut().ok_or(SubmitError::NoRunner)?.submit(order)
    }

    fn runner_state(&mut self) -> Option<State> {
        self.stats(self.runner_child?).map(|stats| State::from_raw(stats.state))
    }

    fn ask_runner(&mut self, request: model::Request) -> bool {
        self.runner.as_mut().is_some_and(|runner| runner.ask(request))
    }

    fn runner_reply(&mut self) -> Option<RunnerReply> {
        self.runner.as_mut()?.reply()
    }

    fn output(&mut self, result: &JobResult, into: &mut [u8]) -> usize {
        self.runner.as_ref().map_or(0, |runner| runner.output(result, into))
    }

    fn ask_npu(&mut self, request: npu::Request) -> Result<(), &'static str> {
        let link = self.npu.as_mut().ok_or("this system has no accelerator")?;
        let _ = link.poll();
        let sent = link.is_connected() && link.push(&request).is_ok();
        sent.then_some(()).ok_or("the accelerator's driver takes no requests now")
    }

    fn npu_reply(&mut self) -> Option<npu::Reply> {
        let link = self.npu.as_mut()?;
        let _ = link.poll();
        link.pop().ok()?
    }

    fn ask_apps(&mut self, request: apps::Request) -> bool {
        let Some(link) = &mut self.apps else { return false };
        let _ = link.poll();
        link.is_connected() && link.push(&request).is_ok()
    }

    fn apps_answer(&mut self) -> Option<apps::Answer> {
        let link = self.apps.as_mut()?;
        let _ = link.poll();
        link.pop().ok()?
    }

    fn ask_storage(&mut self, ask: &Ask<'_>) -> Result<u32, ClientError> {
        let storage = self.storage.as_mut().ok_or(ClientError::NotConnected)?;
        // Replies to what was given up make room, and a service that came up is joined.
        while storage.next(&mut []).is_some() {}
        storage.submit(ask)
    }

    fn storage_event(&mut self, into: &mut [u8]) -> Option<Event> {
        self.storage.as_mut()?.next(into)
    }

    fn ask_keywords(&mut self, request: keywords::Request) -> Result<(), &'static str> {
        let link = self.keywords.as_mut().ok_or("this system does not listen: it has no audio device")?;
        let _ = link.poll();
        let sent = link.is_connected() && link.push(&request).is_ok();
        sent.then_some(()).ok_or("the keyword spotter takes no requests now")
    }

    fn keywords_event(&mut self) -> Option<keywords::Event> {
        let link = self.keywords.as_mut()?;
        let _ = link.poll();
        link.pop().ok()?
    }

    fn ask_rot(&mut self, request: &rot::Request) -> Result<(), &'static str> {
        let link = self.rot.as_mut().ok_or("this system has no root of trust")?;
        let _ = link.poll();
        let sent = link.is_connected() && link.push(request).is_ok();
        sent.then_some(()).ok_or("the root of trust's driver takes no requests now")
    }

    fn rot_reply(&mut self) -> Option<rot::Reply> {
        let link = self.rot.as_mut()?;
        let _ = link.poll();
        link.pop().ok()?
    }

    fn power_off(&mut self, code: u8) {
        /// Values of the test device of QEMU's virt machine (hw/misc/sifive_test.h).
        const OFF: u32 = 0x5555;
        const OFF_WITH_CODE: u32 = 0x3333;
        let value = if code == 0 { OFF } else { u32::from(code) << 16 | OFF_WITH_CODE };
        if let Some(register) = self.power {
            // SAFETY: the composer maps the device's register there, writable, and it is used nowhere else.
            unsafe { register.write_volatile(value) };
        }
    }
}
