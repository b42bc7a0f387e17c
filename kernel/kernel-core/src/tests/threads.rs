//! What a parent does to its children, and what scheduling contexts on shared capabilities do.

use super::world::*;
use crate::{MessageInfo, State, error, label, number, reg};
use kernel_layout::{cap_kind, slot};

const CHILD: u64 = slot::BASE_CHILD_TCB;
const ROOT: fn(u64) -> u64 = |at| at << slot::ROOT_SHIFT;

/// A parent (0) of a child (1) that also holds the child's scheduling context, at shared slots 1 (context), 2 (its own).
fn family() -> World {
    World::new(&[
        pd(0, 20)
            .parent_of(1, 0)
            .shares(1, cap_kind::SCHED_CONTEXT, 1)
            .shares(2, cap_kind::SCHED_CONTEXT, 0)
            .shares(3, cap_kind::THREAD, 1)
            .shares(4, cap_kind::THREAD, 0),
        pd(1, 10).child_of(0, 0).calls(0, 2, 0),
        pd(2, 15),
    ])
}

fn restart(world: &mut World, registers: &[u64]) {
    let (pd, words) = (world.current().unwrap(), registers.len() as u64 + 2);
    let mut all = vec![1, registers.len() as u64];
    all.extend_from_slice(registers);
    for (word, value) in all.iter().enumerate() {
        if word < 4 {
            world.frame(pd).x[reg::A2 + word] = *value;
        } else {
            world.machine.buffers[pd][word + 1] = *value;
        }
    }
    world.call(CHILD, label::TCB_WRITE_REGISTERS, words);
}

#[test]
fn registers_are_written_in_their_order() {
    let mut world = family();
    let values: Vec<u64> = (0..32).map(|word| 1000 + word).collect();
    restart(&mut world, &values);
    assert_eq!(world.received(0).1, 0);
    let order = [0, 1, 2, 3, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 10, 11, 12, 13, 14, 15, 16, 17, 5, 6, 7];
    for (word, register) in order.iter().chain(&[28, 29, 30, 31, 4]).enumerate() {
        assert_eq!(world.frame(1).x[*register], 1000 + word as u64);
    }
    world.frame(0).x[reg::A2] = 0;
    world.frame(0).x[reg::A2 + 1] = 32;
    world.call(CHILD, label::TCB_READ_REGISTERS, 2);
    assert_eq!(world.received(0), (0, 0, 32, [1000, 1001, 1002, 1003]));
    assert_eq!(world.machine.buffers[0][5..33], values[4..]);
}

#[test]
fn a_restart_with_one_register_keeps_all_others() {
    let mut world = family();
    world.recv();
    world.recv();
    assert_eq!(world.current(), Some(1));
    world.frame(1).x[reg::SP] = 4321;
    world.exception(13, 0x666);
    assert_eq!(world.received(0), (1 << 62, 6, 4, [0x20_0000, 0x666, 0, 5]));
    world.frame(0).x[reg::A2 + 3] = 0;
    world.frame(0).x[reg::A2..reg::A2 + 3].copy_from_slice(&[1, 1, 0x20_0040]);
    world.call(CHILD, label::TCB_WRITE_REGISTERS, 34);
    assert_eq!(world.received(0).1, 0);
    world.recv();
    assert_eq!(world.current(), Some(1));
    assert_eq!((world.frame(1).x[0], world.frame(1).x[reg::SP]), (0x20_0040, 4321));
}

#[test]
fn a_resumed_caller_issues_its_call_again() {
    let mut world = family();
    world.recv();
    world.recv();
    let before = world.frame(1).x[0];
    world.call(slot::BASE_ENDPOINT, 0, 0);
    assert_eq!((world.current(), world.state(1)), (Some(2), State::BlockedOnReply));
    world.frame(2).x[0] = 1;
    world.exception(15, 4);
    assert_eq!(world.machine.reports.len(), 1);
    assert_eq!(world.current(), None);
    // Somebody wakes the parent.
    world.kernel.signal(&mut world.machine, id(0), 1);
    world.kernel.schedule(&mut world.machine);
    world.frame(0).x[reg::A2..reg::A2 + 2].copy_from_slice(&[0, 1]);
    world.call(CHILD, label::TCB_READ_REGISTERS, 2);
    assert_eq!(world.frame(0).x[reg::A2], before);
    world.call(CHILD, label::TCB_SUSPEND, 0);
    assert_eq!((world.state(1), world.frame(1).x[0]), (State::Inactive, before));
    world.call(CHILD, label::TCB_RESUME, 0);
    world.recv();
    assert_eq!(world.current(), Some(1));
    assert_eq!(world.frame(1).x[0], before);
}

