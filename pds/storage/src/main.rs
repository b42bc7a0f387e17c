//! The storage service's wiring.
//!
//! | symbol | |
//! |---|---|
//! | link `disk`, `disk_data`, `disk_data_size` | the disk's driver and the region that the device uses; left out where there is no disk |
//! | `timer_channel` | calls to the timer, to give up a driver that does not answer; needed with a disk |
//! | links `client0` and `client1`, `client0_data`, … | privileged clients: they see the whole disk and open spaces for others |
//! | links `client2` and `client3`, `client2_data`, … | clients that see a folder of their own |
//! | `scratch` | working memory |
//! | link `console` | what the disk is, or what is wrong with it; may be left out |
#![no_std]
#![no_main]

use core::sync::atomic::AtomicU8;

use protocols::block;
use protocols::console::{self, FromClient, FromConsole, Level, Lines};
use protocols::storage::{PROTOCOL, Reply, Request, VERSION};
use protocols::timer::Timer;
use ring::{ChannelNotifier, Link};
use sel4_microkit::ipc::{self, Event};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, memory_region_symbol, protection_domain, var};
use static_cell::ConstStaticCell;
use storage::block_client::{BlockClient, Wait};
use storage::service::{Client, Mounts, SCRATCH_BYTES, Server};
use storage::{DiskError, Error};

static MOUNTS: ConstStaticCell<Mounts> = ConstStaticCell::new(Mounts::new());
/// The first two are privileged.
static CLIENTS: ConstStaticCell<[Client; 4]> = ConstStaticCell::new([
    Client::new("client0", true),
    Client::new("client1", true),
    Client::new("client2", false),
    Client::new("client3", false),
]);

/// The one timer that is used.
const PATIENCE: usize = 0;
/// How long it runs, and how often it may run out before a driver is given up: longer than a driver takes to reset a device.
const PATIENCE_NS: u64 = 5_000_000_000;
const PATIENCE_TIMES: u32 = 4;

/// Waits for the disk's driver. Notifications of clients that come meanwhile are forgotten: the server looks at all of them
/// when it is done.
struct Waiter {
    timer: Timer,
    armed: bool,
    times_left: u32,
}

impl Wait for Waiter {
    fn begin(&mut self) {
        self.times_left = PATIENCE_TIMES;
    }

    fn wait(&mut self) -> bool {
        if !self.armed {
            self.armed = self.timer.set_after(PATIENCE, PATIENCE_NS).is_ok();
        }
        if !self.armed || self.times_left == 0 {
            return false;
        }
        // There are no calls and no children.
        if let Event::Notified(channels) = ipc::recv()
            && channels.contains(Channel::new(self.timer.transport().channel()))
            && self.timer.take_expired().is_ok_and(|expired| expired.count(PATIENCE) > 0)
        {
            self.armed = false;
            self.times_left -= 1;
        }
        true
    }
}

type Disk = Option<BlockClient<'static, ChannelNotifier, Waiter>>;

struct Domain {
    server: Server<'static, Disk, ChannelNotifier>,
    console: Option<Link<FromClient, FromConsole>>,
    /// What is wrong with the disk, until it is said.
    to_say: Option<Error>,
}

/// A region shared with another program, in which bytes may change at any time; empty if it is not mapped.
macro_rules! shared_bytes {
    ($start:ident, $size:ident) => {{
        let start = core::ptr::with_exposed_provenance_mut::<AtomicU8>(*var!($start: usize = 0));
        match core::ptr::NonNull::new(start) {
            // SAFETY: the composer maps a region of this size there for as long as the program runs, writable; here it is
            // only used by atomic bytes.
            Some(start) => unsafe { core::slice::from_raw_parts(start.as_ptr(), *var!($size: usize = 0)) },
            None => &[],
        }
    }};
}

macro_rules! add_client {
    ($server:ident, $slot:literal, $client:ident, $name:ident, $data:ident, $size:ident) => {
        let link = ring::link!($name: Reply, Request, PROTOCOL, VERSION);
        if let Some(link) = link.unwrap_or_else(|error| panic!("{}: {error}", stringify!($name))) {
            $server.add($slot, $client, link, shared_bytes!($data, $size));
        }
    };
}

#[protection_domain(stack_size = 0x8000)]
fn init() -> Domain {
    let scratch = memory_region_symbol!(scratch: *mut [u8; SCRATCH_BYTES]);
    // SAFETY: the composer maps a region of this size there, for this program alone and for as long as it runs; `init` runs once a
    // start, and a restart forgets all borrows.
    let scratch = unsafe { &mut *scratch.as_ptr() };
    let link = ring::link!(disk: block::Request, block::Reply, block::PROTOCOL, block::VERSION);
    let timer = protocols::timer!(timer_channel);
    let disk: Disk = link.unwrap_or_else(|error| panic!("the link `disk`: {error}")).map(|link| {
        let timer = timer.unwrap_or_else(|| panic!("with the link `disk`, `timer_channel` is needed"));
        let data = shared_bytes!(disk_data, disk_data_size);
        BlockClient::new(link, data, Waiter { timer, armed: false, times_left: 0 })
    });
    let mut server = Server::new(disk, MOUNTS.take(), scratch);
    let [state0, state1, state2, state3] = CLIENTS.take();
    add_client!(server, 0, state0, client0, client0_data, client0_data_size);
    add_client!(server, 1, state1, client1, client1_data, client1_data_size);
    add_client!(server, 2, state2, client2, client2_data, client2_data_size);
    add_client!(server, 3, state3, client3, client3_data, client3_data_size);
    let console = ring::link!(console: FromClient, FromConsole, console::PROTOCOL, console::VERSION).ok().flatten();
    let to_say = server.look().err();
    let mut domain = Domain { server, console, to_say };
    domain.turn();
    domain
}

impl Domain {
    fn turn(&mut self) {
        self.server.turn();
        let Some(console) = &mut self.console else { return };
        // A console that misbehaves is ignored until it restarts; there is nobody else to tell.
        let _ = console.poll();
        if let Some(error) = self.to_say.take() {
            let level = if error == Error::Disk(DiskError::NoDisk) { Level::Warning } else { Level::Error };
            Lines::new().print(console, level, format_args!("{error}"));
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
