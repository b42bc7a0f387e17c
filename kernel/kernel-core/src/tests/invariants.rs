//! What must hold whenever the kernel is left.

use super::world::{World, cap, id, pd};
use crate::kernel::Action;
use crate::objects::{Queue, Queued};
use crate::{Id, Kernel, State};
use kernel_layout::cap_kind;

impl World {
    /// Panics unless all invariants hold.
    pub fn check(&self) {
        if let Err(broken) = self.invariants() {
            panic!("invariant broken: {broken}");
        }
    }

    pub fn invariants(&self) -> Result<(), String> {
        let kernel = &*self.kernel;
        let ensure = |holds: bool, what: &str, id: Id| -> Result<(), String> {
            if holds { Ok(()) } else { Err(format!("{what}, {id:?}")) }
        };
        let mut places = vec![Vec::new(); 64];
        for (level, queue) in kernel.levels.iter().enumerate() {
            for id in members(kernel, *queue)? {
                places[id.slot()].push(Place::Level(level));
            }
            let bit = kernel.ready >> level & 1 != 0;
            ensure(bit == queue.head.is_some(), "a level's bit says whether its queue has threads", queue.head)?;
        }
        let mut earlier = 0;
        for id in members(kernel, kernel.release)? {
            places[id.slot()].push(Place::Release);
            let time = context(kernel, id).ready_time();
            ensure(earlier <= time, "threads without budget are in the order of their release", id)?;
            earlier = time;
        }
        for endpoint in 0..self.count {
            let mut states = Vec::new();
            let mut priority = u8::MAX;
            for waiting in members(kernel, kernel.pd(id(endpoint)).endpoint)? {
                let thread = &kernel.pd(waiting).thread;
                places[waiting.slot()].push(Place::Endpoint(thread.endpoint));
                ensure(thread.endpoint == id(endpoint), "a waiting thread names its endpoint", waiting)?;
                ensure(thread.priority <= priority, "more important threads wait in front", waiting)?;
                priority = thread.priority;
                states.push(thread.state);
            }
            ensure(
                states.windows(2).all(|two| two[0] == two[1]),
                "an endpoint's queue has one direction",
                id(endpoint),
            )?;
        }
        for index in 0..self.count {
            let id = id(index);
            self.check_thread(id, &places[id.slot()]).map_err(|what| format!("{what}, {id:?}"))?;
            self.check_objects(id).map_err(|what| format!("{what}, {id:?}"))?;
        }
        self.check_scheduler()?;
        let nobody = &kernel.pds[0];
        ensure(nobody.thread.state == State::Inactive && nobody.thread.sc.is_none(), "nobody does nothing", Id::NONE)
    }