#[test]
fn a_stopped_child_does_not_run_until_it_is_resumed() {
    let mut world = family();
    world.call(CHILD, label::TCB_SUSPEND, 0);
    world.recv();
    world.recv();
    assert_eq!(world.current(), None);
    world.kernel.signal(&mut world.machine, id(0), 1);
    world.kernel.schedule(&mut world.machine);
    world.call(ROOT(3), label::TCB_RESUME, 0);
    world.recv();
    assert_eq!(world.current(), Some(1));
}

#[test]
fn bad_invocations_answer_errors() {
    let mut world = family();
    let cases = [
        (CHILD, label::TCB_WRITE_REGISTERS, 1, [0; 4], error::TRUNCATED_MESSAGE),
        (CHILD, label::TCB_WRITE_REGISTERS, 3, [0, 2, 0, 0], error::TRUNCATED_MESSAGE),
        (CHILD, label::TCB_WRITE_REGISTERS, 4, [0, u64::MAX, 0, 0], error::TRUNCATED_MESSAGE),
        (CHILD, label::TCB_READ_REGISTERS, 1, [0; 4], error::TRUNCATED_MESSAGE),
        (CHILD, label::TCB_READ_REGISTERS, 2, [0; 4], error::RANGE_ERROR),
        (CHILD, label::TCB_READ_REGISTERS, 2, [0, 33, 0, 0], error::RANGE_ERROR),
        (ROOT(4), label::TCB_READ_REGISTERS, 2, [0, 1, 0, 0], error::ILLEGAL_OPERATION),
        (ROOT(4), label::TCB_WRITE_REGISTERS, 3, [0, 1, 0, 0], error::ILLEGAL_OPERATION),
        (CHILD, 6, 2, [0; 4], error::ILLEGAL_OPERATION),
        (ROOT(1), label::SCHED_CONTEXT_BIND, 0, [0; 4], error::TRUNCATED_MESSAGE),
        (ROOT(2), label::SCHED_CONTEXT_UNBIND, 0, [0; 4], error::ILLEGAL_OPERATION),
        (slot::VSPACE, 43, 4, [0; 4], error::ILLEGAL_OPERATION),
        (300, 1, 0, [0; 4], error::INVALID_CAPABILITY),
        (ROOT(63), 1, 0, [0; 4], error::INVALID_CAPABILITY),
        (slot::INPUT, 1, 0, [0; 4], error::INVALID_CAPABILITY),
    ];
    for (cptr, label, words, registers, expected) in cases {
        world.frame(0).x[reg::A2..reg::A2 + 4].copy_from_slice(&registers);
        world.call(cptr, label, words);
        assert_eq!(world.received(0).1, expected, "{cptr:#x} {label}");
        assert_eq!(world.current(), Some(0));
        world.syscall(number::NB_SEND, cptr, MessageInfo::new(label, words), 0);
        assert_eq!(world.current(), Some(0));
    }
}

#[test]
fn threads_cannot_be_invoked_while_a_receive_is_to_follow() {
    let mut world = family();
    world.nb_send_recv(CHILD, label::TCB_SUSPEND);
    assert_eq!(world.state(1), State::Running);
}

#[test]
fn contexts_are_unbound_and_bound() {
    let mut world = family();
    world.call(ROOT(1), label::SCHED_CONTEXT_UNBIND, 0);
    assert_eq!(world.received(0).1, 0);
    assert!(world.kernel.pd(id(1)).thread.sc.is_none());
    let bind = MessageInfo(MessageInfo::new(label::SCHED_CONTEXT_BIND, 0).0 | 1 << 7);
    world.machine.buffers[0][122] = CHILD;
    world.syscall(number::CALL, ROOT(1), bind, 0);
    assert_eq!(world.received(0).1, 0);
    assert_eq!(world.kernel.pd(id(1)).thread.sc, id(1));
    world.syscall(number::CALL, ROOT(1), bind, 0);
    assert_eq!(world.received(0).1, error::ILLEGAL_OPERATION);
    world.machine.buffers[0][122] = slot::VSPACE;
    world.syscall(number::CALL, ROOT(1), bind, 0);
    assert_eq!(world.received(0).1, error::INVALID_CAPABILITY);
    world.recv();
    world.recv();
    assert_eq!(world.current(), Some(1));
}

