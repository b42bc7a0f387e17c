//! A disk behind the registers, which does what the specification says, or what a broken one might do; and its client.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use protocols::block::{PROTOCOL, Reply, Request, SECTOR_BYTES, VERSION, kind};
use ring::{Link, Span, Words, region_bytes};
use tock_registers::LocalRegisterCopy;
use tock_registers::fields::FieldValue;

use crate::disk::Disk;
use crate::driver::{Driver, Region};
use crate::queue::{BYTES, Queue};
use crate::registers::*;

/// Where memory lies for the device.
pub const QUEUE_AT: u64 = 0x9000_0000;
pub const REGION_AT: u64 = 0xa000_0000;
pub const REGION_BYTES: usize = 0x4000;
pub const SECTORS: usize = 64;

/// How the device behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manners {
    pub device: u32,
    pub read_only: bool,
    pub no_flush: bool,
    pub legacy: bool,
    pub never_resets: bool,
    pub short_queue: bool,
    /// Does nothing when notified.
    pub hangs: bool,
    /// Answers with an error.
    pub fails: bool,
    /// Gives back another number than it got.
    pub wrong_id: Option<u32>,
    /// Says that it wrote so many bytes less.
    pub short: u32,
    /// Says that it has done so many requests more.
    pub ahead: u16,
    pub needs_reset: bool,
}

pub struct State {
    pub manners: Cell<Manners>,
    status: Cell<u32>,
    queue: Cell<Option<QueueAddresses>>,
    memory: &'static [AtomicU32],
    pub region: RefCell<Vec<u8>>,
    pub disk: RefCell<Vec<u8>>,
    seen: Cell<u16>,
    used: Cell<u16>,
    pub resets: Cell<usize>,
    pub flushes: Cell<usize>,
    pub interrupts: Cell<u32>,
}

#[derive(Clone)]
pub struct Device(pub Rc<State>);

impl Device {
    pub fn set(&self, change: impl Fn(&mut Manners)) {
        let mut manners = self.0.manners.get();
        change(&mut manners);
        self.0.manners.set(manners);
    }

    fn word(&self, address: u64) -> u32 {
        self.0.memory[(address - QUEUE_AT) as usize / 4].load(Ordering::Relaxed)
    }

    fn half(&self, address: u64) -> u16 {
        (self.word(address & !3) >> (8 * (address & 2))) as u16
    }

    fn put(&self, address: u64, value: u32) {
        self.0.memory[(address - QUEUE_AT) as usize / 4].store(value, Ordering::Relaxed);
    }

    /// Does everything that is in the queue.
    pub fn work(&self) {
        let Some(queue) = self.0.queue.get() else { return };
        let manners = self.0.manners.get();
        while self.0.seen.get() != self.half(queue.driver + 2) {
            let seen = self.0.seen.get();
            let first = self.half(queue.driver + 4 + 2 * u64::from(seen % 64));
            self.0.seen.set(seen.wrapping_add(1));
            let mut written = self.request(queue, first).saturating_sub(manners.short);
            if manners.fails {
                written = 1;
            }
            let used = self.0.used.get();
            let element = queue.device + 4 + 8 * u64::from(used % 64);
            self.put(element, manners.wrong_id.unwrap_or(first.into()));
            self.put(element + 4, written);
            self.0.used.set(used.wrapping_add(1));
            self.put(queue.device, u32::from(used.wrapping_add(1).wrapping_add(manners.ahead)) << 16);
            self.0.interrupts.set(self.0.interrupts.get() | 1);
        }
    }

