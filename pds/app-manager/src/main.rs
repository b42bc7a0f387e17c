//! The app manager's wiring.
//!
//! | symbol | |
//! |---|---|
//! | `system_table`, `system_table_size` | what the system is composed of, read-only: budgets, the speed of the clock |
//! | `staging`, `staging_size` | where a bundle lies while it is checked, mapped here alone |
//! | `model_pack`, `model_pack_size` | the models' names and sizes, read-only; may be left out |
//! | link `console` | lines of apps, and about them |
//! | link `shell` | commands; may be left out |
//! | link `storage`, `storage_data`, `storage_data_size` | bundles, keys and files; without, no app is installed or started |
//! | link `rot` | the root of trust; without, no app is installed or started |
//! | link `timer` | without, apps have no timers, and an app that does not end is never forced to |
//! | `slot0_code`, `slot0_data`, `slot0_requests`, `slot0_replies`, each with `…_size` | memory of slot 0, all writable |
//! | `slot0_channel` | the channel to its sandbox, which is child 0; `<cap_sc slot="1">` shares its scheduling context |
//! | link `models0`, `models0_data`, `models0_data_size` | the model runner for slot 0; may be left out |
//! | the same with 1 to 7 | further slots, without gaps |
#![no_std]
#![no_main]

use core::arch::asm;
use core::fmt;
use core::sync::atomic::{AtomicU8, AtomicU64};

use app_manager::area::Area;
use app_manager::fault::Place;
use app_manager::memory::SlotMemory;
use app_manager::slot::{Keyword, Slot};
use app_manager::{MAX_SLOTS, Manager, World};
use protocols::apps::{self, Answer};
use protocols::console::{self, FromClient, FromConsole, Level, Lines};
use protocols::keywords;
use protocols::model_pack::ModelPack;
use protocols::storage::{Ask, ClientError, MAX_VALUE};
use protocols::system_table::{NO_PARENT, SystemTable};
use protocols::timer::{self, op};
use protocols::{model, rot, storage};
use ring::{ChannelNotifier, Link};
use sel4_microkit::caps::SchedContext;
use sel4_microkit::{
    Channel, ChannelSet, Child, ENTRY, Handler, Infallible, MessageInfo, counters, memory_region_symbol,
    protection_domain, var,
};
use static_cell::ConstStaticCell;

/// Requests to the storage service that may be under way: the loader's, and some of each app.
const STORAGE_PLACES: usize = 8;
/// The most bytes that are read from the storage service at once.
const READ_BYTES: usize = 0x4000;
const _: () = assert!(READ_BYTES >= MAX_VALUE);
/// Commands of the shell in a turn.
const TURN_COMMANDS: usize = 8;
/// Keywords that a turn takes: more than the ring holds.
const TURN_KEYWORDS: usize = 32;
/// The one timer that is used.
const WAKE_UP: u64 = 0;

static MANAGER: ConstStaticCell<Manager<'static>> = ConstStaticCell::new(Manager::new());
static LINES: ConstStaticCell<Lines> = ConstStaticCell::new(Lines::new());
static DATA: ConstStaticCell<[u8; READ_BYTES]> = ConstStaticCell::new([0; READ_BYTES]);

struct Wires {
    timebase_hz: u64,
    console: Option<Link<FromClient, FromConsole>>,
    lines: &'static mut Lines,
    shell: Option<Link<Answer, apps::Request>>,
    storage: Option<storage::Client<'static, ChannelNotifier, STORAGE_PLACES>>,
    rot: Option<Link<rot::Request, rot::Reply>>,
    keywords: Option<Link<keywords::Request, keywords::Event>>,
    timer: Option<Link<timer::Request, timer::Event>>,
    /// When the timer expires, in nanoseconds since the machine's start.
    armed_ns: Option<u64>,
    models: [Option<Link<model::Request, model::Reply>>; MAX_SLOTS],
    channels: [Option<Channel>; MAX_SLOTS],
}

struct Domain {
    manager: &'static mut Manager<'static>,
    wires: Wires,
    data: &'static mut [u8; READ_BYTES],
}

/// A region that the composer mapped read-only, empty if it did not.
macro_rules! read_only {
    ($start:ident, $size:ident) => {{
        match core::ptr::NonNull::new(core::ptr::with_exposed_provenance_mut::<u8>(*var!($start: usize = 0))) {
            // SAFETY: the composer maps a region of this size there for as long as the program runs; nobody writes it.
            Some(start) => unsafe { core::slice::from_raw_parts(start.as_ptr(), *var!($size: usize = 0)) },
            None => &[],
        }
    }};
}

