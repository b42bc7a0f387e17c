//! Calls, replies, signals, and who runs then.

use super::world::*;
use crate::{MessageInfo, State, error, number, reg};
use kernel_layout::{cap_kind, slot};

/// A client (0), a server above it (1), and a PD below both (2); the client notifies the others.
fn trio(passive: bool) -> World {
    let server = if passive { pd(1, 20).passive(1) } else { pd(1, 20) };
    let mut world =
        World::new(&[pd(0, 10).calls(7, 1, 5).notifies(0, 1, 1).notifies(1, 2, 2), server, pd(2, 5).notifies(0, 0, 4)]);
    if passive {
        world.become_passive();
    } else {
        world.recv();
    }
    world
}

#[test]
fn a_call_reaches_the_server_and_its_reply_the_client() {
    for (slow_only, passive) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut world = trio(passive);
        world.slow_only = slow_only;
        for words in [0, 1, 2, 3, 4, 5, 8, 120, 127] {
            let carried = words.min(120);
            assert_eq!(world.current(), Some(0));
            for word in 0..4 {
                world.frame(0).x[reg::A2 + word] = 100 + word as u64;
                world.frame(1).x[reg::A2 + word] = 0;
            }
            for word in 5..128 {
                world.machine.buffers[0][word] = word as u64;
                world.machine.buffers[1][word] = 0;
            }
            world.call(slot::BASE_ENDPOINT + 7, 9, words);
            assert_eq!(world.current(), Some(1));
            let registers = core::array::from_fn(|word| if (word as u64) < carried { 100 + word as u64 } else { 0 });
            assert_eq!(world.received(1), (1 << 63 | 5, 9, carried, registers));
            for word in 5..128 {
                let expected = if (word as u64) <= carried { word as u64 } else { 0 };
                assert_eq!(world.machine.buffers[1][word], expected, "word {word} of {words}");
            }
            world.frame(1).x[reg::A2] = 55;
            world.reply_recv(3, 1);
            assert_eq!(world.current(), Some(0));
            assert_eq!(world.received(0), (0, 3, 1, [55, 101, 102, 103]));
            assert_eq!(world.state(1), State::BlockedOnReceive);
        }
    }
}

#[test]
fn a_passive_server_runs_on_its_clients_time() {
    let mut world = trio(true);
    let server = |world: &World| world.kernel.pd(id(1)).thread.sc;
    assert!(server(&world).is_none());
    world.call(slot::BASE_ENDPOINT + 7, 0, 0);
    assert_eq!(server(&world), id(0));
    world.pass(30 * US);
    world.reply_recv(0, 0);
    assert!(server(&world).is_none());
    assert_eq!(world.kernel.pd(id(0)).thread.sc, id(0));
}

#[test]
fn a_passive_server_that_is_notified_runs_on_the_context_it_gave_up() {
    let mut world = trio(true);
    world.notify(0);
    assert_eq!(world.current(), Some(1));
    assert_eq!(world.frame(1).x[reg::A0], 1);
    assert_eq!(world.kernel.pd(id(1)).thread.sc, id(1));
    world.recv();
    assert_eq!(world.current(), Some(0));
    assert!(world.kernel.pd(id(1)).thread.sc.is_none());
}

#[test]
fn signals_gather_until_they_are_received() {
    let mut world = World::new(&[pd(0, 10).notifies(0, 1, 1).notifies(1, 1, 4), pd(1, 5)]);
    world.notify(0);
    world.notify(1);
    world.notify(1);
    assert_eq!(world.kernel.pending(id(1)), 5);
    world.recv();
    assert_eq!(world.current(), Some(1));
    world.frame(1).x[reg::A1] = 77;
    world.recv();
    assert_eq!(world.frame(1).x[reg::A0], 5);
    assert_eq!(world.kernel.pending(id(1)), 0);
    world.recv();
    assert_eq!(world.current(), None);
}

#[test]
fn a_signal_to_a_higher_priority_switches_at_once_and_to_a_lower_one_does_not() {
    let mut world = trio(false);
    world.notify(0);
    assert_eq!(world.current(), Some(1));
    assert_eq!(world.frame(1).x[reg::A0], 1);
    world.recv();
    assert_eq!(world.current(), Some(0));
    world.notify(1);
    assert_eq!(world.current(), Some(0));
    world.recv();
    assert_eq!(world.current(), Some(2));
}

#[test]
fn a_signal_to_an_equal_priority_does_not_switch() {
    let mut world = World::new(&[pd(0, 10).notifies(0, 1, 1), pd(1, 10).notifies(0, 0, 1)]);
    world.recv();
    assert_eq!(world.current(), Some(1));
    world.notify(0);
    assert_eq!(world.current(), Some(1));
    world.recv();
    assert_eq!(world.current(), Some(0));
}

#[test]
fn callers_are_served_in_the_order_of_their_priority() {
    let mut world = World::new(&[
        pd(0, 50).notifies(0, 1, 1).notifies(1, 2, 1).notifies(2, 3, 1),
        pd(1, 10).calls(0, 4, 1),
        pd(2, 12).calls(0, 4, 2),
        pd(3, 12).calls(0, 4, 3),
        pd(4, 1).notifies(0, 0, 1),
    ]);
    world.recv();
    for _ in [2, 3, 1] {
        world.call(slot::BASE_ENDPOINT, 0, 0);
    }
    assert_eq!(world.current(), Some(4));
    let mut order = vec![];
    world.recv();
    for _ in 0..3 {
        order.push(world.frame(4).x[reg::A0] & 7);
        world.syscall(number::NB_SEND, slot::REPLY, MessageInfo::new(0, 0), 0);
        while world.current() != Some(4) {
            world.recv();
        }
        if order.len() < 3 {
            world.recv();
        }
    }
    assert_eq!(order, [2, 3, 1]);
}

