//! What a disk is for.

use protocols::block::{MAX_REQUESTS, code, kind};

use super::device::{Manners, Scene};

#[test]
fn sectors_go_both_ways_where_they_lie() {
    let mut scene = Scene::new(Manners::default());
    assert_eq!(scene.ask(kind::READ, 5, 1024, 1024), code::DONE);
    assert_eq!(scene.device.0.region.borrow()[1024..2048], [[5; 512], [6; 512]].concat());
    scene.device.0.region.borrow_mut()[512..1024].fill(0xab);
    assert_eq!(scene.ask(kind::WRITE, 63, 512, 512), code::DONE);
    assert_eq!(scene.device.0.disk.borrow()[63 * 512..], [0xab; 512]);
    assert_eq!(scene.ask(kind::FLUSH, 0, 0, 0), code::DONE);
    assert_eq!(scene.device.0.flushes.get(), 1);
    let info = scene.info().info;
    assert_eq!((info.sectors, info.read_only, info.has_cache, info.answered, info.failed), (64, 0, 1, 4, 0));
}

#[test]
fn many_at_once_and_one_too_many() {
    let mut scene = Scene::new(Manners { hangs: true, ..Manners::default() });
    let ids: Vec<u32> = (0..MAX_REQUESTS).map(|at| scene.send(kind::READ, at as u64, 512 * at as u32, 512)).collect();
    let one_more = scene.send(kind::READ, 0, 0, 512);
    scene.driver.turn();
    assert_eq!(scene.replies(), [(one_more, code::BUSY)]);
    assert_eq!(scene.driver.under_way(), MAX_REQUESTS);
    scene.device.work();
    assert_eq!(scene.replies(), ids.into_iter().map(|id| (id, code::DONE)).collect::<Vec<_>>());
    for at in 0..MAX_REQUESTS {
        assert_eq!(scene.device.0.region.borrow()[512 * at], at as u8);
    }
    // The rings of the queue go round many times.
    scene.device.set(|manners| manners.hangs = false);
    for round in 0..300 {
        assert_eq!(scene.ask(kind::READ, round % 64, 0, 512), code::DONE);
    }
}

#[test]
fn what_is_not_on_the_disk_or_in_the_region_is_refused() {
    let mut scene = Scene::new(Manners::default());
    for (sector, offset, bytes, expected) in [
        (64, 0, 512, code::OUT_OF_RANGE),
        (63, 0, 1024, code::OUT_OF_RANGE),
        (u64::MAX, 0, 512, code::OUT_OF_RANGE),
        (0, 0, 0, code::BAD_REQUEST),
        (0, 0, 511, code::BAD_REQUEST),
        (0, 1, 512, code::BAD_REQUEST),
        (0, 0x4000, 512, code::BAD_REQUEST),
        (0, 0x3e00, 1024, code::BAD_REQUEST),
        (0, u32::MAX - 511, 512, code::BAD_REQUEST),
        (0, 0, u32::MAX - 511, code::BAD_REQUEST),
        (63, 0x3e00, 512, code::DONE),
    ] {
        assert_eq!(scene.ask(kind::READ, sector, offset, bytes), expected, "{sector} {offset} {bytes}");
        assert_eq!(scene.ask(kind::WRITE, sector, offset, bytes), expected, "{sector} {offset} {bytes}");
    }
    assert_eq!(scene.ask(77, 0, 0, 512), code::BAD_REQUEST);
}

#[test]
fn no_disk_and_disks_of_other_kinds() {
    for (change, expected) in [
        ((|manners| manners.device = 0) as fn(&mut Manners), code::NO_DEVICE),
        (|manners| manners.device = 1, code::NO_DEVICE),
        (|manners| manners.legacy = true, code::NO_DEVICE),
        (|manners| manners.short_queue = true, code::NO_DEVICE),
        (|manners| manners.never_resets = true, code::NO_DEVICE),
        (|manners| manners.read_only = true, code::READ_ONLY),
        (|manners| manners.no_flush = true, code::DONE),
    ] {
        let mut scene = Scene::new(Manners::default());
        scene.device.set(change);
        scene.restart();
        scene.client.poll().unwrap();
        scene.driver.turn();
        assert_eq!(scene.ask(kind::WRITE, 0, 0, 512), expected);
        if expected == code::NO_DEVICE {
            assert_eq!(scene.info().code, code::NO_DEVICE);
            // It is attached, or comes to its senses.
            scene.device.set(|manners| *manners = Manners { device: 2, ..Manners::default() });
            assert_eq!(scene.info().code, code::DONE);
            assert_eq!(scene.ask(kind::READ, 0, 0, 512), code::DONE);
        } else {
            assert_eq!(scene.ask(kind::FLUSH, 0, 0, 0), code::DONE);
        }
    }
}
