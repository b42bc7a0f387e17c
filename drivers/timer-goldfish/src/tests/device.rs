//! A clock that stands still until a test moves it, and a driver on it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::AtomicU64;

use protocols::timer::{Call, Event, MAX_ANSWER, PROTOCOL, Request, Timer, VERSION};
use ring::{Link, Words, region_bytes};

use crate::clock::Clock;
use crate::driver::{Driver, LINKED, Table};
use crate::linked::Linked;
use crate::registers::Registers;
use crate::server::Server;

#[derive(Default)]
pub struct State {
    pub now_ns: Cell<u64>,
    latched: Cell<u32>,
    high: Cell<u32>,
    alarm_ns: Cell<Option<u64>>,
    pending: Cell<bool>,
    enabled: Cell<bool>,
    /// How often the alarm was set or rang.
    pub alarms: Cell<u64>,
}

/// The device. Clones are the same one.
#[derive(Clone, Default)]
pub struct Device(pub Rc<State>);

impl Device {
    /// Lets time pass; the alarm rings on the way.
    pub fn pass(&self, ns: u64) {
        self.0.now_ns.set(self.0.now_ns.get().saturating_add(ns));
        self.ring();
    }

    /// Whether the device pulls its interrupt line.
    pub fn interrupt(&self) -> bool {
        self.0.enabled.get() && self.0.pending.get()
    }

    /// The time of the alarm.
    pub fn alarm_ns(&self) -> Option<u64> {
        self.0.alarm_ns.get()
    }

    fn ring(&self) {
        if self.0.alarm_ns.get().is_some_and(|alarm_ns| alarm_ns <= self.0.now_ns.get()) {
            self.0.alarm_ns.set(None);
            self.0.pending.set(true);
        }
    }
}

impl Registers for Device {
    fn time_low(&self) -> u32 {
        self.0.latched.set((self.0.now_ns.get() >> 32) as u32);
        self.0.now_ns.get() as u32
    }

    fn time_high(&self) -> u32 {
        self.0.latched.get()
    }

    fn set_alarm_high(&self, value: u32) {
        self.0.high.set(value);
    }

    fn set_alarm_low(&self, value: u32) {
        let alarm_ns = u64::from(self.0.high.get()) << 32 | u64::from(value);
        assert!(i64::try_from(alarm_ns).is_ok(), "the device would overflow");
        self.0.alarm_ns.set(Some(alarm_ns));
        self.0.alarms.set(self.0.alarms.get() + 1);
        self.ring();
    }

    fn enable_interrupt(&self) {
        self.0.enabled.set(true);
    }

    fn clear_alarm(&self) {
        self.0.alarm_ns.set(None);
    }

    fn clear_interrupt(&self) {
        self.0.pending.set(false);
    }
}

#[derive(Clone, Default)]
pub struct Bell(pub Rc<Cell<bool>>);

impl ring::Notify for Bell {
    fn notify(&self) {
        self.0.set(true);
    }
}

pub type Client = Link<Request, Event, Bell>;

/// A driver on its device, with two clients' links.
pub struct World {
    pub device: Device,
    server: RefCell<Server<'static, Device, Bell>>,
    /// Channels that were notified.
    pub notified: RefCell<Vec<usize>>,
    /// Rung for the driver, and for the first linked client.
    pub bells: [Bell; 2],
    regions: [Words; 2],
    /// After so many calls the driver restarts within one, before it answers.
    pub crash_in: Cell<Option<u32>>,
}

impl World {
    pub fn new() -> Rc<Self> {
        let device = Device::default();
        device.0.now_ns.set(1_700_000_000_000_000_000);
        let region = || {
            let words = region_bytes(4, size_of::<Event>()) / 8;
            Words::from_static(Vec::leak((0..words).map(|_| AtomicU64::new(0)).collect()))
        };
        let (regions, bells) = ([region(), region()], [Bell::default(), Bell::default()]);
        let server = RefCell::new(Self::server(&device, &regions, &bells));
        Rc::new(Self { device, server, notified: RefCell::default(), bells, regions, crash_in: Cell::new(None) })
    }

    fn server(device: &Device, regions: &[Words; 2], bells: &[Bell; 2]) -> Server<'static, Device, Bell> {
        let link = Link::open(regions[0].clone(), regions[1].clone(), bells[1].clone(), PROTOCOL, VERSION).unwrap();
        let mut linked = [const { None }; LINKED];
        linked[1] = Some(Linked::new(link, 1));
        Server::new(Driver::new(Clock::new(device.clone()), Box::leak(Box::new(Table::new()))), linked)
    }

    /// The driver restarts and notifies everyone, as its protection domain does.
    pub fn restart(&self) {
        self.device.pass(1);
        *self.server.borrow_mut() = Self::server(&self.device, &self.regions, &self.bells);
        self.server.borrow_mut().notified(false, |channel| self.notified.borrow_mut().push(channel));
        self.notified.borrow_mut().extend([20, 21]);
    }

    /// The client's end of the link.
    pub fn client(&self) -> Client {
        let [driver, client] = self.regions.clone();
        Link::open(client, driver, self.bells[0].clone(), PROTOCOL, VERSION).unwrap()
    }

    /// Lets the driver run as the kernel would, without time passing.
    pub fn run(&self) {
        for _ in 0..100 {
            let interrupt = self.device.interrupt();
            if !interrupt && !self.bells[0].0.take() {
                return;
            }
            self.server.borrow_mut().notified(interrupt, |channel| self.notified.borrow_mut().push(channel));
        }
        panic!("the driver does not come to rest");
    }

    /// Lets time pass and the driver run.
    pub fn pass(&self, ns: u64) {
        self.device.pass(ns);
        self.run();
    }

    /// A client that calls on this channel.
    pub fn caller(self: &Rc<Self>, channel: usize) -> Timer<Caller> {
        Timer::new(Caller { world: self.clone(), channel })
    }

    pub fn call(&self, channel: usize, label: u64, message: &[u64]) -> (u64, Vec<u64>) {
        let mut answer = [0; MAX_ANSWER];
        let notify = |channel| self.notified.borrow_mut().push(channel);
        let mut result = self.server.borrow_mut().call(channel, label, message, &mut answer, notify);
        if let Some(left) = self.crash_in.get() {
            self.crash_in.set(left.checked_sub(1));
            if left == 0 {
                // The answer never arrives; the caller is resumed, and calls again.
                self.restart();
                result = self.server.borrow_mut().call(channel, label, message, &mut answer, |_| ());
            }
        }
        (result.label, answer[..result.words].to_vec())
    }

    /// Whether this channel was notified since the last look.
    pub fn take_notified(&self, channel: usize) -> bool {
        let mut notified = self.notified.borrow_mut();
        let before = notified.len();
        notified.retain(|other| *other != channel);
        notified.len() != before
    }
}

/// Calls go straight to the driver.
pub struct Caller {
    world: Rc<World>,
    channel: usize,
}

impl Call for Caller {
    fn call(&self, label: u64, message: &[u64], answer: &mut [u64]) -> (u64, usize) {
        let (label, words) = self.world.call(self.channel, label, message);
        let count = words.len().min(answer.len());
        answer[..count].copy_from_slice(&words[..count]);
        (label, count)
    }
}
