//! Faults, their messages, and replies to them.

use super::world::*;
use crate::{FaultKind, MessageInfo, State, number, reg};
use kernel_layout::{cap_kind, slot};

/// A parent (0) that waits, and its child (1) that runs.
fn family() -> World {
    let mut world = World::new(&[pd(0, 20), pd(1, 10).child_of(0, 3).calls(0, 0, 0).notifies(0, 0, 1)]);
    world.recv();
    world
}

#[test]
fn exceptions_make_messages() {
    let cases = [
        (12, 0x77, (6, [0x77, 1, 1])),
        (1, 0x77, (6, [0x77, 1, 1])),
        (13, 0x78, (6, [0x78, 0, 5])),
        (5, 0x78, (6, [0x78, 0, 5])),
        (15, 0x79, (6, [0x79, 0, 7])),
        (7, 0x79, (6, [0x79, 0, 7])),
        (2, 0, (3, [0x3f_ffff_d000, 2, 0])),
        (3, 9, (3, [0x3f_ffff_d000, 3, 0])),
    ];
    for (cause, value, (label, words)) in cases {
        let mut world = family();
        world.exception(cause, value);
        assert_eq!(world.current(), Some(0));
        assert_eq!(world.received(0), (1 << 62 | 3, label, 4, [0x20_0000, words[0], words[1], words[2]]));
        assert_eq!(world.state(1), State::BlockedOnReply);
    }
}

#[test]
fn a_reply_to_a_page_fault_tries_again() {
    let mut world = family();
    world.exception(13, 8);
    world.reply_recv(5, 0);
    assert_eq!(world.current(), Some(1));
    assert_eq!(world.frame(1).x[0], 0x20_0000);
}

#[test]
fn an_unknown_system_call_shows_its_registers_and_takes_others() {
    let mut world = family();
    for (word, register) in (10..17).enumerate() {
        world.frame(1).x[register] = 10 + word as u64;
    }
    world.frame(1).x[reg::RA] = 5;
    world.syscall(-40, 10, MessageInfo(11), 16);
    assert_eq!(world.current(), Some(0));
    assert_eq!(world.received(0), (1 << 62 | 3, 2, 11, [0x20_0000, 0x3f_ffff_d000, 5, 10]));
    assert_eq!(world.machine.buffers[0][5..12], [11, 12, 13, 14, 15, 16, -40i64 as u64]);
    world.frame(0).x[reg::A2..reg::A2 + 3].copy_from_slice(&[0x20_0004, 7, 8]);
    world.reply_recv(0, 3);
    assert_eq!(world.current(), Some(1));
    let x = world.frame(1).x;
    assert_eq!((x[0], x[reg::SP], x[reg::RA], x[reg::A0]), (0x20_0004, 7, 8, 10));
}

#[test]
fn a_reply_with_a_label_leaves_the_child_stopped() {
    let mut world = family();
    world.exception(2, 0);
    world.reply_recv(1, 0);
    assert_eq!((world.current(), world.state(1)), (None, State::Inactive));
}

#[test]
fn a_parent_that_receives_again_leaves_the_child_stopped() {
    let mut world = family();
    world.exception(2, 0);
    world.recv();
    assert_eq!((world.current(), world.state(1)), (None, State::Inactive));
}

#[test]
fn missing_capabilities_are_faults_when_one_receives() {
    let missing = [
        (number::RECV, slot::BASE_ENDPOINT, slot::REPLY, slot::BASE_ENDPOINT),
        (number::RECV, slot::BASE_NOTIFICATION, slot::REPLY, slot::BASE_NOTIFICATION),
        (number::RECV, slot::FAULT, slot::REPLY, slot::FAULT),
        (number::RECV, 400, slot::REPLY, 400),
        (number::RECV, slot::INPUT, 0, 0),
        (number::RECV, slot::INPUT, slot::INPUT, slot::INPUT),
        (number::NB_RECV, 400, slot::REPLY, 400),
        (number::WAIT, slot::REPLY, 0, slot::REPLY),
        (number::NB_WAIT, 3 << 58, 0, 3 << 58),
        (number::REPLY_RECV, 400, slot::REPLY, 400),
        (number::REPLY_RECV, slot::INPUT, 400, 400),
        (number::NB_SEND_WAIT, 400, 400, 400),
    ];
    for (number, cptr, reply, named) in missing {
        let mut world = family();
        world.syscall(number, cptr, MessageInfo(0), reply);
        assert_eq!(world.current(), Some(0), "{number} {cptr}");
        assert_eq!(world.received(0), (1 << 62 | 3, 1, 5, [0x20_0000, named, 1, 2]));
        assert_eq!(world.machine.buffers[0][5], 0);
    }
}

