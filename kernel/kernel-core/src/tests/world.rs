//! A machine of arrays, and systems of a few PDs on it.

use crate::{Environment, Exception, Fault, Frame, Id, Kernel, MessageInfo, Outcome, State, is_short, number, reg};
use kernel_layout::{
    BootInfo, Cap, DomainSlot, IrqInfo, MAGIC, PD_FPU, PD_PASSIVE, PdInfo, Span, Span2, cap_kind, cap_rights, slot,
};
use zerocopy::{FromZeros, IntoBytes};

/// Ticks per microsecond of the tests' timebase.
pub const US: u64 = 10;
pub const READ: u8 = cap_rights::READ;
pub const WRITE: u8 = cap_rights::WRITE;
pub const CALL: u8 = cap_rights::WRITE | cap_rights::GRANT_REPLY;

/// The machine.
#[derive(Clone, Debug)]
pub struct Machine {
    pub now: u64,
    pub deadline: u64,
    pub buffers: Vec<[u64; 128]>,
    pub completed: Vec<u32>,
    pub reports: Vec<(usize, Fault)>,
    pub printed: Vec<u8>,
    /// PD, state, out of time, priority.
    pub listed: Vec<(usize, State, bool, u8)>,
}

impl Environment for Machine {
    const DEBUG: bool = true;

    fn now(&mut self) -> u64 {
        self.now
    }

    fn set_deadline(&mut self, ticks: u64) {
        self.deadline = ticks;
    }

    fn ipc_word(&self, pd: Id, word: usize) -> u64 {
        self.buffers[pd.index()][word]
    }

    fn set_ipc_word(&mut self, pd: Id, word: usize, value: u64) {
        self.buffers[pd.index()][word] = value;
    }

    fn copy_ipc_words(&mut self, from: Id, to: Id, first: usize, count: usize) {
        let words = self.buffers[from.index()];
        self.buffers[to.index()][first..first + count].copy_from_slice(&words[first..first + count]);
    }

    fn complete_irq(&mut self, source: u32) {
        self.completed.push(source);
    }

    fn put_char(&mut self, character: u8) {
        self.printed.push(character);
    }

    fn report_thread(&mut self, pd: Id, state: State, is_out_of_time: bool, priority: u8) {
        self.listed.push((pd.index(), state, is_out_of_time, priority));
    }

    fn report_fault(&mut self, pd: Id, _: &Frame, fault: &Fault) {
        self.reports.push((pd.index(), *fault));
    }
}

/// One PD of a system to be.
#[derive(Clone)]
pub struct PdSpec {
    pub priority: u32,
    pub domain: u32,
    pub budget_us: u64,
    pub period_us: u64,
    pub passive: bool,
    pub caps: Vec<(u64, Cap)>,
    pub shared_caps: Vec<(u64, Cap)>,
}

pub fn cap(kind: u8, object: usize, rights: u8, badge: u64) -> Cap {
    Cap { badge, object: object as u16, kind, rights, reserved: 0 }
}

/// A PD that receives from its endpoint, and whose faults go to the default handler.
pub fn pd(index: usize, priority: u32) -> PdSpec {
    PdSpec {
        priority,
        domain: 0,
        budget_us: 1000,
        period_us: 1000,
        passive: false,
        caps: vec![
            (slot::INPUT, cap(cap_kind::ENDPOINT, index, READ, 0)),
            (slot::FAULT, cap(cap_kind::MONITOR, index, WRITE, 0)),
            (slot::VSPACE, cap(cap_kind::VSPACE, index, 0, 0)),
            (slot::REPLY, cap(cap_kind::REPLY, index, 0, 0)),
        ],
        shared_caps: vec![],
    }
}

impl PdSpec {
    pub fn passive(mut self, index: usize) -> Self {
        self.passive = true;
        self.cap(slot::MONITOR, cap(cap_kind::MONITOR, index, WRITE, 0))
    }

    pub fn budget(mut self, budget_us: u64, period_us: u64) -> Self {
        (self.budget_us, self.period_us) = (budget_us, period_us);
        self
    }

    pub fn domain(mut self, domain: u32) -> Self {
        self.domain = domain;
        self
    }

    pub fn cap(mut self, at: u64, cap: Cap) -> Self {
        self.caps.retain(|(slot, _)| *slot != at);
        self.caps.push((at, cap));
        self
    }

    /// Channel `channel` notifies PD `to`.
    pub fn notifies(self, channel: u64, to: usize, badge: u64) -> Self {
        self.cap(slot::BASE_NOTIFICATION + channel, cap(cap_kind::NOTIFICATION, to, WRITE, badge))
    }

