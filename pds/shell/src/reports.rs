//! Tables that commands print, a row at a time, so that a long one waits for room between rows.

use crate::commands::{COMMANDS, Spec, Usage};
use crate::scripts::Scripts;
use crate::units::{Bytes, Micros};
use crate::world::World;
use core::fmt::{self, Display};
use protocols::console::{ClientStatus, Level, MAX_CLIENTS, TERMINAL_OWNER};
use protocols::model_pack::ModelPack;
use protocols::supervisor::{ChildStats, State};
use protocols::system_table::{ANYWHERE, Header, NO_PARENT, PD_PASSIVE, PdEntry, RegionEntry, SystemTable, text};

/// What is being printed.
#[derive(Clone, Copy, Debug)]
pub enum Report {
    /// All commands, or one.
    Help(Option<&'static Spec>),
    /// All protection domains, or the one with this index.
    Processes(Option<usize>),
    /// Memory.
    Memory,
    /// The console's clients, or the one in this slot.
    Log(Option<u32>),
}

/// What reports are made from.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// What the system is composed of.
    pub table: SystemTable<'a>,
    /// The scripts.
    pub scripts: Scripts<'a>,
    /// The models and their inputs, if there are any.
    pub models: Option<ModelPack<'a>>,
    /// Index of the shell itself in the table, or [`NO_PD`].
    pub own: usize,
    /// Index of the console in the table, or [`NO_PD`].
    pub console: usize,
}

/// Index of no protection domain. Not an `Option`, whose tag would be where an `Option<Facts>` tells that it is none, with
/// a value that is not 0: see [`Shell::new`](crate::shell::Shell::new).
pub const NO_PD: usize = usize::MAX;

impl Facts<'_> {
    /// Whether the terminal, and with it the shell, would be cut off without this protection domain: the shell, the
    /// console, and what is above the console and connected with it, which is its serial driver.
    pub fn carries_terminal(&self, pd: usize) -> bool {
        let (own, console) = (self.own, self.console);
        let priority = |pd: usize| self.table.pds.get(pd).map(|entry| entry.priority);
        pd == own || pd == console || (priority(pd) > priority(console) && self.table.connected(pd, console))
    }

    /// A system of nothing.
    pub const NONE: Self = Facts {
        table: SystemTable {
            header: &Header { magic: 0, timebase_hz: 0, pds: 0, channels: 0, regions: 0, reserved: 0, board: [0; 32] },
            pds: &[],
            channels: &[],
            regions: &[],
        },
        scripts: Scripts::NONE,
        models: None,
        own: NO_PD,
        console: NO_PD,
    };
}

/// A client of the console, as it tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Its slot.
    pub slot: u32,
    /// Up to what urgency its lines are printed.
    pub level: Level,
    /// What was counted.
    pub status: ClientStatus,
}

/// The console's clients.
pub type Clients = heapless::Vec<Client, MAX_CLIENTS>;

impl Report {
    /// Prints row `row`. False if there is no such row.
    pub fn print(&self, row: usize, facts: &Facts<'_>, clients: &Clients, world: &mut impl World) -> bool {
        match self {
            Report::Help(None) => help(row, facts, world),
            Report::Help(Some(spec)) => help_one(row, spec, world),
            Report::Processes(None) => processes(row, &facts.table, world),
            Report::Processes(Some(pd)) => process(row, *pd, &facts.table, world),
            Report::Memory => memory(row, &facts.table, world),
            Report::Log(only) => log(row, *only, clients, &facts.table, world),
        }
    }
}

fn help(row: usize, facts: &Facts<'_>, world: &mut impl World) -> bool {
    if let Some(spec) = COMMANDS.get(row) {
        let mut usage: heapless::String<40> = heapless::String::new();
        let _ = fmt::write(&mut usage, format_args!("{}", Usage(spec)));
        world.print(format_args!("{usage:<24}{}", spec.summary));
        return true;
    }
    match row - COMMANDS.len() {
        0 => world
            .print(format_args!("Commands may be joined by ;  Tab completes, arrows edit and recall, ^C gives up.")),
        1 => match facts.scripts.names().next() {
            Some(first) => world.print(format_args!("Scripts: {}", Names(first, facts.scripts))),
            None => return false,
        },
        _ => return false,
    }
    true
}

struct Names<'a>(&'a str, Scripts<'a>);

impl Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)?;
        self.1.names().skip(1).try_for_each(|name| write!(f, " {name}"))
    }
}

fn help_one(row: usize, spec: &Spec, world: &mut impl World) -> bool {
    match row {
        0 => world.print(format_args!("usage: {}", Usage(spec))),
        1 => world.print(format_args!("{}", spec.summary)),
        _ => return false,
    }
    true
}

/// The supervisor's child that this protection domain is, as far as the supervisor publishes it.
fn stats_of(pd: &PdEntry, table: &SystemTable<'_>, world: &mut impl World) -> Option<ChildStats> {
    let parent = table.pds.get(usize::from(pd.parent))?;
    if parent.parent != NO_PARENT {
        return None;
    }
    world.stats(usize::from(pd.child_id)).filter(|stats| State::from_raw(stats.state) != State::Absent)
}

struct OrDash<T>(Option<T>);

impl<T: Display> Display for OrDash<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.pad("-"),
        }
    }
}

fn cpu_time(stats: &ChildStats) -> Option<Micros> {
    (stats.cpu_us != u64::MAX).then_some(Micros(stats.cpu_us))
}

