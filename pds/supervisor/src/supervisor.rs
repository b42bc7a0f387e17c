//! What the supervisor knows of its children, and what it does with them.

use crate::fault::{Fault, Told};
use crate::policy::RecentRestarts;
use core::fmt;
use core::sync::atomic::AtomicU64;
use heapless::Deque;
use protocols::supervisor::{Answer, ChildStats, MAX_CHILDREN, Request, State, op, result, write};
use protocols::system_table::{SystemTable, text};

/// Reports that wait for the console; more are counted and left out.
const MAX_REPORTS: usize = 16;

/// The children's threads and scheduling contexts. A child id that does not exist is harmless.
pub trait Children {
    /// Starts the child at its entry, whatever it was doing.
    fn restart(&mut self, id: usize);
    /// Stops the child.
    fn stop(&mut self, id: usize);
    /// Stops the child and lets it go on at once: a system call in which it is blocked begins anew.
    fn renew(&mut self, id: usize);
    /// The stack pointer of a child that has faulted, or none if it cannot be read.
    fn stack_pointer(&mut self, id: usize) -> Option<u64>;
    /// Microseconds of CPU time since the last time this was asked, or none if that cannot be read.
    fn consumed_us(&mut self, id: usize) -> Option<u64>;
}

/// Something to be said on the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report<'a> {
    /// A child faulted; whether it was restarted.
    Faulted {
        /// The child's name.
        name: &'a str,
        /// The fault.
        fault: Told,
        /// It runs again.
        restarted: bool,
    },
    /// This many reports found no room.
    Lost(u64),
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Faulted { name, fault, restarted: true } => write!(f, "{name} faulted: {fault}; restarted"),
            Report::Faulted { name, fault, restarted: false } => {
                write!(f, "{name} faulted: {fault}; too often, it stays stopped (start {name})")
            }
            Report::Lost(count) => write!(f, "{count} more faults than could be reported; see ps"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Child<'a> {
    name: &'a str,
    /// Index in the system table.
    pd: usize,
    priority: u16,
    stack_bytes: u64,
    stats: ChildStats,
    recent: RecentRestarts,
}

/// The supervisor's whole state.
pub struct Supervisor<'a> {
    /// What the system is composed of, and the region to publish in.
    wiring: Option<(SystemTable<'a>, &'a [AtomicU64])>,
    children: [Option<Child<'a>>; MAX_CHILDREN],
    reports: Deque<Report<'a>, MAX_REPORTS>,
    lost_reports: u64,
    /// The CPU times were read in this turn.
    refreshed: bool,
}

impl<'a> Supervisor<'a> {
    /// A supervisor without children. All zeros, so that it takes no room in the program.
    pub const fn new() -> Self {
        Self { wiring: None, children: [None; MAX_CHILDREN], reports: Deque::new(), lost_reports: 0, refreshed: false }
    }

    /// Takes its children, those whose parent is PD `own`, from the table, and publishes them in `region`.
    pub fn start(&mut self, table: SystemTable<'a>, own: usize, region: &'a [AtomicU64]) {
        self.wiring = Some((table, region));
        for (pd, entry) in table.pds.iter().enumerate() {
            if usize::from(entry.parent) == own
                && let Some(child) = self.children.get_mut(usize::from(entry.child_id))
            {
                let stats = ChildStats { state: State::Running as u64, ..ChildStats::default() };
                let (name, priority) = (text(&entry.name), entry.priority);
                let stack_bytes = entry.stack_bytes;
                *child = Some(Child { name, pd, priority, stack_bytes, stats, recent: RecentRestarts::NONE });
            }
        }
        (0..MAX_CHILDREN).for_each(|id| self.publish(id));
    }

    /// Child `id` faulted: restarts it, or leaves it stopped if it faults too often.
    pub fn fault(&mut self, id: usize, fault: Fault, now_ticks: u64, children: &mut impl Children) {
        let ticks_per_second = self.wiring.map_or(0, |(table, _)| table.header.timebase_hz);
        let Some(child) = self.children.get_mut(id).and_then(Option::as_mut) else { return };
        let fault = Told { fault, stack_pointer: children.stack_pointer(id), stack_bytes: child.stack_bytes };
        child.stats.faults += 1;
        child.stats.fault_pc = fault.pc();
        child.stats.fault_address = fault.address();
        child.stats.fault_ticks = now_ticks;
        let restarted = child.recent.allow(now_ticks, ticks_per_second);
        let name = child.name;
        if restarted {
            self.restart(id, children);
        } else {
            // It waits for a reply to its fault message that never comes; stopped, it does not even wait.
            children.stop(id);
            self.set_state(id, State::GivenUp);
        }
        self.report(Report::Faulted { name, fault, restarted });
    }