#[test]
fn a_deferred_signal_is_sent_with_the_next_receive() {
    let mut world = trio(false);
    world.notify(0);
    assert_eq!(world.current(), Some(1));
    world.recv();
    world.nb_send_recv(slot::BASE_NOTIFICATION + 1, 0);
    assert_eq!(world.state(0), State::BlockedOnReceive);
    assert_eq!(world.current(), Some(2));
    world.recv();
    assert_eq!(world.frame(2).x[reg::A0], 2);
}

#[test]
fn a_reply_object_answers_once() {
    let mut world = trio(false);
    world.call(slot::BASE_ENDPOINT + 7, 0, 0);
    world.syscall(number::NB_SEND, slot::REPLY, MessageInfo::new(1, 0), 0);
    assert_eq!(world.state(0), State::Running);
    world.frame(0).x[reg::A1] = 99;
    world.syscall(number::NB_SEND, slot::REPLY, MessageInfo::new(2, 0), 0);
    assert_eq!(world.frame(0).x[reg::A1], 99);
}

#[test]
fn receiving_again_without_a_reply_gives_the_caller_up() {
    let mut world = trio(false);
    world.call(slot::BASE_ENDPOINT + 7, 0, 0);
    world.recv();
    assert_eq!(world.state(0), State::Inactive);
    assert_eq!(world.current(), Some(2));
}

#[test]
fn nothing_happens_to_a_polling_receiver() {
    let mut world = trio(false);
    world.frame(0).x[reg::A1] = 5;
    world.syscall(number::NB_RECV, slot::INPUT, MessageInfo::new(0, 5), slot::REPLY);
    assert_eq!(world.current(), Some(0));
    assert_eq!(world.frame(0).x[reg::A0], 0);
    world.syscall(number::NB_WAIT, slot::INPUT, MessageInfo::new(0, 0), 0);
    assert_eq!(world.frame(0).x[reg::A0], 0);
}

#[test]
fn sends_without_receiver_wait_or_are_dropped() {
    let mut world = World::new(&[pd(0, 10).calls(0, 1, 5), pd(1, 5)]);
    world.syscall(number::NB_SEND, slot::BASE_ENDPOINT, MessageInfo::new(8, 0), 0);
    assert_eq!(world.current(), Some(0));
    world.frame(0).x[reg::A2] = 42;
    world.syscall(number::SEND, slot::BASE_ENDPOINT, MessageInfo::new(9, 1), 0);
    assert_eq!(world.state(0), State::BlockedOnSend);
    world.recv();
    assert_eq!(world.received(1), (1 << 63 | 5, 9, 1, [42, 0, 0, 0]));
    assert_eq!(world.current(), Some(0));
}

#[test]
fn a_chain_of_calls_lends_one_context_and_brings_it_back() {
    let mut world = World::new(&[pd(0, 1).calls(0, 1, 0), pd(1, 2).passive(1).calls(0, 2, 0), pd(2, 3).passive(2)]);
    world.become_passive();
    world.become_passive();
    for _ in 0..3 {
        world.call(slot::BASE_ENDPOINT, 0, 0);
        world.call(slot::BASE_ENDPOINT, 0, 0);
        assert_eq!(world.current(), Some(2));
        assert_eq!(world.kernel.pd(id(2)).thread.sc, id(0));
        world.reply_recv(0, 0);
        assert_eq!(world.current(), Some(1));
        world.reply_recv(0, 0);
        assert_eq!(world.current(), Some(0));
        assert_eq!(world.kernel.pd(id(0)).thread.sc, id(0));
    }
}

#[test]
fn interrupts_wake_their_pd_and_wait_for_its_acknowledgement() {
    let mut tables = Tables::new(&[pd(0, 10).cap(slot::BASE_IRQ + 3, cap(cap_kind::IRQ_HANDLER, 0, 0, 0)), pd(1, 5)]);
    tables.irqs.push(kernel_layout::IrqInfo { source: 10, pd: 0, trigger: 0, badge: 8 });
    let mut world = World::from_tables(&tables);
    world.call(slot::BASE_IRQ + 3, 27, 0);
    assert_eq!(world.machine.completed, [10]);
    world.recv();
    assert_eq!(world.current(), Some(1));
    world.interrupt(10);
    assert_eq!(world.current(), Some(0));
    assert_eq!(world.frame(0).x[reg::A0], 8);
    assert_eq!(world.machine.completed, [10]);
    world.nb_send_recv(slot::BASE_IRQ + 3, 27);
    assert_eq!(world.machine.completed, [10, 10]);
    world.recv();
    assert_eq!(world.current(), None);
    world.interrupt(10);
    assert_eq!(world.current(), Some(0));
    world.interrupt(99);
    assert_eq!(world.machine.completed, [10, 10, 99]);
    world.call(slot::BASE_IRQ + 3, 28, 0);
    assert_eq!(world.received(0).1, error::ILLEGAL_OPERATION);
}
