//! Random systems, random operations: the invariants hold, budgets hold, and the short ways do what the general one does.

use super::world::*;
use crate::{MessageInfo, label, number, reg};
use kernel_layout::{DomainSlot, IrqInfo, cap_kind, slot};
use proptest::prelude::*;

const PDS: usize = 5;

/// What happens next.
#[derive(Clone, Debug)]
pub enum Op {
    /// The current thread makes a system call, with a destination in t0 and the registers a2 and a3.
    Syscall { number: i64, cptr: u64, info: u64, reply: u64, destination: u64, mr: [u64; 2] },
    /// The current thread's instruction raises an exception.
    Exception(u64),
    /// A device interrupts.
    Interrupt(u32),
    /// Time goes by.
    Pass(u64),
}

/// All PDs call those above them and notify all others; PD 0 is the parent of the others and holds their contexts.
pub fn connected(specs: Vec<PdSpec>) -> Vec<PdSpec> {
    let priorities: Vec<_> = specs.iter().map(|spec| spec.priority).collect();
    let mut specs = specs;
    for (index, spec) in specs.iter_mut().enumerate() {
        for (other, priority) in priorities.iter().enumerate() {
            *spec = spec.clone().notifies(other as u64, other, 1 << index);
            if *priority > priorities[index] {
                *spec = spec.clone().calls(other as u64, other, index as u64);
            }
            if index == 0 && other != 0 {
                *spec =
                    spec.clone().parent_of(other, other as u64).shares(other as u64, cap_kind::SCHED_CONTEXT, other);
            }
        }
        // A place for the handler of an interrupt, in systems that have one.
        *spec = spec.clone().cap(slot::BASE_IRQ, cap(cap_kind::NULL, 0, 0, 0));
        if index != 0 {
            *spec = spec.clone().child_of(0, index as u64);
        }
    }
    specs
}

/// A system to be, short enough to be read when a test fails.
#[derive(Clone, Debug)]
struct System {
    /// Priority, budget and period in microseconds, passive, domain.
    pds: Vec<(u32, (u64, u64), bool, u32)>,
    /// Domain, microseconds.
    domains: Vec<(u64, u64)>,
}

impl System {
    fn tables(&self) -> Tables {
        let specs = self.pds.iter().enumerate().map(|(index, (priority, (budget, period), passive, domain))| {
            let domain = if self.domains.is_empty() { 0 } else { *domain };
            let spec = pd(index, *priority).budget(*budget, *period).domain(domain);
            if *passive { spec.passive(index) } else { spec }
        });
        let mut tables = Tables::new(&connected(specs.collect()));
        for index in 0..PDS {
            let irq = IrqInfo { source: index as u32 + 1, pd: index as u16, trigger: 0, badge: 1 << (20 + index) };
            tables.irqs.push(irq);
        }
        // The handlers can be checked only now that the interrupts exist.
        for (index, pd) in tables.pds.iter().enumerate() {
            let at = pd.caps.first as usize + slot::BASE_IRQ as usize;
            tables.caps[at] = cap(cap_kind::IRQ_HANDLER, index, 0, 0);
        }
        let slots = self.domains.iter().map(|(domain, us)| DomainSlot { domain: *domain, duration_ticks: us * US });
        tables.domains = slots.collect();
        tables
    }
}

fn system() -> impl Strategy<Value = System> {
    let budget = prop_oneof![Just((1000, 1000)), Just((100, 1000)), Just((20, 50)), Just((60, 61))];
    let domains = prop_oneof![
        3 => Just(vec![]),
        1 => Just(vec![(0, 3000), (1, 2000), (0, 0)]),
    ];
    let pds = proptest::collection::vec((0u32..4, budget, any::<bool>(), 0u32..2), PDS);
    (pds, domains).prop_map(|(pds, domains)| System { pds, domains })
}