/// A region that others may write too, empty if the composer did not map it.
macro_rules! area {
    ($start:ident, $size:ident) => {
        match *var!($start: usize = 0) {
            0 => Area::EMPTY,
            start => {
                let words = *var!($size: usize = 0) / size_of::<AtomicU64>();
                let start = core::ptr::with_exposed_provenance::<AtomicU64>(start);
                // SAFETY: the composer maps a region of this size there, page-aligned and writable, for as long as the
                // program runs; here it is only used by atomic words, and others do with it what they like.
                Area::new(unsafe { core::slice::from_raw_parts(start, words) })
            }
        }
    };
}

/// A link, if it is wired.
macro_rules! link {
    ($name:ident: $tx:ty, $rx:ty, $protocol:expr, $version:expr) => {{
        let link = ring::link!($name: $tx, $rx, $protocol, $version);
        link.unwrap_or_else(|error| panic!("link {}: {error}", stringify!($name)))
    }};
}

macro_rules! add_slot {
    ($domain:ident, $table:ident, $own:ident, $index:literal, $channel:ident, $code:ident $code_size:ident,
     $data:ident $data_size:ident, $requests:ident $requests_size:ident, $replies:ident $replies_size:ident,
     $models:ident $tensors:ident $tensors_size:ident) => {
        let code = area!($code, $code_size);
        if code.bytes() != 0 && $domain.manager.slots.len() == $index {
            let memory = SlotMemory {
                code,
                data: area!($data, $data_size),
                requests: area!($requests, $requests_size),
                replies: area!($replies, $replies_size),
                tensors: area!($tensors, $tensors_size),
            };
            let memory = memory.check().unwrap_or_else(|error| panic!("slot {}: {error}", $index));
            $domain.wires.channels[$index] = Some(Channel::new(*var!($channel: usize = usize::MAX)));
            $domain.wires.models[$index] =
                link!($models: model::Request, model::Reply, model::PROTOCOL, model::VERSION);
            let is_child = |pd: &&protocols::system_table::PdEntry| {
                pd.parent != NO_PARENT && usize::from(pd.parent) == $own && usize::from(pd.child_id) == $index
            };
            let pd = $table.pds.iter().find(is_child);
            let pd = pd.unwrap_or_else(|| panic!("slot {}: there is no child with this id", $index));
            let time = |us: u64| u32::try_from(us).unwrap_or(u32::MAX);
            let slot = Slot::new(memory, time(pd.budget_us), time(pd.period_us), pd.stack_bytes);
            $domain.manager.add_slot(slot, &mut $domain.wires);
        }
    };
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> Domain {
    let table = SystemTable::parse(read_only!(system_table, system_table_size));
    let table = table.unwrap_or_else(|error| panic!("{error}"));
    let name = sel4_microkit::pd_name().unwrap_or("");
    let own = table.pd_by_name(name).unwrap_or_else(|| panic!("{name} is not in the system table"));
    let staging = memory_region_symbol!(staging: *mut u8);
    // SAFETY: the composer maps a region of this size there for as long as the program runs, here alone; `init` runs once a
    // start, and a restart forgets all borrows.
    let staging = unsafe { core::slice::from_raw_parts_mut(staging.as_ptr(), *var!(staging_size: usize = 0)) };
    let timebase_hz = table.header.timebase_hz.max(1);
    let storage = link!(storage: storage::Request, storage::Reply, storage::PROTOCOL, storage::VERSION);
    let wires = Wires {
        timebase_hz,
        console: link!(console: FromClient, FromConsole, console::PROTOCOL, console::VERSION),
        lines: LINES.take(),
        shell: link!(shell: Answer, apps::Request, apps::PROTOCOL, apps::VERSION),
        storage: storage.map(|link| {
            let data = memory_region_symbol!(storage_data: *mut AtomicU8);
            // SAFETY: as for areas.
            let data = unsafe { core::slice::from_raw_parts(data.as_ptr(), *var!(storage_data_size: usize = 0)) };
            storage::Client::new(link, data)
        }),
        rot: link!(rot: rot::Request, rot::Reply, rot::PROTOCOL, rot::VERSION),
        keywords: link!(keywords: keywords::Request, keywords::Event, keywords::PROTOCOL, keywords::VERSION),
        timer: link!(timer: timer::Request, timer::Event, timer::PROTOCOL, timer::VERSION),
        armed_ns: None,
        models: [const { None }; MAX_SLOTS],
        channels: [None; MAX_SLOTS],
    };
    let pack = ModelPack::parse(read_only!(model_pack, model_pack_size)).ok();
    let manager = MANAGER.take();
    manager.equip(staging, pack, timebase_hz);
    if wires.keywords.is_some() {
        manager.offer_keywords();
    }
    let mut domain = Domain { manager, wires, data: DATA.take() };
    add_slots(&mut domain, &table, own);
    domain.manager.announce(&mut domain.wires);
    domain.work(None);
    domain
}

fn add_slots(domain: &mut Domain, table: &SystemTable<'_>, own: usize) {
    add_slot!(domain, table, own, 0, slot0_channel, slot0_code slot0_code_size, slot0_data slot0_data_size,
        slot0_requests slot0_requests_size, slot0_replies slot0_replies_size, models0 models0_data models0_data_size);
    add_slot!(domain, table, own, 1, slot1_channel, slot1_code slot1_code_size, slot1_data slot1_data_size,
        slot1_requests slot1_requests_size, slot1_replies slot1_replies_size, models1 models1_data models1_data_size);
    add_slot!(domain, table, own, 2, slot2_channel, slot2_code slot2_code_size, slot2_data slot2_data_size,
        slot2_requests slot2_requests_size, slot2_replies slot2_replies_size, models2 models2_data models2_data_size);
    add_slot!(domain, table, own, 3, slot3_channel, slot3_code slot3_code_size, slot3_data slot3_data_size,
        slot3_requests slot3_requests_size, slot3_replies slot3_replies_size, models3 models3_data models3_data_size);
    add_slot!(domain, table, own, 4, slot4_channel, slot4_code slot4_code_size, slot4_data slot4_data_size,
        slot4_requests slot4_requests_size, slot4_replies slot4_replies_size, models4 models4_data models4_data_size);
    add_slot!(domain, table, own, 5, slot5_channel, slot5_code slot5_code_size, slot5_data slot5_data_size,
        slot5_requests slot5_requests_size, slot5_replies slot5_replies_size, models5 models5_data models5_data_size);
    add_slot!(domain, table, own, 6, slot6_channel, slot6_code slot6_code_size, slot6_data slot6_data_size,
        slot6_requests slot6_requests_size, slot6_replies slot6_replies_size, models6 models6_data models6_data_size);
    add_slot!(domain, table, own, 7, slot7_channel, slot7_code slot7_code_size, slot7_data slot7_data_size,
        slot7_requests slot7_requests_size, slot7_replies slot7_replies_size, models7 models7_data models7_data_size);
}

impl Domain {
    /// Looks at everything that may have something new, a bounded amount of it.
    fn work(&mut self, channels: Option<&ChannelSet>) {
        for slot in 0..self.manager.slots.len() {
            let channel = self.wires.channels[slot];
            if channels.is_some_and(|channels| channel.is_some_and(|channel| channels.contains(channel))) {
                self.manager.app_notified(slot, &mut self.wires);
            }
        }
        self.join_services();
        self.manager.tick(&mut self.wires);
        self.manager.serve(&mut self.wires);
        self.rearm();
    }

    fn rearm(&mut self) {
        let now_ns = self.wires.now_ns();
        self.wires.arm(self.manager.deadline_ns(now_ns));
    }

    fn join_services(&mut self) {
        let Self { manager, wires, data } = self;
        if let Some(console) = &mut wires.console {
            // A console that restarted, or says nonsense, takes nothing until it is back.
            let _ = console.poll();
            while let Ok(Some(_)) = console.pop() {}
            wires.lines.tell_drops(console);
        }
        // As many replies as can be under way; a service that sends more is not believed.
        for _ in 0..=STORAGE_PLACES {
            let Some(event) = wires.storage.as_mut().and_then(|storage| storage.next(&mut data[..])) else { break };
            let bytes = match event {
                storage::Event::Reply(_, bytes) => bytes,
                storage::Event::Restarted => 0,
            };
            manager.storage_event(event, &data[..bytes], wires);
        }
        if wires.rot.as_mut().is_some_and(|link| link.poll() != Ok(false)) {
            manager.rot_restarted(wires);
        }
        for _ in 0..=rot::MAX_UNDER_WAY {
            let Some(Ok(Some(reply))) = wires.rot.as_mut().map(Link::pop) else { break };
            manager.rot_reply(&reply, wires);
        }
        // A spotter that began anew knows of no subscribers.
        if wires.keywords.as_mut().is_some_and(|link| link.poll() != Ok(false)) {
            manager.update_keywords(wires);
        }
        for _ in 0..TURN_KEYWORDS {
            let Some(Ok(Some(event))) = wires.keywords.as_mut().map(Link::pop) else { break };
            if event.kind == keywords::kind::DETECTION {
                let keywords::Detection { word, number, decided_ns, confidence, .. } = event.body();
                manager.keyword(Keyword { number, confidence, word, time_ns: decided_ns }, wires);
            }
        }
        for slot in 0..manager.slots.len() {
            if wires.models[slot].as_mut().is_some_and(|link| link.poll() != Ok(false)) {
                manager.models_restarted(slot, wires);
            }
            for _ in 0..2 * model::MAX_JOBS {
                let Some(Ok(Some(reply))) = wires.models[slot].as_mut().map(Link::pop) else { break };
                manager.model_reply(slot, &reply, wires);
            }
        }
        // A shell that restarted waits for no answers any more; what it asked for is done all the same.
        let _ = wires.shell.as_mut().map(Link::poll);
        for _ in 0..TURN_COMMANDS {
            let Some(Ok(Some(request))) = wires.shell.as_mut().map(Link::pop) else { return };
            manager.command(&request, wires);
        }
        manager.more_to_do();
    }
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        self.work(Some(&channels));
        Ok(())
    }

    fn fault(&mut self, child: Child, message: MessageInfo) -> Result<Option<MessageInfo>, Infallible> {
        self.manager.fault(child.index(), message.fault(), &mut self.wires);
        self.rearm();
        Ok(None)
    }
}

