//! Against a model that knows nothing of alarms: a list of deadlines.

use proptest::prelude::*;
use protocols::timer::{MIN_PERIOD_NS, TIMERS};

use super::device::World;
use crate::driver::MIN_ALARM_GAP_NS;

#[derive(Clone, Debug)]
enum Step {
    At(usize, usize, i64),
    After(usize, usize, u64),
    Every(usize, usize, u64),
    Cancel(usize, usize),
    Take(usize),
    Pass(u64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let (client, id) = (0..3usize, 0..TIMERS + 1);
    prop_oneof![
        (client.clone(), id.clone(), -1_000_000..3_000_000i64).prop_map(|(c, i, t)| Step::At(c, i, t)),
        (client.clone(), id.clone(), 0..3_000_000u64).prop_map(|(c, i, t)| Step::After(c, i, t)),
        (client.clone(), id.clone(), MIN_PERIOD_NS - 1..3_000_000).prop_map(|(c, i, t)| Step::Every(c, i, t)),
        (client.clone(), id).prop_map(|(c, i)| Step::Cancel(c, i)),
        client.prop_map(Step::Take),
        (0..2_000_000u64).prop_map(Step::Pass),
        Just(Step::Restart),
    ]
}

/// A timer of the model: its next deadline, its period (0: once), and expiries to take.
#[derive(Clone, Copy, Default)]
struct Model {
    deadline: Option<u64>,
    period: u64,
    count: u64,
}

impl Model {
    fn settle(&mut self, now: u64) {
        while let Some(deadline) = self.deadline.filter(|deadline| *deadline <= now) {
            self.count += 1;
            self.deadline = (self.period != 0).then_some(deadline + self.period);
        }
    }
}

proptest! {
    #[test]
    fn every_expiry_is_told_once_and_in_time(steps in prop::collection::vec(step(), 1..80)) {
        let world = World::new();
        let mut clients: Vec<_> = (0..3).map(|index| world.caller(20 + index)).collect();
        let mut model = vec![[Model::default(); TIMERS]; 3];
        for step in steps {
            let now = world.device.0.now_ns.get();
            match step {
                Step::At(client, id, ahead) => {
                    let deadline = now.saturating_add_signed(ahead);
                    prop_assert_eq!(clients[client].set_at(id, deadline).is_ok(), id < TIMERS);
                    if id < TIMERS {
                        model[client][id] = Model { deadline: Some(deadline), ..Model::default() };
                    }
                }
                Step::After(client, id, delay) => {
                    prop_assert_eq!(clients[client].set_after(id, delay).is_ok(), id < TIMERS);
                    if id < TIMERS {
                        model[client][id] = Model { deadline: Some(now + delay), ..Model::default() };
                    }
                }
                Step::Every(client, id, period) => {
                    let good = id < TIMERS && period >= MIN_PERIOD_NS;
                    prop_assert_eq!(clients[client].set_every(id, period).is_ok(), good);
                    if good {
                        model[client][id] = Model { deadline: Some(now + period), period, count: 0 };
                    }
                }
                Step::Cancel(client, id) => {
                    let was = model[client].get_mut(id).map(|timer| {
                        timer.settle(now);
                        let was = timer.deadline.is_some() || timer.count != 0;
                        *timer = Model::default();
                        was
                    });
                    prop_assert_eq!(clients[client].cancel(id).ok(), was);
                }
                Step::Take(client) => {
                    // The device's alarm keeps a distance; then all that was due is there.
                    world.pass(MIN_ALARM_GAP_NS);
                    let now = world.device.0.now_ns.get();
                    let expired = clients[client].take_expired().unwrap();
                    for (id, timer) in model[client].iter_mut().enumerate() {
                        timer.settle(now);
                        prop_assert_eq!(expired.count(id), core::mem::take(&mut timer.count), "timer {}", id);
                    }
                }
                Step::Pass(ns) => world.pass(ns),
                Step::Restart => world.restart(),
            }
            world.run();
        }
    }
}