fn cptr() -> impl Strategy<Value = u64> {
    let pd = 0..PDS as u64;
    prop_oneof![
        6 => Just(slot::INPUT),
        4 => pd.clone().prop_map(|pd| slot::BASE_ENDPOINT + pd),
        4 => pd.clone().prop_map(|pd| slot::BASE_NOTIFICATION + pd),
        3 => pd.clone().prop_map(|pd| slot::BASE_CHILD_TCB + pd),
        1 => pd.prop_map(|pd| pd << slot::ROOT_SHIFT),
        2 => Just(slot::REPLY),
        1 => Just(slot::MONITOR),
        1 => Just(slot::BASE_IRQ),
        1 => 0..520u64,
        1 => any::<u64>(),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let label = prop_oneof![
        4 => Just(0),
        1 => Just(label::TCB_READ_REGISTERS),
        2 => Just(label::TCB_WRITE_REGISTERS),
        2 => Just(label::TCB_SUSPEND),
        2 => Just(label::TCB_RESUME),
        1 => Just(label::IRQ_ACK),
        1 => Just(label::SCHED_CONTEXT_BIND),
        1 => Just(label::SCHED_CONTEXT_UNBIND),
        1 => Just(label::SCHED_CONTEXT_CONSUMED),
        1 => 0..60u64,
    ];
    let info = (label, 0..128u64, prop_oneof![8 => Just(0u64), 1 => 0..32u64])
        .prop_map(|(label, words, caps)| label << 12 | caps << 7 | words);
    let number = prop_oneof![
        4 => Just(number::CALL),
        6 => Just(number::REPLY_RECV),
        3 => Just(number::NB_SEND_RECV),
        4 => Just(number::SEND),
        4 => Just(number::RECV),
        3 => -18i64..1,
    ];
    let reply = prop_oneof![9 => Just(slot::REPLY), 1 => cptr()];
    let syscall = (number, cptr(), info, reply, cptr(), [0..3u64, 0..40u64]).prop_map(
        |(number, cptr, info, reply, destination, mr)| Op::Syscall { number, cptr, info, reply, destination, mr },
    );
    prop_oneof![
        20 => syscall,
        1 => (0..16u64).prop_map(Op::Exception),
        1 => (0..PDS as u32 + 2).prop_map(Op::Interrupt),
        4 => (1..2000u64).prop_map(Op::Pass),
    ]
}

impl World {
    pub fn apply(&mut self, op: &Op) {
        let current = self.current();
        match (op, current) {
            (Op::Syscall { number, cptr, info, reply, destination, mr }, Some(pd)) => {
                let x = &mut self.frame(pd).x;
                x[reg::T0] = *destination;
                x[reg::A2..reg::A2 + 2].copy_from_slice(mr);
                self.machine.buffers[pd][122] = slot::BASE_CHILD_TCB + 1;
                self.syscall(*number, *cptr, MessageInfo(*info), *reply);
            }
            (Op::Exception(cause), Some(_)) => self.exception(*cause, 0x1234),
            (Op::Syscall { .. } | Op::Exception(_), None) => self.pass(500),
            (Op::Interrupt(source), _) => self.interrupt(*source),
            (Op::Pass(ticks), _) => self.pass(*ticks),
        }
    }
}

/// How long each scheduling context paid, and when: (context, from, until).
type Payments = Vec<(usize, u64, u64)>;

/// The most that a context paid in any window of one period that ends with a payment.
fn most_in_a_period(payments: &Payments, context: usize, period: u64) -> u64 {
    let own: Vec<_> = payments.iter().filter(|(payer, ..)| *payer == context).collect();
    own.iter()
        .map(|(_, _, until)| {
            let from = until.saturating_sub(period);
            own.iter().map(|(_, a, b)| b.min(until).saturating_sub(*a.max(&from))).sum()
        })
        .max()
        .unwrap_or(0)
}

impl World {
    /// Like [`World::pass`], noting who pays.
    fn pass_noting(&mut self, ticks: u64, payments: &mut Payments) {
        let end = self.machine.now + ticks;
        while self.machine.now < end {
            let until = self.machine.deadline.clamp(self.machine.now, end);
            if self.kernel.current_sc.is_some() {
                payments.push((self.kernel.current_sc.index(), self.machine.now, until));
            }
            self.pass(until - self.machine.now);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn invariants_hold(system in system(), ops in proptest::collection::vec(op(), 1..200)) {
        let mut world = World::from_tables(&system.tables());
        for op in &ops {
            world.apply(op);
        }
    }

    #[test]
    fn the_short_ways_end_where_the_general_one_does(
        system in system(),
        ops in proptest::collection::vec(op(), 1..200),
    ) {
        let mut short = World::from_tables(&system.tables());
        let mut general = short.clone();
        general.slow_only = true;
        for op in &ops {
            short.apply(op);
            general.apply(op);
            prop_assert_eq!(short.current(), general.current());
            prop_assert_eq!(short.machine.deadline, general.machine.deadline);
            prop_assert_eq!(&short.machine.buffers, &general.machine.buffers);
            prop_assert_eq!(short.kernel.levels, general.kernel.levels);
            for index in 0..PDS {
                prop_assert_eq!(short.kernel.pd(id(index)), general.kernel.pd(id(index)));
            }
        }
    }

    #[test]
    fn no_window_of_a_period_sees_more_than_the_budget(
        system in system(),
        ops in proptest::collection::vec(op(), 1..200),
    ) {
        let mut world = World::from_tables(&system.tables());
        let mut payments = Payments::new();
        for op in &ops {
            match op {
                Op::Pass(ticks) => world.pass_noting(*ticks, &mut payments),
                other => {
                    if world.current().is_none() {
                        world.pass_noting(500, &mut payments);
                    } else {
                        world.apply(other);
                    }
                }
            }
        }
        for (index, info) in system.tables().pds.iter().enumerate() {
            if info.budget_ticks < info.period_ticks {
                let most = most_in_a_period(&payments, index, info.period_ticks);
                prop_assert!(most <= info.budget_ticks, "context {index}: {most} of {}", info.budget_ticks);
            }
        }
    }

    #[test]
    fn no_signal_is_lost(signals in proptest::collection::vec((0..3u64, any::<bool>()), 1..100)) {
        let mut world = World::new(&connected(vec![pd(0, 5), pd(1, 1), pd(2, 3)]));
        let (mut sent, mut received) = (0, 0);
        for (to, receive) in signals {
            let pd = world.current();
            if pd == Some(1) || pd.is_some() && receive {
                world.recv();
            } else if pd.is_some() {
                if to == 1 {
                    sent |= 1 << pd.unwrap();
                }
                world.notify(to);
            }
            if world.current() == Some(1) {
                received |= world.frame(1).x[reg::A0];
                world.frame(1).x[reg::A0] = 0;
            }
        }
        prop_assert_eq!(sent & !received & !world.kernel.pending(id(1)) & !world.frame(1).x[reg::A0], 0);
    }
}
