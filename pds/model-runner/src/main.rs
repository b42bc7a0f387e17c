//! The model runner's wiring.
//!
//! | symbol | |
//! |---|---|
//! | `model_pack`, `model_pack_size` | the models, read-only |
//! | `arena`, `arena_size` | tables and working memory of the models, writable |
//! | `system_table`, `system_table_size` | what the system is composed of, read-only: the speed of the clock |
//! | link `console` | what went wrong at the start; may be left out |
//! | link `timer` | wakes the runner for periodic jobs and deadlines; without it, periodic jobs are refused |
//! | links `client0` to `client7` | clients; any may be left out. `client0` is the operator's |
//! | `client0_data`, `client0_data_size` to `client7_…` | the tensors of each client, writable by both |
//! | link `npu` | the accelerator's driver; without it, all models run on the processor |
//! | `model_pack_address`, `npu_arena_address`, `npu_arena_size`, `client0_data_address` to `client7_…` | where models, the accelerator's working memory and tensors lie for it; a client without an address is served by the processor |
#![no_std]
#![no_main]

use core::ptr::NonNull;

use model_runner::accelerator::{Accelerator, Place, Places};
use model_runner::engine::Engine;
use model_runner::region::DataRegion;
use model_runner::wake::Wake;
use model_runner::{Clock, ModelSet, Processor, Runner};
use protocols::console::{self, FromClient, FromConsole, Level, Lines};
use protocols::model::{self, Reply, Request};
use protocols::npu;
use protocols::system_table::SystemTable;
use protocols::timer::{self, Event};
use ring::{ChannelNotifier, Link};
use sel4_microkit::{ChannelSet, Handler, Infallible, counters, memory_region_symbol, protection_domain, var};
use static_cell::StaticCell;

/// The processor's own counters.
#[derive(Clone, Copy)]
struct Hart {
    /// Nanoseconds of a tick, times 2^32.
    scale: u64,
}

impl Hart {
    fn new(timebase_hz: u64) -> Self {
        Hart { scale: ((1_000_000_000 << 32) / u128::from(timebase_hz.max(1))) as u64 }
    }
}

impl Clock for Hart {
    fn now_ns(&self) -> u64 {
        ((u128::from(counters::rdtime()) * u128::from(self.scale)) >> 32) as u64
    }

    fn instructions(&self) -> u64 {
        counters::rdinstret()
    }
}

struct Domain {
    runner: &'static mut Runner<'static, ChannelNotifier, Hart>,
    clock: Hart,
    wake: Option<Wake<ChannelNotifier>>,
}

// They are large: they do not pass through the stack more often than once.
static PROCESSOR: StaticCell<Processor<Hart>> = StaticCell::new();
static ACCELERATOR: StaticCell<Accelerator<ChannelNotifier, Hart>> = StaticCell::new();
static RUNNER: StaticCell<Runner<'static, ChannelNotifier, Hart>> = StaticCell::new();

/// A region that the composer mapped read-only.
macro_rules! read_only {
    ($start:ident, $size:ident) => {{
        let start = memory_region_symbol!($start: *mut u8);
        // SAFETY: the composer maps a region of this size there for as long as the program runs, and nobody writes it.
        unsafe { core::slice::from_raw_parts(start.as_ptr(), *var!($size: usize = 0)) }
    }};
}

macro_rules! add_client {
    ($runner:ident, $peer:ident, $slot:literal, $name:ident, $data:ident, $size:ident) => {
        let link = ring::link!($name: Reply, Request, model::PROTOCOL, model::VERSION);
        if let Some(link) = link.unwrap_or_else(|error| panic!("{}: {error}", stringify!($name))) {
            let start = core::ptr::with_exposed_provenance_mut(*var!($data: usize = 0));
            let start = NonNull::new(start).unwrap_or_else(|| panic!("{} is not mapped", stringify!($data)));
            // SAFETY: the composer maps a region of this size there for as long as the program runs, writable; nothing
            // else here refers to it, and a protection domain is one thread.
            let region = unsafe { DataRegion::new(start, *var!($size: usize = 0)) };
            let peer = $peer(link.notifier().channel());
            $runner.add_client($slot, link, region);
            if let Some(pd) = peer {
                $runner.name_client($slot, pd);
            }
        }
    };
}

