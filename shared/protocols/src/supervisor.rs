//! The supervisor: requests about protection domains, and the region in which it publishes what it knows of them.
//!
//! The region is an array of 64-bit words that only the supervisor writes: [`StatsHeader`] words, then one
//! [`ChildStats`] per child id. Readers see a consistent copy through a sequence number, as [`read`] does.

use core::sync::atomic::{AtomicU64, Ordering, fence};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Names this protocol in a link.
pub const PROTOCOL: u32 = u32::from_le_bytes(*b"SUPV");
/// Version of the layouts below.
pub const VERSION: u32 = 1;
/// First word of the region.
pub const MAGIC: u64 = u64::from_le_bytes(*b"KLSTATS\x01");
/// Child ids are 0..=61.
pub const MAX_CHILDREN: usize = 62;
/// [`Request::child`] of [`op::REFRESH`].
pub const NO_CHILD: u32 = u32::MAX;

/// What a request asks for.
pub mod op {
    /// Update the CPU times in the region.
    pub const REFRESH: u32 = 1;
    /// Start the child anew, whatever state it is in.
    pub const RESTART: u32 = 2;
    /// Stop the child.
    pub const STOP: u32 = 3;
    /// Start a child that is stopped.
    pub const START: u32 = 4;
}

/// How a request ended.
pub mod result {
    /// Done.
    pub const OK: u32 = 0;
    /// The supervisor has no such child.
    pub const NO_SUCH_CHILD: u32 = 1;
    /// There is no such request.
    pub const UNKNOWN: u32 = 2;
    /// The child is in that state already.
    pub const ALREADY: u32 = 3;
}

/// An entry from the shell to the supervisor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Request {
    /// One of [`op`].
    pub op: u32,
    /// Child id.
    pub child: u32,
    /// Comes back in the answer.
    pub token: u64,
}

/// An entry from the supervisor to the shell: one for each request, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Answer {
    /// One of [`result`].
    pub result: u32,
    /// Child id of the request.
    pub child: u32,
    /// Token of the request.
    pub token: u64,
}

/// What a child is doing, as far as its parent knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum State {
    /// No child has this id.
    Absent = 0,
    /// Started, and not known to have stopped.
    Running = 1,
    /// Stopped on request.
    Stopped = 2,
    /// It faulted too often and stays stopped.
    GivenUp = 3,
}

impl State {
    /// The state with this number; what is unknown counts as absent.
    pub fn from_raw(raw: u64) -> State {
        match raw {
            1 => State::Running,
            2 => State::Stopped,
            3 => State::GivenUp,
            _ => State::Absent,
        }
    }

    /// A word for tables.
    pub fn name(self) -> &'static str {
        match self {
            State::Absent => "absent",
            State::Running => "running",
            State::Stopped => "stopped",
            State::GivenUp => "faulted",
        }
    }
}

/// What the supervisor knows about one child: 8 words of the region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ChildStats {
    /// A [`State`].
    pub state: u64,
    /// Faults since boot.
    pub faults: u64,
    /// Restarts since boot, after faults and on request.
    pub restarts: u64,
    /// CPU time in microseconds since boot, as of the last refresh; `u64::MAX` if it cannot be read.
    pub cpu_us: u64,
    /// Program counter of the last fault, if there was one.
    pub fault_pc: u64,
    /// Address that the last fault was about, if it was about one.
    pub fault_address: u64,
    /// When it happened, in ticks of the `time` register.
    pub fault_ticks: u64,
    /// Must be 0.
    pub reserved: u64,
}

/// 64-bit words of a [`ChildStats`].
pub const CHILD_WORDS: usize = size_of::<ChildStats>() / 8;
/// Words before the first child: the magic and the sequence number.
pub const HEADER_WORDS: usize = 2;
/// Words of the whole region's contents.
pub const REGION_WORDS: usize = HEADER_WORDS + MAX_CHILDREN * CHILD_WORDS;
const SEQUENCE: usize = 1;
/// Tries until [`read`] gives up; the writer preempts its readers, so the second is the last in practice.
const READ_TRIES: usize = 8;