    /// A turn begins: the CPU times are read at most once in each, however often someone asks.
    pub fn begin_turn(&mut self) {
        self.refreshed = false;
    }

    /// Does what the shell asks for.
    pub fn request(&mut self, request: &Request, children: &mut impl Children) -> Answer {
        let outcome = match request.op {
            op::REFRESH => {
                if !core::mem::replace(&mut self.refreshed, true) {
                    self.refresh(children);
                }
                result::OK
            }
            op::RESTART | op::STOP | op::START => self.control(request, children),
            _ => result::UNKNOWN,
        };
        Answer { result: outcome, child: request.child, token: request.token }
    }

    fn control(&mut self, request: &Request, children: &mut impl Children) -> u32 {
        let id = request.child as usize;
        let Some(child) = self.children.get_mut(id).and_then(Option::as_mut) else { return result::NO_SUCH_CHILD };
        let running = child.stats.state == State::Running as u64;
        match request.op {
            op::STOP if child.stats.state == State::Stopped as u64 => return result::ALREADY,
            op::START if running => return result::ALREADY,
            op::STOP => {
                children.stop(id);
                self.set_state(id, State::Stopped);
            }
            _ => {
                // Someone decided this: what happened before no longer counts.
                child.recent = RecentRestarts::NONE;
                self.restart(id, children);
            }
        }
        result::OK
    }

    fn restart(&mut self, id: usize, children: &mut impl Children) {
        if let Some(child) = &mut self.children[id] {
            child.stats.restarts += 1;
        }
        children.restart(id);
        self.set_state(id, State::Running);
        self.release_callers(id, children);
    }

    /// A caller whose protected call child `server` had received waits for a reply that the restarted server does not
    /// know of. Only running children of lower priority with a channel to it can be such callers; those who are not lose
    /// nothing, because a renewed wait is the same wait.
    fn release_callers(&mut self, server: usize, children: &mut impl Children) {
        let Some(server) = self.children[server] else { return };
        for (id, caller) in self.children.iter().enumerate() {
            let Some(caller) = caller else { continue };
            let runs = caller.stats.state == State::Running as u64;
            if runs && caller.priority < server.priority && self.connected(caller.pd, server.pd) {
                children.renew(id);
            }
        }
    }

    fn connected(&self, one: usize, two: usize) -> bool {
        self.wiring.is_some_and(|(table, _)| table.connected(one, two))
    }

    fn refresh(&mut self, children: &mut impl Children) {
        for id in 0..MAX_CHILDREN {
            if let Some(child) = &mut self.children[id] {
                child.stats.cpu_us = match children.consumed_us(id) {
                    Some(new) if child.stats.cpu_us != u64::MAX => child.stats.cpu_us.saturating_add(new),
                    _ => u64::MAX,
                };
                self.publish(id);
            }
        }
    }

    fn set_state(&mut self, id: usize, state: State) {
        if let Some(child) = &mut self.children[id] {
            child.stats.state = state as u64;
        }
        self.publish(id);
    }

    fn publish(&self, id: usize) {
        let stats = self.children[id].map(|child| child.stats).unwrap_or_default();
        if let Some((_, region)) = self.wiring {
            // A region that is too small publishes nothing, and the shell shows dashes.
            write(region, id, &stats);
        }
    }

    fn report(&mut self, report: Report<'a>) {
        if self.reports.push_back(report).is_err() {
            self.lost_reports += 1;
        }
    }

    /// The oldest report that was not said yet.
    pub fn next_report(&mut self) -> Option<Report<'a>> {
        let lost = &mut self.lost_reports;
        self.reports.pop_front().or_else(|| (*lost > 0).then(|| Report::Lost(core::mem::take(lost))))
    }
}

impl Default for Supervisor<'_> {
    fn default() -> Self {
        Self::new()
    }
}