/// The accelerator, if its driver is wired.
fn accelerator(pack: &'static [u8], clock: Hart) -> Option<&'static mut dyn Engine> {
    let link = ring::link!(npu: npu::Request, npu::Reply, npu::PROTOCOL, npu::VERSION);
    let link = link.unwrap_or_else(|error| panic!("link npu: {error}"))?;
    let clients = [
        *var!(client0_data_address: usize = 0),
        *var!(client1_data_address: usize = 0),
        *var!(client2_data_address: usize = 0),
        *var!(client3_data_address: usize = 0),
        *var!(client4_data_address: usize = 0),
        *var!(client5_data_address: usize = 0),
        *var!(client6_data_address: usize = 0),
        *var!(client7_data_address: usize = 0),
    ];
    let arena = Place {
        address: *var!(npu_arena_address: usize = 0) as u64,
        bytes: u32::try_from(*var!(npu_arena_size: usize = 0)).unwrap_or(u32::MAX),
    };
    let pack_address = *var!(model_pack_address: usize = 0) as u64;
    let places = Places::new(pack, pack_address, arena, clients.map(|address| address as u64))?;
    Some(ACCELERATOR.init(Accelerator::new(link, clock, places)))
}

#[protection_domain(stack_size = 0x20000)]
fn init() -> Domain {
    let table =
        SystemTable::parse(read_only!(system_table, system_table_size)).unwrap_or_else(|error| panic!("{error}"));
    let clock = Hart::new(table.header.timebase_hz);
    let pack = read_only!(model_pack, model_pack_size);
    let arena = memory_region_symbol!(arena: *mut u8);
    // SAFETY: as above, but writable, and mapped here alone; `init` runs once a start, and a restart forgets all borrows.
    let arena = unsafe { core::slice::from_raw_parts_mut(arena.as_ptr(), *var!(arena_size: usize = 0)) };

    let mut console: Option<Link<FromClient, FromConsole>> =
        ring::link!(console: FromClient, FromConsole, console::PROTOCOL, console::VERSION).ok().flatten();
    let models = ModelSet::load(pack, arena, |problem| {
        if let Some(console) = &mut console {
            Lines::new().print(console, Level::Error, format_args!("{problem}"));
        }
    });
    let timer = ring::link!(timer: timer::Request, Event, timer::PROTOCOL, timer::VERSION);
    let wake = timer.unwrap_or_else(|error| panic!("link timer: {error}")).map(Wake::new);
    let infos = models.infos();
    let processor = PROCESSOR.init(Processor::new(models, clock));
    let runner = RUNNER.init(Runner::new(&infos, clock, processor, accelerator(pack, clock), wake.is_some()));
    let own = table.pd_by_name(sel4_microkit::pd_name().unwrap_or(""));
    let peer = |channel: usize| table.peer(own?, channel as u16);
    add_client!(runner, peer, 0, client0, client0_data, client0_data_size);
    add_client!(runner, peer, 1, client1, client1_data, client1_data_size);
    add_client!(runner, peer, 2, client2, client2_data, client2_data_size);
    add_client!(runner, peer, 3, client3, client3_data, client3_data_size);
    add_client!(runner, peer, 4, client4, client4_data, client4_data_size);
    add_client!(runner, peer, 5, client5, client5_data, client5_data_size);
    add_client!(runner, peer, 6, client6, client6_data, client6_data_size);
    add_client!(runner, peer, 7, client7, client7_data, client7_data_size);
    let mut domain = Domain { runner, clock, wake };
    domain.turn();
    domain
}

impl Domain {
    fn turn(&mut self) {
        if let Some(wake) = &mut self.wake {
            wake.hear();
        }
        let due = self.runner.turn();
        if let (Some(wake), Some(due_ns)) = (&mut self.wake, due) {
            wake.at(due_ns, self.clock.now_ns());
        }
    }
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        self.turn();
        Ok(())
    }
}
