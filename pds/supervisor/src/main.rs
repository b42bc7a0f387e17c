//! The supervisor's wiring.
//!
//! | symbol | |
//! |---|---|
//! | `system_table`, `system_table_size` | what the system is composed of, read-only |
//! | `supervisor_stats` | region to publish in, writable, at least 4 KiB |
//! | link `console` | what it has to say |
//! | link `shell` | requests |
//!
//! Its children are the protection domains it encloses in the system description; `<cap_sc slot="ID + 1">` shares the
//! scheduling context of child ID, of which it reads the CPU time.
#![no_std]
#![no_main]

use core::sync::atomic::AtomicU64;
use protocols::console::{self, FromClient, FromConsole, Level, Lines};
use protocols::supervisor::{self as protocol, Answer, REGION_WORDS, Request, op, result};
use protocols::system_table::SystemTable;
use ring::Link;
use sel4_microkit::caps::SchedContext;
use sel4_microkit::{
    ChannelSet, Child, ENTRY, Handler, Infallible, MessageInfo, counters, memory_region_symbol, protection_domain, var,
};
use static_cell::ConstStaticCell;
use supervisor::supervisor::{Children, Supervisor};

static SUPERVISOR: ConstStaticCell<Supervisor<'static>> = ConstStaticCell::new(Supervisor::new());
static LINES: ConstStaticCell<Lines> = ConstStaticCell::new(Lines::new());

struct Domain {
    supervisor: &'static mut Supervisor<'static>,
    lines: &'static mut Lines,
    console: Option<Link<FromClient, FromConsole>>,
    shell: Option<Link<Answer, Request>>,
    /// Child id of the console.
    console_child: Option<usize>,
    /// The console restarts: what it is sent before it has come back, it would never see.
    console_away: bool,
}

#[protection_domain]
fn init() -> Domain {
    let table_start = memory_region_symbol!(system_table: *mut u8);
    let table_bytes = *var!(system_table_size: usize = 0);
    // SAFETY: the composer maps a region of this size there for as long as the program runs, and nobody writes it.
    let table = unsafe { core::slice::from_raw_parts(table_start.as_ptr(), table_bytes) };
    let table = SystemTable::parse(table).unwrap_or_else(|error| panic!("{error}"));
    let stats = memory_region_symbol!(supervisor_stats: *mut [AtomicU64; REGION_WORDS]);
    // SAFETY: the composer maps the region there for as long as the program runs; others at most read it.
    let stats = unsafe { stats.as_ref() };
    let name = sel4_microkit::pd_name().unwrap_or("");
    let own = table.pd_by_name(name).unwrap_or_else(|| panic!("{name} is not in the system table"));
    let supervisor = SUPERVISOR.take();
    supervisor.start(table, own, stats);
    let console = ring::link!(console: FromClient, FromConsole, console::PROTOCOL, console::VERSION);
    let console = console.unwrap_or_else(|error| panic!("link console: {error}"));
    let shell = ring::link!(shell: Answer, Request, protocol::PROTOCOL, protocol::VERSION);
    let shell = shell.unwrap_or_else(|error| panic!("link shell: {error}"));
    let console_pd = console.as_ref().and_then(|link| table.peer(own, link.notifier().channel() as u16));
    let console_child = console_pd.map(|pd| usize::from(table.pds[pd].child_id));
    Domain { supervisor, lines: LINES.take(), console, shell, console_child, console_away: false }
}

struct Kernel;

impl Children for Kernel {
    // The supervisor acts only on ids of the system table. Should the kernel refuse all the same, the child's state on
    // the console stays wrong until the next request, and nothing else follows from it.
    fn restart(&mut self, id: usize) {
        let _ = Child::new(id).restart(ENTRY);
    }

    fn stop(&mut self, id: usize) {
        let _ = Child::new(id).stop();
    }

    fn renew(&mut self, id: usize) {
        let _ = Child::new(id).stop();
        let _ = Child::new(id).resume();
    }

    fn stack_pointer(&mut self, id: usize) -> Option<u64> {
        Child::new(id).read_registers(false).ok().map(|registers| registers.sp)
    }

    fn consumed_us(&mut self, id: usize) -> Option<u64> {
        SchedContext::from_slot(id as u64 + 1).consumed_us().ok()
    }
}

impl Domain {
    /// Says what there is to say, as far as the console takes it. The rest is said when it has made room.
    fn report(&mut self) {
        let Some(console) = &mut self.console else { return };
        if !self.console_away {
            self.lines.tell_drops(console);
            while self.lines.has_room(console) {
                let Some(report) = self.supervisor.next_report() else { break };
                self.lines.print(console, Level::Error, format_args!("{report}"));
            }
        }
    }

    /// Serves what waits in the ring. That is bounded: the shell cannot run, and add to it, before this is done.
    fn serve(&mut self) {
        let Some(shell) = &mut self.shell else { return };
        // A shell that misbehaves is ignored until it restarts; there is nobody to tell.
        let _ = shell.poll();
        self.supervisor.begin_turn();
        while let Ok(true) = shell.reserve(1)
            && let Ok(Some(request)) = shell.pop()
        {
            let answer = self.supervisor.request(&request, &mut Kernel);
            let starts = matches!(request.op, op::RESTART | op::START) && answer.result == result::OK;
            self.console_away |= starts && Some(request.child as usize) == self.console_child;
            // There is room. A shell that has just restarted itself has no use for the answer.
            let _ = shell.push(&answer);
        }
    }
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        if let Some(console) = &mut self.console
            && console.poll() != Ok(false)
        {
            self.console_away = false;
        }
        self.serve();
        self.report();
        Ok(())
    }

    fn fault(&mut self, child: Child, message: MessageInfo) -> Result<Option<MessageInfo>, Infallible> {
        let fault = message.fault();
        self.supervisor.fault(child.index(), fault, counters::rdtime(), &mut Kernel);
        self.console_away |= self.console_child == Some(child.index());
        self.report();
        Ok(None)
    }
}