    /// Channel `channel` calls PD `to`.
    pub fn calls(self, channel: u64, to: usize, badge: u64) -> Self {
        self.cap(slot::BASE_ENDPOINT + channel, cap(cap_kind::ENDPOINT, to, CALL, 1 << 63 | badge))
    }

    /// The PD is child `id` of PD `parent`.
    pub fn child_of(self, parent: usize, id: u64) -> Self {
        self.cap(slot::FAULT, cap(cap_kind::ENDPOINT, parent, CALL, 1 << 62 | id))
    }

    /// PD `child` is child `id` of this one.
    pub fn parent_of(self, child: usize, id: u64) -> Self {
        self.cap(slot::BASE_CHILD_TCB + id, cap(cap_kind::THREAD, child, 0, 0))
    }

    pub fn shares(mut self, at: u64, kind: u8, object: usize) -> Self {
        self.shared_caps.push((at, cap(kind, object, 0, 0)));
        self
    }
}

/// The tables of a system, as the composer would write them.
#[derive(Clone)]
pub struct Tables {
    pub info: BootInfo,
    pub pds: Vec<PdInfo>,
    pub caps: Vec<Cap>,
    pub irqs: Vec<IrqInfo>,
    pub domains: Vec<DomainSlot>,
}

impl Tables {
    pub fn new(specs: &[PdSpec]) -> Self {
        let mut caps = Vec::new();
        let mut place = |from: &[(u64, Cap)]| {
            let first = caps.len();
            let count = from.iter().map(|(slot, _)| *slot as usize + 1).max().unwrap_or(0);
            caps.resize(first + count, Cap::default());
            for (slot, cap) in from {
                caps[first + *slot as usize] = *cap;
            }
            Span2 { first: first as u32, count: count as u32 }
        };
        let pds = specs
            .iter()
            .map(|spec| PdInfo {
                name: [b'p'; 64],
                entry: 0x20_0000,
                stack_top: 0x3f_ffff_d000,
                stack_bottom: 0x3f_ffff_b000,
                satp: 0,
                budget_ticks: spec.budget_us * US,
                period_ticks: spec.period_us * US,
                caps: place(&spec.caps),
                shared_caps: place(&spec.shared_caps),
                priority: spec.priority,
                domain: spec.domain,
                flags: PD_FPU | if spec.passive { PD_PASSIVE } else { 0 },
                reserved: 0,
            })
            .collect();
        let info = BootInfo {
            magic: MAGIC,
            timebase_hz: US * 1_000_000,
            plic_sources: 95,
            plic_context: 1,
            ..BootInfo::new_zeroed()
        };
        Self { info, pds, caps, irqs: vec![], domains: vec![] }
    }

    /// The boot blob. It is never freed, as the machine's is not.
    pub fn blob(&self) -> &'static [u8] {
        let mut info = self.info;
        let mut bytes = vec![0; size_of::<BootInfo>()];
        let mut append = |table: &[u8], count: usize| {
            let offset = bytes.len() as u32;
            bytes.extend_from_slice(table);
            Span { offset, count: count as u32 }
        };
        info.pds = append(self.pds.as_bytes(), self.pds.len());
        info.caps = append(self.caps.as_bytes(), self.caps.len());
        info.irqs = append(self.irqs.as_bytes(), self.irqs.len());
        info.domain_schedule = append(self.domains.as_bytes(), self.domains.len());
        info.bytes = bytes.len() as u64;
        bytes[..size_of::<BootInfo>()].copy_from_slice(info.as_bytes());
        leak(&bytes)
    }
}

/// Bytes that lie at a multiple of eight, for ever.
pub fn leak(bytes: &[u8]) -> &'static [u8] {
    let mut words = vec![0u64; bytes.len().div_ceil(8)];
    words.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
    &Vec::leak(words).as_bytes()[..bytes.len()]
}

/// A machine with a kernel on it.
#[derive(Clone)]
pub struct World {
    pub kernel: Box<Kernel<'static>>,
    pub machine: Machine,
    /// System calls take the general way only.
    pub slow_only: bool,
    pub count: usize,
}

pub fn id(pd: usize) -> Id {
    Id::from_index(pd)
}

impl World {
    pub fn new(specs: &[PdSpec]) -> Self {
        Self::from_tables(&Tables::new(specs))
    }

    pub fn from_tables(tables: &Tables) -> Self {
        let mut machine = Machine {
            now: 1000,
            deadline: 0,
            buffers: vec![[0; 128]; tables.pds.len()],
            completed: vec![],
            reports: vec![],
            printed: vec![],
            listed: vec![],
        };
        let mut kernel = Box::new(Kernel::new());
        kernel.boot(&mut machine, tables.blob()).expect("the tables are right");
        let world = Self { kernel, machine, slow_only: false, count: tables.pds.len() };
        world.check();
        world
    }

