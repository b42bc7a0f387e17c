//! The model runner's wiring.
//!
//! | symbol | |
//! |---|---|
//! | `model_pack`, `model_pack_size` | the models, read-only |
//! | `arena`, `arena_size` | tables and working memory of the models, writable |
//! | `system_table`, `system_table_size` | what the system is composed of, read-only: the speed of the clock |
//! | link `console` | what went wrong at the start; may be left out |
//! | links `client0` to `client3` | clients; any may be left out |
//! | `client0_data`, `client0_data_size` to `client3_…` | the tensors of each client, writable by both |
#![no_std]
#![no_main]

use core::ptr::NonNull;

use model_runner::region::DataRegion;
use model_runner::{Clock, ModelSet, Runner};
use protocols::console::{self, FromClient, FromConsole, Level, Lines};
use protocols::model::{self, Reply, Request};
use protocols::system_table::SystemTable;
use ring::{ChannelNotifier, Link};
use sel4_microkit::{ChannelSet, Handler, Infallible, counters, memory_region_symbol, protection_domain, var};

/// The processor's own counters.
struct Hart {
    timebase_hz: u64,
}

impl Clock for Hart {
    fn now_ns(&self) -> u64 {
        (u128::from(counters::rdtime()) * 1_000_000_000 / u128::from(self.timebase_hz)) as u64
    }

    fn instructions(&self) -> u64 {
        counters::rdinstret()
    }
}

struct Domain {
    runner: Runner<ChannelNotifier, Hart>,
}

/// A region that the composer mapped read-only.
macro_rules! read_only {
    ($start:ident, $size:ident) => {{
        let start = memory_region_symbol!($start: *mut u8);
        // SAFETY: the composer maps a region of this size there for as long as the program runs, and nobody writes it.
        unsafe { core::slice::from_raw_parts(start.as_ptr(), *var!($size: usize = 0)) }
    }};
}

macro_rules! add_client {
    ($runner:ident, $slot:literal, $name:ident, $data:ident, $size:ident) => {
        let link = ring::link!($name: Reply, Request, model::PROTOCOL, model::VERSION);
        if let Some(link) = link.unwrap_or_else(|error| panic!("{}: {error}", stringify!($name))) {
            let start = core::ptr::with_exposed_provenance_mut(*var!($data: usize = 0));
            let start = NonNull::new(start).unwrap_or_else(|| panic!("{} is not mapped", stringify!($data)));
            // SAFETY: the composer maps a region of this size there for as long as the program runs, writable; nothing
            // else here refers to it, and a protection domain is one thread.
            let region = unsafe { DataRegion::new(start, *var!($size: usize = 0)) };
            $runner.add_client($slot, link, region);
        }
    };
}

#[protection_domain(stack_size = 0x8000)]
fn init() -> Domain {
    let table =
        SystemTable::parse(read_only!(system_table, system_table_size)).unwrap_or_else(|error| panic!("{error}"));
    let timebase_hz = table.header.timebase_hz.max(1);
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
    let mut runner = Runner::new(models, Hart { timebase_hz });
    add_client!(runner, 0, client0, client0_data, client0_data_size);
    add_client!(runner, 1, client1, client1_data, client1_data_size);
    add_client!(runner, 2, client2, client2_data, client2_data_size);
    add_client!(runner, 3, client3, client3_data, client3_data_size);
    runner.turn();
    Domain { runner }
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        self.runner.turn();
        Ok(())
    }
}
