//! Requests that go well, and refusals.

use super::*;
use crate::mailbox::WINDOW;
use crate::plausible::is_plausible;
use protocols::rot::data::Info;
use protocols::rot::{DRIVER_STATUS, DriverStatus, STATE_UP, STATE_WAITING, command};
use zerocopy::FromBytes;

#[test]
fn nothing_is_sent_before_the_session_is_open() {
    let mut world = World::new();
    world.submit(0, &Request::plain(5, command::INFO));
    let asked = world.asked();
    assert_eq!(asked.iter().map(|asked| asked.command).collect::<Vec<_>>(), [command::SYNC]);
    assert_eq!(world.mailbox.status().state, STATE_WAITING);
    assert!(world.reply(asked[0].id, command::SYNC, 0, b"somethin").is_empty());
    assert!(world.asked().is_empty(), "an echo of something else opens nothing");
    world.reply(asked[0].id, command::SYNC, 0, &asked[0].data);
    assert_eq!(world.mailbox.status().state, STATE_UP);
    assert_eq!(world.asked()[0].command, command::INFO);
}

#[test]
fn replies_find_their_requests_in_any_order() {
    let mut world = World::open();
    for client in 0..3 {
        world.submit(client, &Request::counter_read(10 + client as u64, [client as u8; 32]));
    }
    let asked = world.asked();
    assert_eq!(asked.len(), 3);
    for index in [2, 0, 1] {
        let value = 100 + index as u64;
        let replies = world.reply(asked[index].id, asked[index].command, 0, &value.to_le_bytes());
        let [(client, reply)] = &replies[..] else { panic!("one reply") };
        assert_eq!((*client, reply.token, reply.status, reply.value()), (index, 10 + index as u64, 0, Some(value)));
    }
    assert_eq!(world.mailbox.status().under_way, 0);
    assert_eq!(world.mailbox.status().answered, 3);
}

#[test]
fn the_root_of_trust_has_so_many_requests_at_a_time_oldest_first() {
    let mut world = World::open();
    for token in 0..10 {
        world.submit(token % 4, &Request::random(token as u64, token as u16));
    }
    let first = world.asked();
    assert_eq!(first.len(), WINDOW);
    assert_eq!(first.iter().map(|asked| asked.data[0]).collect::<Vec<_>>(), [0, 1, 2, 3]);
    world.reply(first[1].id, command::RANDOM, 0, &[9]);
    assert_eq!(world.asked()[0].data[0], 4);
}

#[test]
fn what_is_no_request_of_a_client_is_refused_at_once() {
    let mut world = World::open();
    let good = Request::plain(1, command::INFO);
    for bad in [
        Request { command: command::SYNC, ..good },
        Request { command: command::END_BOOT, ..good },
        Request { command: command::ENROLL, ..good },
        Request { command: 0, ..good },
        Request { reserved: 1, ..good },
        Request { length: u32::MAX, ..good },
    ] {
        let reply = world.mailbox.submit(0, &bad, 0).unwrap();
        assert_eq!((reply.token, reply.status), (1, status::BAD_REQUEST));
    }
    let reply = world.mailbox.submit(0, &Request::plain(3, DRIVER_STATUS), 0).unwrap();
    assert_eq!(reply.body::<DriverStatus>().unwrap().refused, 6);
    let reply = Mailbox::new().submit(0, &good, 0).unwrap();
    assert_eq!(reply.status, status::NO_DEVICE);
}

#[test]
fn answers_of_the_wrong_shape_are_not_passed_on() {
    for (request, right, wrong) in [
        (Request::verify(1, [0; 8], [0; 32], [0; 64]), 0, 1),
        (Request::random(1, 5), 5, 6),
        (Request::extend(1, 4, "x", [0; 32]), 32, 31),
        (Request::plain(1, command::REGISTERS), 256, 0),
        (Request::plain(1, command::INFO), size_of::<Info>(), 99),
        (Request::counter_increment(1, [0; 32]), 8, 0),
        (Request::plain(1, command::KEYS), 66, 67),
        (Request::seal(1, 1, b"abc").unwrap(), 50, 4),
    ] {
        let asked = request.data().unwrap();
        assert!(is_plausible(request.command, asked, 0, &vec![0; right]), "{request:?}");
        assert!(!is_plausible(request.command, asked, 0, &vec![0; wrong]), "{request:?}");
        assert!(is_plausible(request.command, asked, status::NO_SPACE, &[]));
        assert!(!is_plausible(request.command, asked, status::NO_SPACE, &[1]));
        assert!(!is_plausible(request.command, asked, status::TIMED_OUT, &[]), "only the driver says that");
    }
    let advance = Request::counter_advance(1, [0; 32], 7);
    assert!(is_plausible(advance.command, advance.data().unwrap(), 0, &7u64.to_le_bytes()));
    assert!(!is_plausible(advance.command, advance.data().unwrap(), 0, &8u64.to_le_bytes()));
    assert!(Info::read_from_bytes(&[0; 100]).is_ok());
}