    /// The PD that runs.
    pub fn current(&self) -> Option<usize> {
        let id = self.kernel.current();
        id.is_some().then(|| id.index())
    }

    pub fn frame(&mut self, pd: usize) -> &mut Frame {
        &mut self.kernel.pd_mut(id(pd)).frame
    }

    pub fn state(&self, pd: usize) -> State {
        self.kernel.pd(id(pd)).thread.state
    }

    /// Badge, label, length and message registers that PD `pd` holds.
    pub fn received(&mut self, pd: usize) -> (u64, u64, u64, [u64; 4]) {
        let x = &self.frame(pd).x;
        let info = MessageInfo(x[reg::A1]);
        (x[reg::A0], info.label(), info.words(), [x[reg::A2], x[13], x[14], x[15]])
    }

    /// The current thread makes a system call, as the machine layer would serve it.
    pub fn syscall(&mut self, number: i64, cptr: u64, info: MessageInfo, reply: u64) {
        let Some(pd) = self.current() else { panic!("nobody runs") };
        let frame = self.frame(pd);
        frame.x[0] = frame.x[0].wrapping_add(4);
        frame.x[reg::A0] = cptr;
        frame.x[reg::A1] = info.0;
        frame.x[reg::A6] = reply;
        frame.x[reg::A7] = number as u64;
        let (kernel, machine) = (&mut self.kernel, &mut self.machine);
        let short = is_short(info.0);
        let outcome = match number {
            _ if self.slow_only => Outcome::NotDone,
            number::CALL if short => kernel.fast_call::<false>(machine, cptr, info.0),
            number::CALL => kernel.fast_call::<true>(machine, cptr, info.0),
            number::REPLY_RECV if short => kernel.fast_reply_receive::<false>(machine, cptr, info.0, reply),
            number::REPLY_RECV => kernel.fast_reply_receive::<true>(machine, cptr, info.0, reply),
            number::SEND => kernel.fast_send(machine, cptr, info.0),
            number::RECV => kernel.fast_receive(machine, cptr),
            _ => Outcome::NotDone,
        };
        let outcome = match outcome {
            Outcome::NotDone if number == number::CALL && !self.slow_only => kernel.fast_restart(cptr, info.0),
            outcome => outcome,
        };
        match outcome {
            Outcome::NotDone => kernel.syscall(machine, number),
            Outcome::SameThread => assert_eq!(kernel.current(), id(pd)),
            Outcome::OtherThread(other) => assert_eq!(kernel.current(), other),
        }
        self.check();
    }

    pub fn call(&mut self, cptr: u64, label: u64, words: u64) {
        self.syscall(number::CALL, cptr, MessageInfo::new(label, words), 0);
    }

    pub fn notify(&mut self, channel: u64) {
        self.syscall(number::SEND, slot::BASE_NOTIFICATION + channel, MessageInfo::new(0, 0), 0);
    }

    pub fn recv(&mut self) {
        self.syscall(number::RECV, slot::INPUT, MessageInfo::new(0, 0), slot::REPLY);
    }

    pub fn reply_recv(&mut self, label: u64, words: u64) {
        self.syscall(number::REPLY_RECV, slot::INPUT, MessageInfo::new(label, words), slot::REPLY);
    }

    /// What a passive PD does once it is initialised.
    pub fn become_passive(&mut self) {
        self.nb_send_recv(slot::MONITOR, 0);
    }

    pub fn nb_send_recv(&mut self, destination: u64, label: u64) {
        if let Some(pd) = self.current() {
            self.frame(pd).x[reg::T0] = destination;
        }
        self.syscall(number::NB_SEND_RECV, slot::INPUT, MessageInfo::new(label, 0), slot::REPLY);
    }

    pub fn exception(&mut self, cause: u64, value: u64) {
        let exception = Exception { cause, value };
        if self.slow_only || self.kernel.fast_exception(&mut self.machine, exception) == Outcome::NotDone {
            self.kernel.exception(&mut self.machine, exception);
        }
        self.check();
    }

    pub fn interrupt(&mut self, source: u32) {
        self.kernel.interrupt(&mut self.machine, source);
        self.check();
    }

    /// Lets the current thread run, or the machine idle, with the timer coming when it was asked for.
    pub fn pass(&mut self, ticks: u64) {
        let end = self.machine.now + ticks;
        while self.machine.deadline <= end {
            self.machine.now = self.machine.deadline.max(self.machine.now);
            self.kernel.timer(&mut self.machine);
            self.check();
            assert!(self.machine.deadline > self.machine.now, "the timer would come for ever");
        }
        self.machine.now = end;
    }
}