#[test]
fn consumed_time_is_counted_since_the_last_question() {
    let mut world = family();
    world.pass(70 * US);
    world.call(ROOT(2), label::SCHED_CONTEXT_CONSUMED, 0);
    assert_eq!(world.received(0), (0, 0, 1, [70, 0, 0, 0]));
    world.pass(5 * US);
    world.call(ROOT(2), label::SCHED_CONTEXT_CONSUMED, 0);
    assert_eq!(world.received(0).3[0], 5);
    world.call(ROOT(1), label::SCHED_CONTEXT_CONSUMED, 0);
    assert_eq!(world.received(0).3[0], 0);
}

/// PD 0 calls 1, which calls 2, all on the context of 0. A manager (3) takes that away meanwhile and gives 1 and 2 their
/// own: the calls are a chain no longer, and replies end them one by one.
#[test]
fn calls_whose_context_was_taken_are_no_chain() {
    for slow_only in [false, true] {
        let mut manager = pd(3, 40).parent_of(1, 1).parent_of(2, 2);
        for context in 0..3 {
            manager = manager.shares(context as u64 + 1, cap_kind::SCHED_CONTEXT, context);
        }
        let mut world = World::new(&[
            pd(0, 10).calls(0, 1, 0),
            pd(1, 20).child_of(3, 1).calls(0, 2, 0),
            pd(2, 30).child_of(3, 2),
            manager.notifies(0, 3, 1),
        ]);
        world.slow_only = slow_only;
        let give = |world: &mut World, context: u64| {
            world.machine.buffers[3][122] = CHILD + context;
            let bind = MessageInfo(MessageInfo::new(label::SCHED_CONTEXT_BIND, 0).0 | 1 << 7);
            world.syscall(number::CALL, ROOT(context + 1), bind, 0);
            assert_eq!(world.received(3).1, 0);
        };
        for _ in 1..=3 {
            world.recv();
        }
        assert_eq!(world.current(), Some(0));
        let wake_manager = |world: &mut World| {
            world.kernel.signal(&mut world.machine, id(3), 1);
            world.kernel.schedule(&mut world.machine);
            assert_eq!(world.current(), Some(3));
        };
        wake_manager(&mut world);
        for context in [1, 2] {
            world.call(ROOT(context + 1), label::SCHED_CONTEXT_UNBIND, 0);
        }
        world.recv();
        world.call(slot::BASE_ENDPOINT, 0, 0);
        world.call(slot::BASE_ENDPOINT, 0, 0);
        assert_eq!((world.current(), world.kernel.current_sc), (Some(2), id(0)));
        wake_manager(&mut world);
        world.call(ROOT(1), label::SCHED_CONTEXT_UNBIND, 0);
        give(&mut world, 1);
        give(&mut world, 2);
        world.recv();
        assert_eq!(world.current(), Some(2));
        world.reply_recv(0, 0);
        assert_eq!((world.current(), world.kernel.current_sc), (Some(1), id(1)));
        world.reply_recv(0, 0);
        assert_eq!((world.current(), world.state(0)), (None, State::Running));
        assert!((0..4).all(|pd| world.kernel.pd(id(pd)).reply.outer.is_none()));
    }
}

#[test]
fn the_scheduler_is_listed_in_the_debug_configuration() {
    let mut world = family();
    world.call(ROOT(1), label::SCHED_CONTEXT_UNBIND, 0);
    world.syscall(number::DEBUG_DUMP_SCHEDULER, 0, MessageInfo(0), 0);
    let expected = [(0, State::Running, false, 20), (1, State::Running, true, 10), (2, State::Running, false, 15)];
    assert_eq!(world.machine.listed, expected);
}
