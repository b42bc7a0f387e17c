//! `jobs`: what is asked of the model runner about jobs, and how the answers are told.

use crate::units::Micros;
use crate::world::World;
use core::fmt;
use protocols::model::{ClientInfo, JobInfo, JobResult, MAX_JOBS, engine, state};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// All jobs.
    List,
    /// What each client has used.
    Clients,
    /// To end the job with this serial number.
    Cancel(u32),
    /// To run a model periodically on one of its inputs.
    Start {
        /// Name of the model.
        model: &'a str,
        /// The period.
        period_us: u64,
        /// Number of the input.
        input: usize,
    },
}

/// What can stand behind `jobs`.
pub const WORDS: [&str; 3] = ["cancel", "clients", "start"];

/// Microseconds of a period such as `500ms`, `2s` or `0.5s`.
pub fn period(word: &str) -> Option<u64> {
    match word.strip_suffix("ms") {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse::<u64>().ok()?.checked_mul(1_000).filter(|us| *us <= 86_400_000_000)
        }
        Some(_) => None,
        None => crate::commands::seconds(word.strip_suffix('s')?),
    }
}

/// A periodic job of the shell's own, and what came of it so far.
#[derive(Clone, Copy, Debug)]
pub struct Periodic {
    /// Its number.
    pub job: u32,
    /// The model's number in the pack.
    pub model: usize,
    /// Number of the input.
    pub input: usize,
    /// Runs whose output was the reference's, bit for bit.
    pub exact: u32,
    /// Runs whose output was not.
    pub different: u32,
    /// Runs that did not end well.
    pub failed: u32,
}

/// The shell's periodic jobs; one job less than there may be, so that there is room for `infer`.
pub type Periodics = heapless::Vec<Periodic, { MAX_JOBS - 1 }>;

impl fmt::Display for Periodic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} runs with the reference's output", self.exact)?;
        if self.different > 0 {
            write!(f, ", {} WITH ANOTHER", self.different)?;
        }
        write!(f, ", {} failed", self.failed)
    }
}

/// Says that a periodic job of the shell has ended.
pub fn print_end(name: &str, periodic: &Periodic, why: &str, result: &JobResult, world: &mut impl World) {
    world.print(format_args!("jobs: {name}: {why}; {periodic}, {} missed", result.missed));
}

/// The head of the table of jobs.
pub fn print_head(world: &mut impl World) {
    world.print(format_args!(
        "{:>5} {:<16} {:<16} {:<19} {:>4} {:>8} {:>6} {:>6} {:>8}",
        "JOB", "CLIENT", "MODEL", "STATE", "PRIO", "PERIOD", "RUNS", "MISSED", "AGE"
    ));
}

/// A row of the table of jobs.
pub fn print_row(client: &str, model: &str, info: &JobInfo, world: &mut impl World) {
    let state = State(info);
    let period = Period(info.period_ns);
    world.print(format_args!(
        "{:>5} {client:<16} {model:<16} {state:<19} {:>4} {period:>8} {:>6} {:>6} {:>8}",
        info.serial,
        info.priority,
        info.runs,
        info.missed,
        Micros(info.age_ns / 1_000)
    ));
}

/// Where a job is, and what runs it.
struct State<'a>(&'a JobInfo);

impl fmt::Display for State<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.state, self.0.engine) {
            (state::RUNNING, engine::ACCELERATOR) => f.pad("on the accelerator"),
            (state, _) => f.pad(state::name(state)),
        }
    }
}

/// A period, or that there is none.
struct Period(u64);

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.pad("once"),
            ns => Micros(ns / 1_000).fmt(f),
        }
    }
}

/// The head of the table of clients.
pub fn print_clients_head(world: &mut impl World) {
    world.print(format_args!(
        "{:<16} {:>4} {:>8} {:>6} {:>5} {:>6} {:>7} {:>6} {:>5} {:>9} {:>6}",
        "CLIENT", "JOBS", "DONE", "CANCEL", "LATE", "ERRORS", "REFUSED", "MISSED", "LOST", "COMPUTED", "SHARE"
    ));
}

/// A row of the table of clients.
pub fn print_client(client: &str, info: &ClientInfo, world: &mut impl World) {
    let share = Share(info);
    world.print(format_args!(
        "{client:<16} {:>4} {:>8} {:>6} {:>5} {:>6} {:>7} {:>6} {:>5} {:>9} {share:>6}",
        info.jobs,
        info.done,
        info.cancelled,
        info.timed_out,
        info.faulted,
        info.refused,
        info.missed,
        info.abandoned,
        Micros(info.compute_ns / 1_000),
    ));
}

/// A client's share of the computing time, in percent.
struct Share<'a>(&'a ClientInfo);

impl fmt::Display for Share<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use core::fmt::Write;
        if self.0.connected == 0 {
            return f.pad("gone");
        }
        let mut text: heapless::String<16> = heapless::String::new();
        write!(text, "{}.{} %", self.0.share / 10, self.0.share % 10)?;
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods() {
        assert_eq!((period("500ms"), period("2s"), period("0.5s")), (Some(500_000), Some(2_000_000), Some(500_000)));
        for bad in ["500", "ms", "s", "-1s", "+1ms", "1 s", "1e3ms", "86401s", "99999999999999999999ms"] {
            assert_eq!(period(bad), None, "{bad}");
        }
    }
}