    fn request(&self, queue: QueueAddresses, first: u16) -> u32 {
        let descriptor = |index: u16| {
            let at = queue.descriptors + 16 * u64::from(index);
            let address = u64::from(self.word(at)) | u64::from(self.word(at + 4)) << 32;
            let last = self.word(at + 12);
            (address, self.word(at + 8) as usize, last as u16, (last >> 16) as u16)
        };
        let (head, head_bytes, flags, next) = descriptor(first);
        assert_eq!((head_bytes, flags), (16, 1));
        let (operation, sector) = (self.word(head), self.word(head + 8) as usize);
        let mut written = 1;
        let mut status = descriptor(next);
        if operation == 4 {
            self.0.flushes.set(self.0.flushes.get() + 1);
        } else {
            let (address, bytes, flags, next) = status;
            status = descriptor(next);
            let from = (address - REGION_AT) as usize;
            let (mut region, mut disk) = (self.0.region.borrow_mut(), self.0.disk.borrow_mut());
            let (memory, sectors) =
                (&mut region[from..from + bytes], &mut disk[sector * SECTOR_BYTES..sector * SECTOR_BYTES + bytes]);
            if operation == 0 {
                assert_eq!(flags, 3);
                memory.copy_from_slice(sectors);
                written += bytes as u32;
            } else {
                assert_eq!((operation, flags), (1, 1));
                sectors.copy_from_slice(memory);
            }
        }
        let (address, bytes, flags, _) = status;
        assert_eq!((bytes, flags), (1, 2));
        self.put(address, u32::from(self.0.manners.get().fails));
        written
    }
}

impl Registers for Device {
    fn identity(&self) -> Identity {
        let manners = self.0.manners.get();
        let version = if manners.legacy { 1 } else { 2 };
        Identity { magic: 0x7472_6976, version, device: manners.device }
    }
    fn status(&self) -> LocalRegisterCopy<u32, Status::Register> {
        let needs_reset = if self.0.manners.get().needs_reset { 0x40 } else { 0 };
        LocalRegisterCopy::new(self.0.status.get() | needs_reset)
    }
    fn set_status(&self, value: FieldValue<u32, Status::Register>) {
        if value.value == 0 {
            if self.0.manners.get().never_resets {
                return self.0.status.set(1);
            }
            self.set(|manners| manners.needs_reset = false);
            self.0.resets.set(self.0.resets.get() + 1);
            self.0.queue.set(None);
            (self.0.seen.set(0), self.0.used.set(0));
        }
        self.0.status.set(value.value);
    }
    fn disk_features(&self) -> LocalRegisterCopy<u32, DiskFeatures::Register> {
        let manners = self.0.manners.get();
        LocalRegisterCopy::new(u32::from(manners.read_only) << 5 | u32::from(!manners.no_flush) << 9 | 0x4000_0000)
    }
    fn device_features(&self) -> LocalRegisterCopy<u32, DeviceFeatures::Register> {
        LocalRegisterCopy::new(1)
    }
    fn set_features(
        &self,
        disk: FieldValue<u32, DiskFeatures::Register>,
        device: FieldValue<u32, DeviceFeatures::Register>,
    ) {
        assert_eq!(disk.value & !self.disk_features().get(), 0);
        assert_eq!(device.value, 1);
    }
    fn queue_size_max(&self) -> u32 {
        if self.0.manners.get().short_queue { 32 } else { 1024 }
    }
    fn set_queue(&self, size: u32, addresses: QueueAddresses) {
        assert_eq!(size, 64);
        assert!(addresses.descriptors.is_multiple_of(16) && addresses.driver.is_multiple_of(2));
        assert!(addresses.device.is_multiple_of(4));
        self.0.queue.set(Some(addresses));
    }
    fn notify(&self) {
        assert_eq!(self.0.status.get(), 0xf, "only a device that is set up is notified");
        if !self.0.manners.get().hangs {
            self.work();
        }
    }
    fn interrupt(&self) -> LocalRegisterCopy<u32, Interrupt::Register> {
        LocalRegisterCopy::new(self.0.interrupts.get())
    }
    fn acknowledge(&self, reasons: LocalRegisterCopy<u32, Interrupt::Register>) {
        self.0.interrupts.set(self.0.interrupts.get() & !reasons.get());
    }
    fn generation(&self) -> u32 {
        0
    }
    fn capacity(&self, half: usize) -> u32 {
        if half == 0 { SECTORS as u32 } else { 0 }
    }
}