/// Why a region could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// Too small, or not (yet) written by a supervisor.
    NotStats,
    /// It changed at each try.
    Busy,
}

/// Writes `stats` of child `id`; only the supervisor's map allows it. False if the region is too small.
pub fn write(region: &[AtomicU64], id: usize, stats: &ChildStats) -> bool {
    if region.len() < REGION_WORDS || id >= MAX_CHILDREN {
        return false;
    }
    let sequence = region[SEQUENCE].load(Ordering::Relaxed);
    // An odd number says that the words are changing. The fence pairs with the one in `read` before its second look.
    region[SEQUENCE].store(sequence.wrapping_add(1) | 1, Ordering::Relaxed);
    fence(Ordering::Release);
    let words: [u64; CHILD_WORDS] = zerocopy::transmute!(*stats);
    let start = HEADER_WORDS + id * CHILD_WORDS;
    for (slot, word) in region[start..start + CHILD_WORDS].iter().zip(words) {
        slot.store(word, Ordering::Relaxed);
    }
    region[SEQUENCE].store((sequence | 1).wrapping_add(1), Ordering::Release);
    region[0].store(MAGIC, Ordering::Release);
    true
}

/// A consistent copy of the stats of child `id`.
pub fn read(region: &[AtomicU64], id: usize) -> Result<ChildStats, ReadError> {
    if region.len() < REGION_WORDS || id >= MAX_CHILDREN || region[0].load(Ordering::Relaxed) != MAGIC {
        return Err(ReadError::NotStats);
    }
    let start = HEADER_WORDS + id * CHILD_WORDS;
    for _ in 0..READ_TRIES {
        // Relaxed loads and fences: only relaxed loads may read memory that is mapped read-only.
        let before = region[SEQUENCE].load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let mut words = [0; CHILD_WORDS];
        for (word, slot) in words.iter_mut().zip(&region[start..start + CHILD_WORDS]) {
            *word = slot.load(Ordering::Relaxed);
        }
        fence(Ordering::Acquire);
        if before.is_multiple_of(2) && region[SEQUENCE].load(Ordering::Relaxed) == before {
            return Ok(zerocopy::transmute!(words));
        }
    }
    Err(ReadError::Busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region() -> Vec<AtomicU64> {
        (0..REGION_WORDS).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn stats_come_back_as_written() {
        let region = region();
        assert_eq!(read(&region, 3), Err(ReadError::NotStats));
        let stats = ChildStats { state: 1, faults: 2, cpu_us: 3, fault_ticks: 4, ..ChildStats::default() };
        assert!(write(&region, 3, &stats));
        assert_eq!(read(&region, 3), Ok(stats));
        assert_eq!(read(&region, 2), Ok(ChildStats::default()));
    }

    #[test]
    fn bad_ids_regions_and_writers_are_errors() {
        let region = region();
        assert!(!write(&region, MAX_CHILDREN, &ChildStats::default()));
        assert!(!write(&region[1..], 0, &ChildStats::default()));
        assert!(write(&region, 0, &ChildStats::default()));
        assert_eq!(read(&region[1..], 0), Err(ReadError::NotStats));
        assert_eq!(read(&region, MAX_CHILDREN), Err(ReadError::NotStats));
        region[SEQUENCE].store(7, Ordering::Relaxed);
        assert_eq!(read(&region, 0), Err(ReadError::Busy));
    }

    #[test]
    fn readers_never_see_a_mixture() {
        let region = region();
        write(&region, 0, &ChildStats::default());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..20_000u64 {
                    let stats: ChildStats = zerocopy::transmute!([n; CHILD_WORDS]);
                    write(&region, 0, &stats);
                }
            });
            for _ in 0..20_000 {
                if let Ok(stats) = read(&region, 0) {
                    let words: [u64; CHILD_WORDS] = zerocopy::transmute!(stats);
                    assert!(words.iter().all(|word| *word == words[0]));
                }
            }
        });
    }
}
