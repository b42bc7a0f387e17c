//! Devices that fail, hang or lie; drivers and clients that restart.

use proptest::prelude::*;
use protocols::block::{code, kind};

use super::device::{Manners, Scene};

#[test]
fn an_error_is_told_and_the_next_request_is_done() {
    let mut scene = Scene::new(Manners { fails: true, ..Manners::default() });
    assert_eq!(scene.ask(kind::READ, 0, 0, 512), code::IO_ERROR);
    assert_eq!(scene.ask(kind::WRITE, 0, 0, 512), code::IO_ERROR);
    assert_eq!(scene.ask(kind::FLUSH, 0, 0, 0), code::IO_ERROR);
    scene.device.set(|manners| manners.fails = false);
    assert_eq!(scene.ask(kind::READ, 0, 0, 512), code::DONE);
    assert_eq!(scene.info().info.resets, 0);
}

#[test]
fn a_device_that_makes_no_sense_is_reset() {
    for change in [
        (|manners| manners.wrong_id = Some(1)) as fn(&mut Manners),
        |manners| manners.wrong_id = Some(3),
        |manners| manners.wrong_id = Some(u32::MAX),
        |manners| manners.ahead = 5,
        |manners| manners.ahead = 0xffff,
    ] {
        let mut scene = Scene::new(Manners::default());
        let before = scene.device.0.resets.get();
        scene.device.set(change);
        let id = scene.send(kind::READ, 0, 0, 512);
        scene.driver.turn();
        let ahead_of_nothing = scene.device.0.manners.get().ahead == 0xffff;
        // An index that says that nothing is done yet is patience's to notice.
        if ahead_of_nothing {
            scene.driver.patience_ran_out();
            scene.driver.patience_ran_out();
        }
        let expected = if ahead_of_nothing { code::TIMED_OUT } else { code::IO_ERROR };
        assert_eq!(scene.replies(), [(id, expected)]);
        assert_eq!(scene.device.0.resets.get(), before + 1);
        scene.device.set(|manners| *manners = Manners { device: 2, ..Manners::default() });
        assert_eq!(scene.ask(kind::READ, 7, 0, 512), code::DONE);
        assert_eq!(scene.device.0.region.borrow()[0], 7);
    }
}

#[test]
fn a_device_that_asks_for_a_reset_gets_it() {
    let mut scene = Scene::new(Manners { hangs: true, ..Manners::default() });
    let id = scene.send(kind::READ, 0, 0, 512);
    scene.driver.turn();
    scene.device.set(|manners| manners.needs_reset = true);
    assert_eq!(scene.replies(), [(id, code::IO_ERROR)]);
    scene.device.set(|manners| manners.hangs = false);
    assert_eq!(scene.ask(kind::READ, 7, 0, 512), code::DONE);
}

#[test]
fn a_read_that_wrote_too_little_is_an_error() {
    let mut scene = Scene::new(Manners { short: 400, ..Manners::default() });
    assert_eq!(scene.ask(kind::READ, 0, 0, 512), code::IO_ERROR);
}

#[test]
fn a_device_that_hangs_is_reset_in_time_and_not_before() {
    let mut scene = Scene::new(Manners { hangs: true, ..Manners::default() });
    let early = scene.send(kind::READ, 0, 0, 512);
    scene.driver.turn();
    scene.driver.patience_ran_out();
    assert_eq!(scene.replies(), []);
    let late = scene.send(kind::WRITE, 0, 512, 512);
    scene.driver.turn();
    scene.driver.patience_ran_out();
    assert_eq!(scene.replies(), [(early, code::TIMED_OUT), (late, code::TIMED_OUT)]);
    // A lost interrupt is no reason for a reset.
    let id = scene.send(kind::READ, 1, 0, 512);
    scene.driver.turn();
    scene.driver.patience_ran_out();
    scene.device.work();
    scene.driver.patience_ran_out();
    assert_eq!(scene.replies(), [(id, code::DONE)]);
    assert_eq!(scene.info().info.resets, 1);
}

#[test]
fn a_restarted_driver_quiets_the_device_first() {
    let mut scene = Scene::new(Manners { hangs: true, ..Manners::default() });
    scene.send(kind::READ, 0, 0, 512);
    scene.driver.turn();
    scene.restart();
    assert!(scene.client.poll().unwrap());
    scene.driver.turn();
    scene.device.work();
    assert_eq!(scene.replies(), []);
    scene.device.set(|manners| manners.hangs = false);
    assert_eq!(scene.ask(kind::READ, 3, 0, 512), code::DONE);
}

#[test]
fn a_restarted_client_finds_its_memory_quiet() {
    let mut scene = Scene::new(Manners { hangs: true, ..Manners::default() });
    scene.send(kind::READ, 9, 0, 512);
    scene.driver.turn();
    let before = scene.device.0.resets.get();
    scene.restart_client();
    scene.driver.turn();
    assert_eq!((scene.device.0.resets.get(), scene.driver.under_way()), (before + 1, 0));
    scene.device.work();
    assert_eq!(scene.device.0.region.borrow()[0], 0, "the old request is gone");
    scene.device.set(|manners| manners.hangs = false);
    assert_eq!(scene.ask(kind::READ, 9, 0, 512), code::DONE);
}

proptest! {
    /// Whatever the device does, each request gets one reply, and an honest device is then used again.
    #[test]
    fn each_request_gets_one_reply(
        steps in prop::collection::vec((0u32..5, 0u64..80, 0u32..40, 0u8..10), 1..60),
    ) {
        let mut scene = Scene::new(Manners::default());
        let mut asked = 0;
        let mut answered = 0;
        for (kind, sector, place, manner) in steps {
            scene.device.set(|manners| {
                *manners = Manners { device: 2, ..Manners::default() };
                match manner {
                    0 => manners.hangs = true,
                    1 => manners.fails = true,
                    2 => manners.wrong_id = Some(place),
                    3 => manners.ahead = place as u16,
                    4 => manners.short = place,
                    5 => manners.needs_reset = true,
                    6 => manners.never_resets = true,
                    _ => {}
                }
            });
            scene.send(kind, sector, place * 512, 512);
            asked += 1;
            scene.driver.turn();
            if manner == 7 {
                scene.driver.patience_ran_out();
            }
            answered += scene.replies().len();
        }
        scene.device.set(|manners| *manners = Manners { device: 2, ..Manners::default() });
        scene.driver.patience_ran_out();
        scene.driver.patience_ran_out();
        answered += scene.replies().len();
        prop_assert_eq!(asked, answered);
        scene.info();
        prop_assert_eq!(scene.ask(kind::READ, 1, 0, 512), code::DONE);
    }
}