impl Wires {
    /// Sets the timer, if it is not set to that time already.
    fn arm(&mut self, deadline_ns: Option<u64>) {
        let now_ns = self.now_ns();
        let Some(timer) = &mut self.timer else { return };
        if timer.poll() != Ok(false) {
            // Its table is new.
            self.armed_ns = None;
        }
        while let Ok(Some(event)) = timer.pop() {
            if event.op == timer::Event::EXPIRED {
                self.armed_ns = None;
            }
        }
        let Some(deadline_ns) = deadline_ns else { return };
        // One that expires earlier is left alone: there is nothing to do then, and this is called again.
        if self.armed_ns.is_some_and(|armed_ns| now_ns < armed_ns && armed_ns <= deadline_ns) {
            return;
        }
        let time_ns = deadline_ns.saturating_sub(now_ns);
        let request = timer::Request { op: op::SET_AFTER, id: WAKE_UP, time_ns, period_ns: 0 };
        // A driver that takes nothing now notifies when it is there, and then this is called again.
        self.armed_ns = timer.push(&request).is_ok().then_some(deadline_ns);
    }
}

impl World for Wires {
    fn now_ns(&mut self) -> u64 {
        (u128::from(counters::rdtime()) * 1_000_000_000 / u128::from(self.timebase_hz)) as u64
    }

