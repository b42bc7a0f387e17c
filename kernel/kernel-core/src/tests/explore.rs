//! Small systems, explored to the end: from the start, every order of every operation that a thread can try, until no
//! new state appears. The invariants are checked in each.

use super::random::connected;
use super::world::*;
use crate::{MessageInfo, State, label, number, reg};
use kernel_layout::slot;
use std::collections::HashSet;

/// What the current thread may try: a system call, and the destination of its first phase.
type Step = (i64, u64, u64, u64);

fn steps(pds: u64, control: bool) -> Vec<Step> {
    let mut steps = vec![
        (number::RECV, slot::INPUT, 0, 0),
        (number::REPLY_RECV, slot::INPUT, 0, 0),
        (number::NB_SEND_RECV, slot::INPUT, 0, slot::MONITOR),
        (0, 0, 0, 0),
    ];
    for pd in 0..pds {
        steps.push((number::CALL, slot::BASE_ENDPOINT + pd, 0, 0));
        steps.push((number::SEND, slot::BASE_NOTIFICATION + pd, 0, 0));
    }
    if !control {
        return steps;
    }
    steps.extend([
        (number::NB_RECV, slot::INPUT, 0, 0),
        (number::WAIT, slot::INPUT, 0, 0),
        (number::NB_SEND, slot::REPLY, 0, 0),
        (number::YIELD, 0, 0, 0),
    ]);
    for pd in 0..pds {
        steps.push((number::SEND, slot::BASE_ENDPOINT + pd, 0, 0));
        steps.push((number::NB_SEND, slot::BASE_ENDPOINT + pd, 0, 0));
        steps.push((number::NB_SEND_RECV, slot::INPUT, 0, slot::BASE_NOTIFICATION + pd));
        steps.push((number::CALL, slot::BASE_CHILD_TCB + pd, label::TCB_SUSPEND, 0));
        steps.push((number::CALL, slot::BASE_CHILD_TCB + pd, label::TCB_RESUME, 0));
        steps.push((number::CALL, pd << slot::ROOT_SHIFT, label::SCHED_CONTEXT_UNBIND, 0));
        steps.push((number::CALL, pd << slot::ROOT_SHIFT, label::SCHED_CONTEXT_BIND, 0));
    }
    steps
}

/// All of the state that decides what can happen, without registers and times.
fn key(world: &World) -> Vec<u8> {
    let kernel = &world.kernel;
    let mut key = vec![kernel.current.slot() as u8];
    for index in 0..world.count {
        let pd = kernel.pd(id(index));
        let (thread, context, reply) = (&pd.thread, &pd.sched_context, &pd.reply);
        let ids = [
            thread.sc,
            thread.next,
            thread.prev,
            thread.reply,
            context.thread,
            context.notification,
            context.reply,
            pd.notification.sc,
            reply.thread,
            reply.inner,
            reply.outer,
            reply.sc,
            pd.endpoint.head,
            kernel.levels[index].head,
        ];
        key.extend(ids.map(|id| id.slot() as u8));
        let is_waiting = matches!(thread.state, State::BlockedOnSend | State::BlockedOnReceive);
        key.extend([
            thread.state as u8,
            thread.queued as u8,
            if is_waiting { thread.endpoint.slot() as u8 } else { 0 },
            u8::from(thread.is_call && thread.state == State::BlockedOnSend),
            thread.fault.kind as u8,
            u8::from(pd.notification.pending != 0),
        ]);
    }
    key
}

fn apply(world: &mut World, (number, cptr, label, destination): Step) {
    if number == 0 {
        world.exception(13, 8);
        return;
    }
    let Some(pd) = world.current() else { return };
    let mut info = MessageInfo::new(label, 0);
    if label == label::SCHED_CONTEXT_BIND {
        // The context goes to the thread of the same child.
        world.machine.buffers[pd][122] = slot::BASE_CHILD_TCB + (cptr >> slot::ROOT_SHIFT);
        info.0 |= 1 << 7;
    }
    world.frame(pd).x[reg::T0] = destination;
    world.syscall(number, cptr, info, slot::REPLY);
}

/// Explores a system to the end; returns how many states it has. Without `control` threads do what Microkit's library
/// does; with it they try all that there is, and the first one stops and resumes the others, and takes and gives back
/// their scheduling contexts.
fn explore(specs: Vec<PdSpec>, control: bool) -> usize {
    let steps = steps(specs.len() as u64, control);
    let start = World::new(&connected(specs));
    let mut seen = HashSet::from([key(&start)]);
    let mut open = vec![start];
    while let Some(world) = open.pop() {
        let mut visit = |next: World| {
            if seen.insert(key(&next)) {
                open.push(next);
            }
        };
        if world.current().is_some() {
            for step in &steps {
                let mut next = world.clone();
                apply(&mut next, *step);
                visit(next);
            }
        }
        // A device interrupts on behalf of each PD, and a time slice ends.
        for index in 0..world.count {
            let mut next = world.clone();
            next.kernel.signal(&mut next.machine, id(index), 1);
            next.kernel.schedule(&mut next.machine);
            next.check();
            visit(next);
        }
        let mut next = world;
        next.pass(2000 * US);
        visit(next);
    }
    eprintln!("{} states", seen.len());
    seen.len()
}

#[test]
fn two_active_threads() {
    assert!(explore(vec![pd(0, 2), pd(1, 1)], true) > 100);
}

#[test]
fn a_client_and_a_passive_server() {
    assert!(explore(vec![pd(0, 1), pd(1, 2).passive(1)], true) > 100);
}

#[test]
fn a_parent_a_client_and_a_passive_server() {
    assert!(explore(vec![pd(0, 3), pd(1, 1), pd(2, 2).passive(2)], true) > 1000);
}

#[test]
fn a_client_with_a_budget_another_client_and_a_passive_server() {
    let specs = vec![pd(0, 1).budget(100, 1000), pd(1, 1), pd(2, 2).passive(2)];
    assert!(explore(specs, false) > 1000);
}

#[test]
fn two_clients_and_a_chain_of_servers() {
    let specs = vec![pd(0, 1), pd(1, 1), pd(2, 2).passive(2), pd(3, 3)];
    assert!(explore(specs, false) > 1000);
}
