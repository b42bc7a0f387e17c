//! The whole driver: a device on one side, a client's link on the other.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::AtomicU64;

use proptest::prelude::*;
use protocols::uart::{
    CHUNK, ERROR_BREAK, ERROR_FRAMING, ERROR_OVERRUN, ERROR_PARITY, PROTOCOL, Received, Transmit, VERSION,
};
use ring::{Link, Words, region_bytes};

use super::device::{Device, Fault};
use crate::driver::{Driver, STORM};
use crate::registers::LineStatus;
use crate::uart::Uart;

const ENTRIES: usize = 4;

#[derive(Clone, Default)]
struct Bell(Rc<Cell<bool>>);

impl ring::Notify for Bell {
    fn notify(&self) {
        self.0.set(true);
    }
}

struct Scene {
    device: Device,
    driver: Driver<Device, Bell>,
    client: Link<Transmit, Received, Bell>,
    /// Rung for the driver and for the client.
    bells: [Bell; 2],
    regions: [Words; 2],
}

impl Scene {
    fn new() -> Self {
        let region = || {
            let words = region_bytes(ENTRIES, size_of::<Transmit>()) / 8;
            Words::from_static(Vec::leak((0..words).map(|_| AtomicU64::new(0)).collect()))
        };
        let (device, bells, regions) = (Device::default(), [Bell::default(), Bell::default()], [region(), region()]);
        let link = Link::open(regions[0].clone(), regions[1].clone(), bells[1].clone(), PROTOCOL, VERSION).unwrap();
        let driver = Driver::new(Uart::new(device.clone()), link);
        let client = Self::client(&regions, &bells);
        let mut scene = Self { device, driver, client, bells, regions };
        scene.driver.turn();
        scene.client.poll().unwrap();
        scene.driver.notified();
        scene
    }

    fn client(regions: &[Words; 2], bells: &[Bell; 2]) -> Link<Transmit, Received, Bell> {
        Link::open(regions[1].clone(), regions[0].clone(), bells[0].clone(), PROTOCOL, VERSION).unwrap()
    }

    /// Lets the driver run as the kernel would: as long as there is an interrupt or a notification for it. No turn may
    /// take long. Gives the number of turns.
    fn run(&mut self) -> usize {
        for turn in 0..1000 {
            self.device.0.accesses.set(0);
            if self.bells[0].0.take() {
                self.driver.notified();
            } else if self.device.interrupt() {
                self.driver.interrupt();
            } else {
                return turn;
            }
            assert!(self.device.0.accesses.get() < 1500, "{} accesses in one turn", self.device.0.accesses.get());
        }
        1000
    }

    fn take(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(entry) = self.client.pop().unwrap() {
            bytes.extend_from_slice(entry.data());
        }
        bytes
    }
}

#[test]
fn output_goes_out_in_order_and_then_interrupts_end() {
    let mut scene = Scene::new();
    let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let mut chunks = bytes.chunks(CHUNK).peekable();
    for _ in 0..400 {
        while let Some(chunk) = chunks.peek()
            && scene.client.push(&Transmit::new(chunk)).is_ok()
        {
            chunks.next();
        }
        scene.run();
        scene.device.send(5);
    }
    assert!(scene.run() <= 2);
    assert_eq!(*scene.device.0.line.borrow(), bytes);
    assert_eq!(scene.device.0.enabled.get() & 0b10, 0, "nothing to send, no interrupt for an empty transmitter");
    assert_eq!((scene.driver.counters().transmitted, scene.driver.counters().storms), (1000, 0));
}

#[test]
fn input_waits_in_the_device_while_the_client_has_no_room() {
    let mut scene = Scene::new();
    for byte in 0..ENTRIES as u8 {
        scene.device.arrive(byte);
        scene.run();
    }
    assert_eq!(scene.device.0.enabled.get() & 1, 0, "the ring is full of single bytes");
    for byte in 4..20 {
        scene.device.arrive(byte);
    }
    assert_eq!(scene.run(), 0, "a full ring makes no work");
    assert_eq!(scene.take(), [0, 1, 2, 3]);
    scene.run();
    assert_eq!(scene.take(), (4..20).collect::<Vec<u8>>());
    assert_eq!(scene.driver.counters().received, 20);
}

#[test]
fn overruns_and_line_errors_reach_the_client() {
    let mut scene = Scene::new();
    (0..18).for_each(|byte| scene.device.arrive(byte));
    scene.run();
    let entry = scene.client.pop().unwrap().unwrap();
    assert_eq!((entry.data().len(), entry.errors, entry.error_count), (16, ERROR_OVERRUN, 1));
    let bits = LineStatus::PARITY::SET.value | LineStatus::FRAMING::SET.value | LineStatus::BREAK::SET.value;
    scene.device.error(bits);
    scene.run();
    let entry = scene.client.pop().unwrap().unwrap();
    assert_eq!((entry.data().len(), entry.error_count), (0, 4));
    assert_eq!(entry.errors, ERROR_PARITY | ERROR_FRAMING | ERROR_BREAK);
    assert_eq!(scene.driver.uart().errors().overruns, 1);
    assert_eq!(scene.client.pop(), Ok(None));
}

