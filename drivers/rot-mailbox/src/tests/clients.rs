//! The driver with clients on rings and a card.

use std::sync::atomic::AtomicU64;

use super::card::Card;
use super::*;
use crate::driver::{Driver, STORM};
use protocols::rot::{DRIVER_STATUS, DriverStatus, PROTOCOL, VERSION, command};
use ring::{Link, Notify, Words};
use uart_ns16550::uart::Uart;

#[derive(Clone, Copy)]
struct Silent;

impl Notify for Silent {
    fn notify(&self) {}
}

type Client = Link<Request, Reply, Silent>;

/// Regions as the tests' clients and the driver share them.
struct Scene {
    card: Card,
    driver: Driver<'static, Card, Silent>,
    clients: Vec<Client>,
    regions: Vec<(Words, Words)>,
    now: u64,
    decoder: Decoder<MAX_REQUEST_BYTES>,
}

fn region() -> Words {
    Words::from_static(Vec::leak((0..0x4000 / 8).map(|_| AtomicU64::new(0)).collect()))
}

fn scene(with_card: bool) -> Scene {
    let card = Card::default();
    let regions: Vec<_> = (0..2).map(|_| (region(), region())).collect();
    let clients = regions.iter().map(client).collect();
    let mut links = regions.iter().map(|(theirs, ours)| {
        Link::<Reply, Request, Silent>::open(ours.clone(), theirs.clone(), Silent, PROTOCOL, VERSION).unwrap()
    });
    let links = [links.next(), links.next(), None, None];
    let uart = with_card.then(|| Uart::with_divisor(card.clone(), 1));
    let mailbox = Box::leak(Box::new(Mailbox::new()));
    let mut scene =
        Scene { driver: Driver::new(uart, mailbox, links, 0), card, clients, regions, now: 0, decoder: Decoder::new() };
    scene.driver.turn(0);
    scene.clients.iter_mut().for_each(|client| assert_eq!(client.poll(), Ok(true)));
    scene
}

fn client((theirs, ours): &(Words, Words)) -> Client {
    Link::open(theirs.clone(), ours.clone(), Silent, PROTOCOL, VERSION).unwrap()
}

impl Scene {
    /// Turns until nothing moves, with every request answered by 32 zeros, and `SYNC` by its echo.
    fn settle(&mut self) {
        for _ in 0..20 {
            self.driver.turn(self.now);
            let sent = std::mem::take(&mut *self.card.0.from_driver.borrow_mut());
            for byte in sent {
                if let Some(Ok(frame)) = self.decoder.push(byte) {
                    let data = if frame.command == command::SYNC { frame.data } else { &[0; 32] };
                    let reply = line(&Frame::reply(frame.id, frame.command, 0, data));
                    self.card.0.to_driver.borrow_mut().extend(reply);
                }
            }
        }
    }

    fn replies(&mut self, client: usize) -> Vec<(u64, u32)> {
        self.clients[client].poll().unwrap();
        let pop = || self.clients[client].pop().unwrap();
        core::iter::from_fn(pop).map(|reply| (reply.token, reply.status)).collect()
    }
}

#[test]
fn clients_get_their_own_replies() {
    let mut scene = scene(true);
    assert_eq!(scene.card.0.divisor.get(), 1);
    for client in 0..2 {
        scene.clients[client].push(&Request::extend(client as u64, 4, "x", [0; 32])).unwrap();
    }
    scene.settle();
    assert_eq!(scene.replies(0), [(0, status::OK)]);
    assert_eq!(scene.replies(1), [(1, status::OK)]);
}

#[test]
fn a_flood_is_taken_as_fast_as_its_replies_and_others_are_served() {
    let mut scene = scene(true);
    scene.settle();
    let mut sent = 0;
    while scene.clients[0].push(&Request::extend(sent, 4, "x", [0; 32])).is_ok() {
        sent += 1;
    }
    scene.clients[1].push(&Request::extend(99, 4, "x", [0; 32])).unwrap();
    scene.settle();
    assert_eq!(scene.replies(1), [(99, status::OK)]);
    let mut tokens = Vec::new();
    for _ in 0..50 {
        tokens.extend(scene.replies(0).into_iter().map(|(token, _)| token));
        scene.settle();
    }
    assert_eq!(tokens, (0..sent).collect::<Vec<_>>(), "in order, none lost");
}

#[test]
fn what_is_answered_at_once_is_answered_in_any_number() {
    let mut scene = scene(false);
    scene.settle();
    for token in 0..30 {
        scene.clients[0].push(&Request::plain(token, if token % 2 == 0 { DRIVER_STATUS } else { 7 })).unwrap();
    }
    let mut replies = Vec::new();
    for _ in 0..30 {
        scene.driver.turn(0);
        replies.extend(scene.replies(0));
    }
    assert_eq!(replies.len(), 30);
    assert!(replies.iter().all(|(token, status)| *status == if token % 2 == 0 { 0 } else { status::BAD_REQUEST }));
    scene.clients[1].push(&Request::plain(1, command::INFO)).unwrap();
    scene.driver.turn(0);
    assert_eq!(scene.replies(1), [(1, status::NO_DEVICE)]);
}

#[test]
fn a_client_that_restarts_gets_nothing_of_its_earlier_life() {
    let mut scene = scene(true);
    scene.settle();
    scene.clients[0].push(&Request::extend(1, 4, "x", [0; 32])).unwrap();
    scene.driver.turn(0);
    scene.clients[0] = client(&scene.regions[0]);
    scene.settle();
    scene.clients[0].poll().unwrap();
    assert_eq!(scene.replies(0), []);
    scene.clients[0].push(&Request::extend(2, 4, "x", [0; 32])).unwrap();
    scene.settle();
    assert_eq!(scene.replies(0), [(2, status::OK)]);
}

#[test]
fn an_interrupt_without_a_cause_is_turned_off_until_somebody_comes() {
    let mut scene = scene(true);
    scene.settle();
    assert_ne!(scene.card.0.enabled.get(), 0);
    for _ in 0..STORM {
        scene.driver.interrupt();
        scene.driver.turn(0);
    }
    assert_eq!(scene.card.0.enabled.get(), 0);
    scene.driver.woken();
    scene.driver.turn(0);
    assert_ne!(scene.card.0.enabled.get(), 0);
}

#[test]
fn the_status_is_whole() {
    let mut scene = scene(true);
    scene.settle();
    scene.clients[0].push(&Request::plain(1, DRIVER_STATUS)).unwrap();
    scene.driver.turn(0);
    let reply = scene.clients[0].pop().unwrap().unwrap();
    assert_eq!(reply.body::<DriverStatus>().unwrap().state, protocols::rot::STATE_UP);
    assert_eq!(scene.driver.mailbox().status().answered, 0);
}