fn processes(row: usize, table: &SystemTable<'_>, world: &mut impl World) -> bool {
    if row == 0 {
        world.print(format_args!(
            "{:<16} {:<8} {:>4} {:>8} {:>8} {:>10} {:>7} {:>9}",
            "NAME", "STATE", "PRIO", "BUDGET", "PERIOD", "CPU", "FAULTS", "RESTARTS"
        ));
        return true;
    }
    let Some(pd) = table.pds.get(row - 1) else { return false };
    let stats = stats_of(pd, table, world);
    let state = match stats {
        Some(stats) => State::from_raw(stats.state).name(),
        // The supervisor answered, or nobody would read this.
        None if pd.parent == NO_PARENT => State::Running.name(),
        None => "-",
    };
    world.print(format_args!(
        "{:<16} {:<8} {:>4} {:>8} {:>8} {:>10} {:>7} {:>9}",
        text(&pd.name),
        state,
        pd.priority,
        Micros(pd.budget_us),
        Micros(pd.period_us),
        OrDash(stats.and_then(|stats| cpu_time(&stats))),
        OrDash(stats.map(|stats| stats.faults)),
        OrDash(stats.map(|stats| stats.restarts)),
    ));
    true
}

fn process(row: usize, index: usize, table: &SystemTable<'_>, world: &mut impl World) -> bool {
    let Some(pd) = table.pds.get(index) else { return false };
    let stats = stats_of(pd, table, world);
    match row {
        0 => {
            let state = stats.map(|stats| State::from_raw(stats.state).name());
            let passive = if pd.flags & PD_PASSIVE != 0 { ", passive" } else { "" };
            world.print(format_args!("{}: {}{passive}", text(&pd.name), OrDash(state)));
        }
        1 => world.print(format_args!(
            "priority {}, budget {} in {}, program {}, stack {}",
            pd.priority,
            Micros(pd.budget_us),
            Micros(pd.period_us),
            Bytes(pd.image_bytes),
            Bytes(pd.stack_bytes)
        )),
        2 => match table.pds.get(usize::from(pd.parent)) {
            Some(parent) => world.print(format_args!("parent {}, as child {}", text(&parent.name), pd.child_id)),
            None => world.print(format_args!("no parent")),
        },
        3 => {
            let Some(stats) = stats else { return false };
            let cpu = OrDash(cpu_time(&stats));
            world.print(format_args!("CPU time {cpu}, {} faults, {} restarts", stats.faults, stats.restarts));
        }
        4 => {
            let Some(stats) = stats.filter(|stats| stats.faults > 0) else { return false };
            let when = Micros(ticks_to_us(stats.fault_ticks, table.header.timebase_hz));
            world.print(format_args!(
                "last fault {when} after start, pc {:#x}, address {:#x}",
                stats.fault_pc, stats.fault_address
            ));
        }
        _ => return false,
    }
    true
}

/// Microseconds that `ticks` take at `hz`; a clock of 0 Hz shows 0.
pub fn ticks_to_us(ticks: u64, hz: u64) -> u64 {
    (u128::from(ticks) * 1_000_000).checked_div(u128::from(hz)).map_or(0, |us| us.min(u64::MAX.into()) as u64)
}

fn memory(row: usize, table: &SystemTable<'_>, world: &mut impl World) -> bool {
    let (pds, regions) = (table.pds, table.regions);
    let region_row = pds.len() + 2;
    if row == 0 {
        world.print(format_args!("{:<26} {:>10} {:>10}", "PROTECTION DOMAIN", "PROGRAM", "STACK"));
    } else if let Some(pd) = pds.get(row - 1) {
        let (image, stack) = (Bytes(pd.image_bytes), Bytes(pd.stack_bytes));
        world.print(format_args!("{:<26} {image:>10} {stack:>10}", text(&pd.name)));
    } else if row == region_row - 1 {
        world.print(format_args!("{:<26} {:>10} {:>10}", "REGION", "SIZE", "AT"));
    } else if let Some(region) = regions.get(row - region_row) {
        let place = (region.paddr != ANYWHERE).then_some(region.paddr);
        let (name, size) = (text(&region.name), Bytes(region.bytes));
        match place {
            Some(address) => world.print(format_args!("{name:<26} {size:>10} {address:>#10x}")),
            None => world.print(format_args!("{name:<26} {size:>10}")),
        }
    } else if row == region_row + regions.len() {
        let sum = |values: &mut dyn Iterator<Item = u64>| Bytes(values.fold(0, u64::saturating_add));
        let programs = sum(&mut pds.iter().map(|pd| pd.image_bytes));
        let stacks = sum(&mut pds.iter().map(|pd| pd.stack_bytes));
        // A region with a fixed address may be a device's; the others are RAM for sure.
        let ram = |region: &&RegionEntry| region.paddr == ANYWHERE;
        let regions = sum(&mut regions.iter().filter(ram).map(|region| region.bytes));
        world.print(format_args!("in all: programs {programs}, stacks {stacks}, regions in RAM {regions}"));
    } else {
        return false;
    }
    true
}

fn log(row: usize, only: Option<u32>, clients: &Clients, table: &SystemTable<'_>, world: &mut impl World) -> bool {
    let Some(index) = row.checked_sub(1) else {
        world.print(format_args!("{:<16} {:<8} {:>9} {:>9} {:>9}", "NAME", "LEVEL", "PRINTED", "HELD BACK", "DROPPED"));
        return true;
    };
    let Some(Client { slot, level, status }) = clients.get(index) else { return false };
    if only.is_none_or(|only| only == *slot) {
        let pd = usize::try_from(status.pd).ok().and_then(|pd| table.pds.get(pd));
        let name = pd.map_or("?", |pd| text(&pd.name));
        let level = if *slot == TERMINAL_OWNER as u32 { "-" } else { level.name() };
        world.print(format_args!(
            "{name:<16} {level:<8} {:>9} {:>9} {:>9}",
            status.printed, status.filtered, status.dropped
        ));
    }
    true
}