#[test]
fn pointers_that_lead_nowhere_are_faults_of_blocking_calls() {
    for (number, receiving) in [(number::CALL, 0), (number::SEND, 0), (number::RECV, 1)] {
        let mut world = family();
        world.syscall(number, 0x1234, MessageInfo(0), slot::REPLY);
        assert_eq!(world.received(0), (1 << 62 | 3, 1, 7, [0x20_0000, 0x1234, receiving, 4]));
        assert_eq!(world.machine.buffers[0][5..8], [58, 0, 49]);
    }
    let mut world = family();
    world.syscall(number::NB_SEND, 0x1234, MessageInfo(0), 0);
    assert_eq!(world.current(), Some(1));
}

#[test]
fn extra_capabilities_that_lead_nowhere_are_faults_too() {
    let mut world = family();
    world.machine.buffers[1][122] = 0x5678;
    world.syscall(number::CALL, slot::BASE_ENDPOINT, MessageInfo(1 << 7), 0);
    assert_eq!(world.received(0).3, [0x20_0000, 0x5678, 0, 4]);
    let mut world = family();
    world.syscall(number::CALL, slot::BASE_ENDPOINT, MessageInfo(9 << 12 | 5 << 9 | 3 << 7), 0);
    assert_eq!(world.frame(0).x[reg::A1], 9 << 12);
}

#[test]
fn the_default_handler_reports_and_never_answers() {
    let mut world = World::new(&[pd(0, 20), pd(1, 10)]);
    world.exception(15, 0x1000);
    assert_eq!(world.machine.reports[0].0, 0);
    assert_eq!(world.machine.reports[0].1.kind, FaultKind::Vm);
    assert_eq!((world.current(), world.state(0)), (Some(1), State::Inactive));
    world.syscall(number::CALL, slot::FAULT, MessageInfo::new(4, 0), 0);
    assert_eq!((world.current(), world.state(1)), (None, State::Inactive));
}

#[test]
fn a_passive_server_that_faults_takes_its_callers_time_along() {
    let mut world =
        World::new(&[pd(0, 30).parent_of(1, 0), pd(1, 20).passive(1).child_of(0, 0), pd(2, 10).calls(0, 1, 0)]);
    world.recv();
    world.become_passive();
    world.call(slot::BASE_ENDPOINT, 0, 0);
    world.exception(2, 0);
    assert_eq!(world.current(), Some(0));
    assert_eq!(world.kernel.pd(id(1)).thread.sc, id(2));
    assert_eq!(world.state(2), State::BlockedOnReply);
}

#[test]
fn debug_calls_do_what_is_harmless() {
    let mut world = family();
    world.syscall(number::DEBUG_PUT_CHAR, u64::from(b'x'), MessageInfo(0), 0);
    assert_eq!(world.machine.printed, b"x");
    world.syscall(number::DEBUG_CAP_IDENTIFY, slot::BASE_NOTIFICATION, MessageInfo(0), 0);
    assert_eq!(world.frame(1).x[reg::A0], 6);
    world.syscall(number::DEBUG_NAME_THREAD, 1, MessageInfo(0), 0);
    assert_eq!(world.current(), Some(1));
    world.syscall(number::DEBUG_HALT, 1, MessageInfo(0), 0);
    assert_eq!(world.current(), Some(0));
    assert_eq!(world.kernel.pd(id(1)).thread.caps.map(|caps| caps[2].kind), Some(cap_kind::ENDPOINT));
}