    fn check_thread(&self, id: Id, places: &[Place]) -> Result<(), &'static str> {
        let kernel = &*self.kernel;
        let thread = &kernel.pd(id).thread;
        let expected = match (thread.queued, thread.state) {
            (Queued::Ready, State::Running) => vec![Place::Level(usize::from(thread.level))],
            (Queued::Release, State::Running) => vec![Place::Release],
            (Queued::No, State::BlockedOnSend | State::BlockedOnReceive) => vec![Place::Endpoint(thread.endpoint)],
            (Queued::No, _) => vec![],
            _ => return Err("only a running thread is in a queue of the scheduler"),
        };
        ensure(places == expected, "a thread is in exactly the queue that its state says")?;
        if thread.queued != Queued::No {
            ensure(thread.sc.is_some(), "a thread in a queue of the scheduler has a scheduling context")?;
        }
        if thread.state == State::Running && thread.sc.is_some() && thread.queued == Queued::No {
            ensure(kernel.current == id, "a thread that can run is current or queued")?;
        }
        if thread.queued == Queued::No && places.is_empty() {
            ensure(thread.next.is_none() && thread.prev.is_none(), "a thread in no queue has no neighbours")?;
        }
        let waits_with_reply = matches!(thread.state, State::BlockedOnReply | State::BlockedOnReceive);
        ensure(thread.reply.is_none() || waits_with_reply, "only who waits holds a reply object")?;
        ensure(thread.state != State::BlockedOnReply || thread.reply.is_some(), "a caller waits with a reply object")?;
        if thread.reply.is_some() {
            ensure(kernel.pd(thread.reply).reply.thread == id, "a reply object knows who waits with it")?;
        }
        let waits_for_bits = matches!(thread.state, State::BlockedOnReceive | State::BlockedOnNotification);
        ensure(!waits_for_bits || kernel.pending(id) == 0, "nobody waits while bits are pending")
    }

    fn check_objects(&self, id: Id) -> Result<(), &'static str> {
        let kernel = &*self.kernel;
        let pd = kernel.pd(id);
        let thread = &pd.thread;
        if thread.sc.is_some() {
            ensure(kernel.pd(thread.sc).sched_context.thread == id, "a context runs at most one thread")?;
        }
        let context = &pd.sched_context;
        if context.thread.is_some() {
            ensure(kernel.pd(context.thread).thread.sc == id, "a context's thread knows it")?;
        }
        if context.notification.is_some() {
            ensure(kernel.pd(context.notification).notification.sc == id, "a context's notification knows it")?;
        }
        if pd.notification.sc.is_some() {
            ensure(
                kernel.pd(pd.notification.sc).sched_context.notification == id,
                "a notification's context knows it",
            )?;
        }
        if pd.reply.thread.is_some() {
            ensure(kernel.pd(pd.reply.thread).thread.reply == id, "who waits knows its reply object")?;
        } else {
            let unused = pd.reply.sc.is_none() && pd.reply.outer.is_none() && pd.reply.inner.is_none();
            ensure(unused, "a reply object that nobody waits with is in no chain of calls")?;
        }
        if pd.reply.sc.is_none() && pd.reply.inner.is_none() {
            ensure(pd.reply.outer.is_none(), "a chain of calls ends with the one that lent the context last")?;
        }
        if pd.reply.outer.is_some() {
            ensure(kernel.pd(pd.reply.outer).reply.inner == id, "an outer call knows the inner one")?;
        }
        if pd.reply.inner.is_some() {
            ensure(kernel.pd(pd.reply.inner).reply.outer == id, "an inner call knows the outer one")?;
        }
        let mut reply = context.reply;
        if reply.is_some() {
            ensure(kernel.pd(reply).reply.sc == id, "the innermost call knows the context that it lent")?;
        }
        for _ in 0..=self.count {
            if reply.is_none() {
                break;
            }
            let outer = kernel.pd(reply).reply.outer;
            if outer.is_some() {
                ensure(kernel.pd(outer).reply.inner == reply, "calls that lent a context form a chain")?;
                ensure(kernel.pd(outer).reply.sc.is_none(), "only the innermost call gives the context back")?;
            }
            reply = outer;
        }
        ensure(reply.is_none(), "a chain of calls ends")?;
        let total: u64 = context.refills[..usize::from(context.refill_count)].iter().map(|refill| refill.amount).sum();
        if context.is_round_robin() {
            ensure(total <= context.budget && total >= kernel.min_budget, "a time slice is part of the budget")
        } else {
            ensure(total == context.budget, "refills add up to the budget")?;
            let [first, second] = context.refills;
            let ordered = context.refill_count == 1 || first.time + first.amount <= second.time;
            ensure(ordered, "refills follow one another")?;
            ensure(first.amount >= kernel.min_budget, "the first refill is worth using")
        }
    }

    fn check_scheduler(&self) -> Result<(), String> {
        let kernel = &*self.kernel;
        let ensure = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_string()) };
        ensure(kernel.action == Action::Resume && !kernel.deadline_stale, "the scheduler has nothing left to do")?;
        let ready = kernel.ready & kernel.domain_levels;
        if kernel.current.is_none() {
            ensure(ready == 0, "the machine idles only when no thread of the domain is ready")?;
            ensure(kernel.current_sc.is_none(), "nobody pays for idling")?;
        } else {
            let thread = &kernel.pd(kernel.current).thread;
            ensure(thread.state == State::Running && thread.queued == Queued::No, "the current thread runs")?;
            ensure(thread.sc.is_some() && thread.sc == kernel.current_sc, "the current thread's context pays")?;
            ensure(thread.level_bit & kernel.domain_levels != 0, "the current thread's domain has its turn")?;
            ensure(ready & (thread.level_bit - 1) == 0, "nobody more important than the current thread is ready")?;
        }
        ensure(self.machine.deadline == kernel.deadline(), "the timer is set to the deadline")?;
        let release = kernel.release.head;
        let first = if release.is_some() { context(kernel, release).ready_time() } else { u64::MAX };
        ensure(kernel.next_event == first.min(kernel.domain_end), "the next event is the first of those to come")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Level(usize),
    Release,
    Endpoint(Id),
}

fn ensure(holds: bool, what: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(what) }
}

fn context<'a>(kernel: &'a Kernel<'static>, thread: Id) -> &'a crate::objects::SchedContext {
    &kernel.pd(kernel.pd(thread).thread.sc).sched_context
}

fn members(kernel: &Kernel<'static>, queue: Queue) -> Result<Vec<Id>, String> {
    let mut found = Vec::new();
    let (mut at, mut prev) = (queue.head, Id::NONE);
    while at.is_some() {
        if kernel.pd(at).thread.prev != prev || found.len() > 63 {
            return Err(format!("a queue's links agree in both directions, {at:?}"));
        }
        found.push(at);
        prev = at;
        at = kernel.pd(at).thread.next;
    }
    if queue.tail == prev { Ok(found) } else { Err("a queue ends with its last thread".to_string()) }
}

#[test]
fn the_checker_catches_what_is_broken() {
    let two = || {
        let mut world = World::new(&[pd(0, 1).calls(0, 1, 0), pd(1, 2).cap(5, cap(cap_kind::NOTIFICATION, 0, 2, 1))]);
        world.recv();
        world
    };
    type Break = fn(&mut Kernel<'static>);
    let breaks: [Break; 8] = [
        |kernel| kernel.pds[2].thread.state = State::Running,
        |kernel| kernel.pds[2].endpoint = Queue::EMPTY,
        |kernel| kernel.pds[1].thread.sc = id(1),
        |kernel| kernel.pds[2].reply.thread = Id::NONE,
        |kernel| kernel.pds[2].notification.pending = 1,
        |kernel| kernel.ready = 1,
        |kernel| kernel.next_event = 5,
        |kernel| kernel.pds[1].sched_context.refills[0].amount = 0,
    ];
    for (index, break_it) in breaks.iter().enumerate() {
        let mut world = two();
        assert_eq!(world.invariants(), Ok(()));
        break_it(&mut world.kernel);
        assert!(world.invariants().is_err(), "number {index} went unnoticed");
    }
}