/// The driver with its device and its client.
pub struct Scene {
    pub device: Device,
    pub driver: Driver<'static, Device, fn()>,
    pub client: Link<Request, Reply, fn()>,
    regions: (Words, Words),
    words: &'static [AtomicU32],
    id: u32,
}

fn words(bytes: usize) -> Words {
    Words::from_static((0..bytes.div_ceil(8)).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak())
}

pub fn quiet() {}

fn driver(device: &Device, words: &'static [AtomicU32], own: &Words, peer: &Words) -> Driver<'static, Device, fn()> {
    let link = Link::open(own.clone(), peer.clone(), quiet as fn(), PROTOCOL, VERSION).unwrap();
    let queue = Queue::new(words, QUEUE_AT).unwrap();
    Driver::new(Disk::new(device.clone(), queue), link, Region { address: REGION_AT, bytes: REGION_BYTES })
}

impl Scene {
    pub fn new(manners: Manners) -> Self {
        let memory: &'static [AtomicU32] = (0..BYTES / 4).map(|_| AtomicU32::new(0)).collect::<Vec<_>>().leak();
        let device = Device(Rc::new(State {
            manners: Cell::new(Manners { device: 2, ..manners }),
            status: Cell::new(0),
            queue: Cell::new(None),
            memory,
            region: RefCell::new(vec![0; REGION_BYTES]),
            disk: RefCell::new((0..SECTORS * SECTOR_BYTES).map(|at| (at / SECTOR_BYTES) as u8).collect()),
            seen: Cell::new(0),
            used: Cell::new(0),
            resets: Cell::new(0),
            flushes: Cell::new(0),
            interrupts: Cell::new(0),
        }));
        let size = region_bytes(32, 64);
        let (own, peer) = (words(size), words(size));
        let driver = driver(&device, memory, &own, &peer);
        let client = Link::open(peer.clone(), own.clone(), quiet as fn(), PROTOCOL, VERSION).unwrap();
        let mut scene = Scene { device, driver, client, regions: (own, peer), words: memory, id: 0 };
        scene.client.poll().unwrap();
        scene.driver.turn();
        scene
    }

    /// The driver is restarted.
    pub fn restart(&mut self) {
        self.driver = driver(&self.device, self.words, &self.regions.0, &self.regions.1);
        self.driver.turn();
    }

    /// The client is restarted.
    pub fn restart_client(&mut self) {
        let (own, peer) = &self.regions;
        self.client = Link::open(peer.clone(), own.clone(), quiet as fn(), PROTOCOL, VERSION).unwrap();
        self.client.poll().unwrap();
    }

    pub fn send(&mut self, kind: u32, sector: u64, offset: u32, bytes: u32) -> u32 {
        self.id += 1;
        self.client.push(&Request { kind, id: self.id, sector, buffer: Span { offset, bytes } }).unwrap();
        self.id
    }

    pub fn replies(&mut self) -> Vec<(u32, u32)> {
        self.driver.interrupt();
        core::iter::from_fn(|| self.client.pop().unwrap()).map(|reply| (reply.id, reply.code)).collect()
    }

    /// One request and its code.
    pub fn ask(&mut self, kind: u32, sector: u64, offset: u32, bytes: u32) -> u32 {
        let id = self.send(kind, sector, offset, bytes);
        self.driver.turn();
        let replies = self.replies();
        assert_eq!(replies.len(), 1, "one reply to one request: {replies:?}");
        assert_eq!(replies[0].0, id);
        replies[0].1
    }

    pub fn info(&mut self) -> Reply {
        self.send(kind::INFO, 0, 0, 0);
        self.driver.turn();
        self.client.pop().unwrap().unwrap()
    }
}
