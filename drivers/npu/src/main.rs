//! The accelerator driver's wiring.
//!
//! | symbol | |
//! |---|---|
//! | `control` | the accelerator's control page |
//! | `doorbell`, `completion` | its two interrupt lines: to it and from it |
//! | `npu_irq` | the interrupt from it, 0 unless the system description sets it |
//! | `system_table`, `system_table_size` | what the system is composed of, read-only: the speed of the clock |
//! | `timer_channel` | calls to the timer: jobs have limits |
//! | links `client0`, `client1` | clients; any may be left out |
//!
//! It maps nothing of the memory that the accelerator shares with the system: it passes places on and sees no tensor.
#![no_std]
#![no_main]

use npu::registers::{Block, Device, LineBlock};
use npu::server::Server;
use protocols::npu::{PROTOCOL, Reply, Request, VERSION};
use protocols::system_table::SystemTable;
use protocols::timer::Timer;
use ring::ChannelNotifier;
use sel4_microkit::counters::rdtime;
use sel4_microkit::{
    Channel, ChannelSet, DeferredAction, DeferredActionSlot, Handler, Infallible, memory_region_symbol,
    protection_domain, var,
};

/// The one timer that the driver uses.
const WAKE_UP: usize = 0;

struct Wired {
    server: Server<Device<'static>, ChannelNotifier>,
    interrupt: Channel,
    deferred: DeferredActionSlot,
    timer: Timer,
    timebase_hz: u64,
    /// When the timer expires, in ticks.
    armed: Option<u64>,
}

/// The client with the link of this name, if it is wired.
macro_rules! client {
    ($name:ident) => {
        ring::link!($name: Reply, Request, PROTOCOL, VERSION)
            .unwrap_or_else(|error| panic!("the link `{}`: {error}", stringify!($name)))
    };
}

#[protection_domain(stack_size = 0x4000)]
fn init() -> impl Handler {
    let clients = [client!(client0), client!(client1)];
    let timer = protocols::timer!(timer_channel).expect("timer_channel is wired");
    let table = memory_region_symbol!(system_table: *mut u8);
    // SAFETY: the composer maps a region of this size there for as long as the program runs, and nobody writes it.
    let table = unsafe { core::slice::from_raw_parts(table.as_ptr(), *var!(system_table_size: usize = 0)) };
    let timebase_hz = SystemTable::parse(table).unwrap_or_else(|error| panic!("{error}")).header.timebase_hz;
    // SAFETY: the composer maps the device's registers there, uncached, for this program alone and for as long as it runs.
    let (block, doorbell, completion) = unsafe {
        (
            memory_region_symbol!(control: *mut Block).as_ref(),
            memory_region_symbol!(doorbell: *mut LineBlock).as_ref(),
            memory_region_symbol!(completion: *mut LineBlock).as_ref(),
        )
    };
    let server = Server::new(Device { block, doorbell, completion }, clients, timebase_hz, rdtime());
    let interrupt = Channel::new(*var!(npu_irq: usize = 0));
    let mut wired = Wired { server, interrupt, deferred: DeferredActionSlot::new(), timer, timebase_hz, armed: None };
    wired.turn();
    wired
}

impl Wired {
    fn turn(&mut self) {
        let now = rdtime();
        let Some(wake) = self.server.turn(now) else { return };
        // A timer that expires too early costs a turn; one set anew for each job would cost a call.
        if self.armed.is_none_or(|armed| wake < armed) {
            let delay = u128::from(wake.saturating_sub(now)) * 1_000_000_000 / u128::from(self.timebase_hz.max(1));
            // If the timer does not take it, the next event tries again.
            let set = self.timer.set_after(WAKE_UP, u64::try_from(delay).unwrap_or(u64::MAX / 2));
            self.armed = set.is_ok().then_some(wake);
        }
    }
}

impl Handler for Wired {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        if channels.contains(self.interrupt) {
            self.server.interrupt();
        }
        if channels.contains(Channel::new(self.timer.transport().channel())) {
            // Whatever it says, the server looks at the clock itself.
            let _ = self.timer.take_expired();
            self.armed = None;
        }
        self.turn();
        if channels.contains(self.interrupt) {
            self.deferred.defer_irq_ack(self.interrupt).expect("an interrupt can be acknowledged");
        }
        Ok(())
    }

    fn take_deferred_action(&mut self) -> Option<DeferredAction> {
        self.deferred.take()
    }
}
