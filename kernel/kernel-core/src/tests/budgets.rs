//! Time: slices, budgets, periods, domains.

use super::world::*;
use crate::{MessageInfo, State, number};
use kernel_layout::{DomainSlot, slot};

#[test]
fn threads_of_one_priority_take_turns() {
    let mut world = World::new(&[pd(0, 10), pd(1, 10), pd(2, 10), pd(3, 5)]);
    let mut order = vec![];
    for _ in 0..6 {
        order.push(world.current().unwrap());
        world.pass(1000 * US);
    }
    assert_eq!(order, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn who_yields_goes_behind_its_equals() {
    let mut world = World::new(&[pd(0, 10), pd(1, 10)]);
    world.syscall(number::YIELD, 0, MessageInfo(0), 0);
    assert_eq!(world.current(), Some(1));
    world.syscall(number::YIELD, 0, MessageInfo(0), 0);
    assert_eq!(world.current(), Some(0));
}

#[test]
fn a_preempted_thread_goes_on_with_the_rest_of_its_slice() {
    let mut world = World::new(&[pd(0, 10), pd(1, 10), pd(2, 20).notifies(0, 0, 1)]);
    world.recv();
    world.pass(600 * US);
    world.kernel.signal(&mut world.machine, id(2), 1);
    world.kernel.schedule(&mut world.machine);
    assert_eq!(world.current(), Some(2));
    world.pass(100 * US);
    world.recv();
    assert_eq!(world.current(), Some(0));
    world.pass(399 * US);
    assert_eq!(world.current(), Some(0));
    world.pass(US);
    assert_eq!(world.current(), Some(1));
}

#[test]
fn a_budget_holds_in_every_period() {
    let mut world = World::new(&[pd(0, 10).budget(200, 1000), pd(1, 5)]);
    for _ in 0..10 {
        assert_eq!(world.current(), Some(0));
        world.pass(199 * US);
        assert_eq!(world.current(), Some(0));
        world.pass(US);
        assert_eq!(world.current(), Some(1));
        world.pass(799 * US);
        assert_eq!(world.current(), Some(1));
        world.pass(US);
    }
}

#[test]
fn who_yields_a_budget_waits_for_the_next_period() {
    let mut world = World::new(&[pd(0, 10).budget(200, 1000), pd(1, 5)]);
    world.pass(50 * US);
    world.syscall(number::YIELD, 0, MessageInfo(0), 0);
    assert_eq!(world.current(), Some(1));
    world.pass(949 * US);
    assert_eq!(world.current(), Some(1));
    world.pass(US);
    assert_eq!(world.current(), Some(0));
}

#[test]
fn an_overrun_is_paid_back() {
    let mut world = World::new(&[pd(0, 10).budget(200, 1000), pd(1, 5)]);
    // The machine was stopped for long, or the timer came late.
    world.machine.now += 450 * US;
    world.kernel.timer(&mut world.machine);
    world.check();
    assert_eq!(world.current(), Some(1));
    world.pass(1549 * US);
    assert_eq!(world.current(), Some(1));
    world.machine.now += 3_600_000_000 * US;
    world.kernel.timer(&mut world.machine);
    world.check();
    assert_eq!(world.current(), Some(0));
    world.machine.now += 3_600_000_000 * US;
    world.kernel.timer(&mut world.machine);
    world.check();
    assert_eq!(world.current(), Some(1));
}

#[test]
fn a_client_without_budget_waits_inside_its_passive_server() {
    let mut world = World::new(&[pd(0, 10).budget(100, 1000).calls(0, 1, 0), pd(1, 20).passive(1), pd(2, 1)]);
    world.become_passive();
    world.pass(40 * US);
    world.call(slot::BASE_ENDPOINT, 0, 0);
    assert_eq!(world.current(), Some(1));
    world.pass(60 * US);
    assert_eq!(world.current(), Some(2));
    world.pass(900 * US);
    assert_eq!(world.current(), Some(1));
    world.reply_recv(0, 0);
    assert_eq!(world.current(), Some(0));
    world.pass(100 * US);
    assert_eq!(world.current(), Some(2));
}

#[test]
fn who_is_woken_without_budget_waits_for_it() {
    let mut world = World::new(&[pd(0, 10).budget(100, 1000), pd(1, 5).notifies(0, 0, 1)]);
    world.machine.now += 99 * US;
    world.recv();
    assert_eq!((world.current(), world.state(0)), (Some(1), State::BlockedOnReceive));
    world.notify(0);
    assert_eq!((world.current(), world.state(0)), (Some(1), State::Running));
    // The microsecond that was left is too little; it comes one earlier with the next refill.
    world.pass(899 * US);
    assert_eq!(world.current(), Some(1));
    world.pass(US);
    assert_eq!(world.current(), Some(0));
}

#[test]
fn domains_take_turns_as_the_schedule_says() {
    let mut tables = Tables::new(&[pd(0, 10), pd(1, 10).domain(1), pd(2, 200).domain(1)]);
    let us = |domain, us: u64| DomainSlot { domain, duration_ticks: us * US };
    tables.domains = vec![us(0, 50), us(0, 0), us(0, 2000), us(1, 3000), us(2, 500), us(0, 0)];
    tables.info.domain_start = 2;
    let mut world = World::from_tables(&tables);
    for _ in 0..3 {
        assert_eq!(world.current(), Some(0));
        world.pass(1999 * US);
        assert_eq!(world.current(), Some(0));
        world.pass(US);
        assert_eq!(world.current(), Some(2));
        world.pass(3000 * US);
        assert_eq!(world.current(), None);
        world.pass(500 * US);
    }
}

#[test]
fn a_signal_into_another_domain_waits_for_its_turn() {
    let mut tables = Tables::new(&[pd(0, 10).notifies(0, 1, 1), pd(1, 20).domain(1)]);
    let us = |domain, us: u64| DomainSlot { domain, duration_ticks: us * US };
    tables.domains = vec![us(1, 100), us(0, 100)];
    let mut world = World::from_tables(&tables);
    assert_eq!(world.current(), Some(1));
    world.recv();
    assert_eq!(world.current(), None);
    world.pass(100 * US);
    assert_eq!(world.current(), Some(0));
    world.notify(0);
    assert_eq!(world.current(), Some(0));
    world.pass(100 * US);
    assert_eq!(world.current(), Some(1));
}

#[test]
fn late_timers_cost_no_budget() {
    for late in [0, 1, 7, 50, 150] {
        let mut world = World::new(&[pd(0, 10).budget(2000, 10_000), pd(1, 5)]);
        let start = world.machine.now;
        let (mut used, mut turns) = (0, 0);
        while world.machine.now < start + 1_000_000 * US {
            let (from, payer) = (world.machine.now, world.current());
            // It is late by more or less.
            world.machine.now = world.machine.deadline + late - turns % 3 * late / 4;
            if payer == Some(0) {
                used += world.machine.now - from;
                turns += 1;
            }
            world.kernel.timer(&mut world.machine);
            world.check();
        }
        let expected = 200_000 * US;
        assert!((expected * 98 / 100..=expected * 101 / 100).contains(&used), "{late} late: {used} of {expected}");
        assert!((99..=101).contains(&turns), "{late} late: {turns} turns");
    }
}
