//! The driver's wiring.
//!
//! | symbol | |
//! |---|---|
//! | `disk` | the device's registers |
//! | `disk_irq` | id of its interrupt's channel, 0 unless set |
//! | `queue`, `queue_paddr` | a page that the device shares, and its physical address |
//! | link `storage`, `storage_data`, `storage_data_size` | the client, and the region that the device reads and writes |
//! | `storage_data_paddr` | that region's physical address |
//! | `timer_channel` | calls to the timer; without it, a device that hangs is never reset |
#![no_std]
#![no_main]

use core::sync::atomic::AtomicU32;

use protocols::block::{PROTOCOL, Reply, Request, VERSION};
use protocols::timer::Timer;
use ring::ChannelNotifier;
use sel4_microkit::{
    Channel, ChannelSet, DeferredAction, DeferredActionSlot, Handler, Infallible, memory_region_symbol,
    protection_domain, var,
};
use virtio_blk::disk::Disk;
use virtio_blk::driver::{Driver, PATIENCE_NS, Region};
use virtio_blk::queue::{BYTES, Queue};
use virtio_blk::registers::Block;

/// The one timer that is used.
const PATIENCE: usize = 0;

struct Wired {
    driver: Driver<'static, &'static Block, ChannelNotifier>,
    interrupt: Channel,
    timer: Option<Timer>,
    /// The timer will expire.
    armed: bool,
    deferred: DeferredActionSlot,
}

#[protection_domain]
fn init() -> impl Handler {
    let client = ring::link!(storage: Reply, Request, PROTOCOL, VERSION, required);
    let client = client.unwrap_or_else(|error| panic!("the link `storage`: {error}"));
    // SAFETY: the composer maps the device's registers there, uncached, for this program alone and for as long as it runs.
    let registers: &'static Block = unsafe { memory_region_symbol!(disk: *mut Block).as_ref() };
    // SAFETY: the composer maps a page there for as long as the program runs; beside this program only the device uses it,
    // and here it is only used by atomic words.
    let memory: &'static [AtomicU32; BYTES / 4] =
        unsafe { memory_region_symbol!(queue: *mut [AtomicU32; BYTES / 4]).as_ref() };
    let queue = Queue::new(memory, *var!(queue_paddr: u64 = 0)).unwrap_or_else(|_| panic!("the queue's memory"));
    // The device reaches the region, this program never looks into it; that it is mapped says only that there is one.
    assert!(*var!(storage_data: usize = 0) != 0, "the link `storage` has no data");
    let region = Region { address: *var!(storage_data_paddr: u64 = 0), bytes: *var!(storage_data_size: usize = 0) };
    let driver = Driver::new(Disk::new(registers, queue), client, region);
    let interrupt = Channel::new(*var!(disk_irq: usize = 0));
    let timer = protocols::timer!(timer_channel);
    let mut wired = Wired { driver, interrupt, timer, armed: false, deferred: DeferredActionSlot::new() };
    wired.driver.turn();
    wired.arm();
    wired
}

impl Wired {
    /// While the device has something to do, the timer runs.
    fn arm(&mut self) {
        if !self.armed
            && self.driver.under_way() > 0
            && let Some(timer) = &mut self.timer
        {
            self.armed = timer.set_after(PATIENCE, PATIENCE_NS).is_ok();
        }
    }
}

impl Handler for Wired {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        if channels.contains(self.interrupt) {
            self.driver.interrupt();
            self.deferred.defer_irq_ack(self.interrupt).expect("an interrupt can be acknowledged");
        }
        if let Some(timer) = &mut self.timer
            && channels.contains(Channel::new(timer.transport().channel()))
            && timer.take_expired().is_ok_and(|expired| expired.count(PATIENCE) > 0)
        {
            self.armed = false;
            self.driver.patience_ran_out();
        }
        self.driver.turn();
        self.arm();
        Ok(())
    }

    fn take_deferred_action(&mut self) -> Option<DeferredAction> {
        self.deferred.take()
    }
}