#[test]
fn a_transmitter_that_never_empties_stops_output_and_nothing_else() {
    let mut scene = Scene::new();
    scene.device.0.fault.set(Some(Fault::NeverEmpty));
    let mut pushed = 0;
    while scene.client.push(&Transmit::new(&[b'x'; CHUNK])).is_ok() {
        pushed += 1;
        scene.run();
    }
    assert_eq!(pushed, ENTRIES + 1, "one is with the driver, the ring is full");
    assert_eq!(scene.run(), 0);
    scene.device.arrive(b'k');
    scene.run();
    assert_eq!(scene.take(), b"k");
    scene.device.0.fault.set(None);
    scene.driver.notified();
    while !scene.device.0.transmitting.borrow().is_empty() {
        scene.device.send(16);
        scene.run();
    }
    assert_eq!(scene.device.0.line.borrow().len(), pushed * CHUNK);
}

#[test]
fn a_receiver_that_is_always_ready_fills_the_ring_and_no_more() {
    let mut scene = Scene::new();
    scene.device.0.fault.set(Some(Fault::AlwaysReady));
    assert!(scene.run() <= ENTRIES);
    assert_eq!(scene.take().len(), ENTRIES * CHUNK);
}

#[test]
fn an_interrupt_without_end_is_turned_off_and_comes_back_on_request() {
    let mut scene = Scene::new();
    for _ in 0..STORM - 1 {
        scene.driver.interrupt();
    }
    assert_ne!(scene.device.0.enabled.get(), 0);
    scene.driver.interrupt();
    assert_eq!(scene.device.0.enabled.get(), 0);
    assert_eq!((scene.driver.counters().spurious, scene.driver.counters().storms), (u64::from(STORM), 1));
    for _ in 0..10 {
        scene.driver.interrupt();
    }
    assert_eq!(scene.driver.counters().storms, 1, "said once");
    scene.client.push(&Transmit::new(b"hello")).unwrap();
    scene.run();
    assert_ne!(scene.device.0.enabled.get() & 1, 0);
    scene.device.send(5);
    assert_eq!(*scene.device.0.line.borrow(), b"hello");
}

#[test]
fn a_cause_between_spurious_interrupts_is_no_storm() {
    let mut scene = Scene::new();
    for round in 0..STORM * 3 {
        scene.driver.interrupt();
        if round % 32 == 0 {
            scene.device.arrive(b'x');
            scene.run();
            scene.take();
        }
    }
    assert_eq!(scene.driver.counters().storms, 0);
}

#[test]
fn a_client_that_restarts_is_served_again() {
    let mut scene = Scene::new();
    scene.client.push(&Transmit::new(b"before ")).unwrap();
    scene.run();
    scene.device.send(16);
    scene.device.arrive(b'1');
    scene.run();
    scene.client = Scene::client(&scene.regions, &scene.bells);
    scene.client.poll().unwrap();
    scene.client.push(&Transmit::new(b"after")).unwrap();
    scene.device.arrive(b'2');
    scene.run();
    scene.device.send(16);
    assert_eq!(*scene.device.0.line.borrow(), b"before after");
    assert_eq!(scene.take(), b"2", "what the old client did not take is gone with it");
}

#[test]
fn wrong_lengths_from_the_client_are_cut() {
    let mut scene = Scene::new();
    scene.client.push(&Transmit { length: 255, ..Transmit::new(&[b'y'; CHUNK]) }).unwrap();
    scene.client.push(&Transmit::new(b"")).unwrap();
    scene.client.push(&Transmit::new(b"z")).unwrap();
    for _ in 0..10 {
        scene.run();
        scene.device.send(16);
    }
    assert_eq!(scene.device.0.line.borrow().len(), CHUNK + 1);
}

proptest! {
    /// Whatever happens in whatever order: bytes stay in order, nothing is lost unless the device says so, and every turn
    /// is bounded.
    #[test]
    fn bytes_keep_their_order(steps in prop::collection::vec((0u8..5, 1usize..60), 1..200)) {
        let mut scene = Scene::new();
        let (mut next_in, mut next_out) = (0u8, 0u8);
        let (mut arrived, mut taken, mut pushed) = (Vec::new(), Vec::new(), Vec::new());
        for (action, count) in steps {
            match action {
                0 => for _ in 0..count.min(20) {
                    if scene.device.0.received.borrow().len() < 16 {
                        arrived.push(next_in);
                    }
                    scene.device.arrive(next_in);
                    next_in = next_in.wrapping_add(1);
                },
                1 => scene.device.send(count),
                2 => taken.extend(scene.take()),
                3 => {
                    let bytes: Vec<u8> = (0..count.min(CHUNK)).map(|index| next_out.wrapping_add(index as u8)).collect();
                    if scene.client.push(&Transmit::new(&bytes)).is_ok() {
                        next_out = next_out.wrapping_add(bytes.len() as u8);
                        pushed.extend(bytes);
                    }
                }
                _ => { scene.run(); }
            }
        }
        for _ in 0..40 {
            scene.run();
            scene.device.send(16);
            taken.extend(scene.take());
        }
        prop_assert_eq!(&*scene.device.0.line.borrow(), &pushed);
        prop_assert_eq!(taken, arrived);
        prop_assert_eq!(scene.driver.counters().storms, 0);
    }
}
