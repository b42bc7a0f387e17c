//! The supervisor with simulated children.

use proptest::prelude::*;
use protocols::supervisor::*;
use protocols::system_table::*;
use sel4_microkit::{Fault, UserException, VmFault};
use std::sync::atomic::AtomicU64;
use supervisor::policy::MAX_RESTARTS;
use supervisor::supervisor::{Children, Report, Supervisor};
use zerocopy::{FromZeros, IntoBytes};

#[derive(Default)]
struct Log(Vec<(&'static str, usize)>);

impl Children for Log {
    fn restart(&mut self, id: usize) {
        self.0.push(("restart", id));
    }
    fn stop(&mut self, id: usize) {
        self.0.push(("stop", id));
    }
    fn renew(&mut self, id: usize) {
        self.0.push(("renew", id));
    }
    fn stack_pointer(&mut self, _: usize) -> Option<u64> {
        None
    }
    fn consumed_us(&mut self, id: usize) -> Option<u64> {
        (id != 2).then_some(10)
    }
}

fn pd(name: &str, priority: u16, parent: u16, child_id: u16) -> PdEntry {
    let mut entry = PdEntry::new_zeroed();
    entry.name[..name.len()].copy_from_slice(name.as_bytes());
    (entry.priority, entry.parent, entry.child_id, entry.stack_bytes) = (priority, parent, child_id, 0x2000);
    entry
}

/// supervisor, and its children: 0 timer, 1 shell, 2 demo, of which shell and demo have channels to the timer; app is not
/// its child.
fn table() -> Vec<u64> {
    let header =
        Header { magic: MAGIC_TABLE, timebase_hz: 10, pds: 5, channels: 3, regions: 0, reserved: 0, board: [0; 32] };
    let pds = [
        pd("supervisor", 200, NO_PARENT, 0),
        pd("timer", 190, 0, 0),
        pd("shell", 120, 0, 1),
        pd("demo", 60, 0, 2),
        pd("app", 10, 3, 0),
    ];
    let channels = [(2, 1), (1, 3), (2, 3)].map(|(pd_a, pd_b)| ChannelEntry { pd_a, id_a: 0, pd_b, id_b: 0 });
    let bytes = [header.as_bytes(), pds.as_bytes(), channels.as_bytes()].concat();
    bytes.chunks(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap())).collect()
}

const MAGIC_TABLE: u64 = protocols::system_table::MAGIC;
const READ_NULL: Fault = Fault::VmFault(VmFault { ip: 0x200010, addr: 0, is_prefetch: false, fsr: 5 });
const ILLEGAL: Fault = Fault::UserException(UserException { ip: 0x200010, sp: 0, number: 2 });

fn region() -> Vec<AtomicU64> {
    (0..REGION_WORDS).map(|_| AtomicU64::new(0)).collect()
}

fn ask(supervisor: &mut Supervisor, log: &mut Log, op: u32, child: u32) -> u32 {
    let answer = supervisor.request(&Request { op, child, token: 9 }, log);
    assert_eq!((answer.token, answer.child), (9, child));
    answer.result
}

#[test]
fn a_fault_is_reported_counted_and_ends_in_a_restart() {
    let (words, region, mut log) = (table(), region(), Log::default());
    let mut supervisor = Supervisor::new();
    supervisor.start(SystemTable::parse(words.as_bytes()).unwrap(), 0, &region);
    supervisor.fault(0, READ_NULL, 77, &mut log);
    assert_eq!(log.0, [("restart", 0), ("renew", 1), ("renew", 2)], "callers of the timer are released");
    let stats = read(&region, 0).unwrap();
    assert_eq!((stats.faults, stats.restarts, stats.fault_pc, stats.fault_ticks), (1, 1, 0x200010, 77));
    let report = supervisor.next_report().unwrap().to_string();
    assert_eq!(report, "timer faulted: may not read address 0x0, pc 0x200010; restarted");
    assert_eq!(supervisor.next_report(), None);
    log.0.clear();
    supervisor.fault(1, READ_NULL, 78, &mut log);
    assert_eq!(log.0, [("restart", 1), ("renew", 2)], "the timer is above the shell and never its caller");
}

#[test]
fn one_that_faults_too_often_is_left_stopped_until_someone_starts_it() {
    let (words, region, mut log) = (table(), region(), Log::default());
    let mut supervisor = Supervisor::new();
    supervisor.start(SystemTable::parse(words.as_bytes()).unwrap(), 0, &region);
    for _ in 0..MAX_RESTARTS {
        supervisor.fault(2, ILLEGAL, 5, &mut log);
    }
    assert_eq!(read(&region, 2).unwrap().state, State::Running as u64);
    supervisor.fault(2, ILLEGAL, 5, &mut log);
    assert_eq!(log.0.last(), Some(&("stop", 2)));
    let stats = read(&region, 2).unwrap();
    assert_eq!((State::from_raw(stats.state), stats.faults, stats.restarts), (State::GivenUp, 6, 5));
    let last = std::iter::from_fn(|| supervisor.next_report()).last().unwrap().to_string();
    assert_eq!(
        last,
        "demo faulted: illegal instruction (a panic ends in one), pc 0x200010; too often, it stays stopped (start demo)"
    );
    log.0.clear();
    supervisor.fault(0, READ_NULL, 5, &mut log);
    assert_eq!(log.0, [("restart", 0), ("renew", 1)], "who is stopped is not woken");
    assert_eq!(ask(&mut supervisor, &mut log, op::START, 2), result::OK);
    assert_eq!(ask(&mut supervisor, &mut log, op::START, 2), result::ALREADY);
    supervisor.fault(2, ILLEGAL, 6, &mut log);
    assert_eq!(read(&region, 2).unwrap().state, State::Running as u64, "a start on request begins a new count");
}

#[test]
fn requests_are_answered() {
    let (words, region, mut log) = (table(), region(), Log::default());
    let mut supervisor = Supervisor::new();
    supervisor.start(SystemTable::parse(words.as_bytes()).unwrap(), 0, &region);
    assert_eq!(ask(&mut supervisor, &mut log, op::STOP, 1), result::OK);
    assert_eq!(ask(&mut supervisor, &mut log, op::STOP, 1), result::ALREADY);
    assert_eq!(ask(&mut supervisor, &mut log, op::RESTART, 1), result::OK);
    assert_eq!(log.0, [("stop", 1), ("restart", 1), ("renew", 2)]);
    for child in [3, 61, 62, 63, u32::MAX] {
        assert_eq!(ask(&mut supervisor, &mut log, op::RESTART, child), result::NO_SUCH_CHILD);
    }
    assert_eq!(ask(&mut supervisor, &mut log, 0, 0), result::UNKNOWN);
    for _ in 0..2 {
        supervisor.begin_turn();
        assert_eq!(ask(&mut supervisor, &mut log, op::REFRESH, NO_CHILD), result::OK);
        assert_eq!(ask(&mut supervisor, &mut log, op::REFRESH, NO_CHILD), result::OK, "once a turn is enough");
    }
    assert_eq!([0, 1, 2].map(|id| read(&region, id).unwrap().cpu_us), [20, 20, u64::MAX]);
    assert_eq!(State::from_raw(read(&region, 3).unwrap().state), State::Absent);
}

#[test]
fn reports_that_find_no_room_are_counted() {
    let (words, region, mut log) = (table(), region(), Log::default());
    let mut supervisor = Supervisor::new();
    supervisor.start(SystemTable::parse(words.as_bytes()).unwrap(), 0, &region);
    for _ in 0..100 {
        supervisor.fault(2, Fault::Unknown { label: 9 }, 0, &mut log);
    }
    let reports: Vec<Report> = std::iter::from_fn(|| supervisor.next_report()).collect();
    assert_eq!((reports.len(), reports[16]), (17, Report::Lost(84)));
}

proptest! {
    #[test]
    fn nothing_a_child_or_the_shell_sends_does_harm(
        steps in prop::collection::vec((any::<bool>(), any::<u64>(), 0u32..70), 0..60),
    ) {
        let (words, region, mut log) = (table(), region(), Log::default());
        let mut supervisor = Supervisor::new();
    supervisor.start(SystemTable::parse(words.as_bytes()).unwrap(), 0, &region);
        for (fault, label, id) in steps {
            if fault {
                supervisor.fault(id as usize, Fault::Unknown { label }, label, &mut log);
            } else {
                ask(&mut supervisor, &mut log, (label % 6) as u32, id);
            }
        }
        prop_assert!(log.0.iter().all(|(_, id)| *id < 3), "only children are touched");
    }
}