    // The app manager acts only on slots that the system description gave it. Should the kernel refuse all the same, the
    // app's state on the console is wrong, and nothing else follows from it.
    fn stop(&mut self, slot: usize) {
        let _ = Child::new(slot).stop();
    }

    fn start(&mut self, slot: usize) {
        // SAFETY: the instruction orders fetches behind earlier stores, of which the program to be started is one.
        unsafe { asm!("fence.i", options(nostack)) };
        let _ = Child::new(slot).restart(ENTRY);
    }

    fn resume(&mut self, slot: usize) {
        let _ = Child::new(slot).resume();
    }

    fn notify(&mut self, slot: usize) {
        if let Some(channel) = self.channels[slot] {
            channel.notify();
        }
    }

    fn place(&mut self, slot: usize) -> Option<Place> {
        let registers = Child::new(slot).read_registers(false).ok()?;
        Some(Place { pc: registers.pc, ra: registers.ra, sp: registers.sp, fp: registers.s[0] })
    }

    fn cpu_us(&mut self, slot: usize) -> Option<u64> {
        SchedContext::from_slot(slot as u64 + 1).consumed_us().ok()
    }

    fn say(&mut self, level: Level, text: fmt::Arguments<'_>) -> bool {
        let Some(console) = &mut self.console else { return false };
        let before = self.lines.dropped();
        self.lines.print(console, level, text);
        self.lines.dropped() == before
    }

    fn answer(&mut self, answer: Answer) {
        // A shell that does not take its answers gives up after a while.
        let _ = self.shell.as_mut().map(|shell| shell.push(&answer));
    }

    fn storage(&mut self, ask: &Ask<'_>) -> Result<u32, ClientError> {
        self.storage.as_mut().ok_or(ClientError::NotConnected)?.submit(ask)
    }

    fn storage_room(&self) -> usize {
        self.storage.as_ref().map_or(0, storage::Client::room).min(READ_BYTES)
    }

    fn rot(&mut self, request: rot::Request) -> bool {
        self.rot.as_mut().is_some_and(|link| link.is_connected() && link.push(&request).is_ok())
    }

    fn models(&mut self, slot: usize, request: model::Request) -> bool {
        self.models[slot].as_mut().is_some_and(|link| link.is_connected() && link.push(&request).is_ok())
    }

    fn keywords(&mut self, wanted: bool) -> bool {
        let kind = if wanted { keywords::request::SUBSCRIBE } else { keywords::request::UNSUBSCRIBE };
        let request = keywords::Request { kind, token: 0 };
        self.keywords.as_mut().is_some_and(|link| link.is_connected() && link.push(&request).is_ok())
    }
}
