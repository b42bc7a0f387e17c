//! Starts the attacker for each attack, looks at what came of it, and that the victim is well.
//!
//! The attacker outranks the judge, so once it is started it runs until it faults, waits or is done.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::{Channel, Child, ENTRY, MessageInfo, NullHandler, get_mr, protection_domain};
use test_pds::attack::{Attack, BEGUN, Expected, STACK_BOTTOM, SURVIVED, attack, word};
use test_pds::raw::poll_input;
use test_pds::{say, shared, verdict};

const ATTACKER: Child = Child::new(5);
const VICTIM: Channel = Channel::new(9);
const FAULT_BADGE: u64 = 1 << 62 | 5;

const UNKNOWN_SYSCALL: u64 = 2;
const USER_EXCEPTION: u64 = 3;
const VM_FAULT: u64 = 6;

/// What came of one start of the attacker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It faulted, or sent what looks like a fault: label and first registers.
    Fault(u64, [u64; 4]),
    /// It ran to its end.
    Survived,
    /// It waits for something that does not come.
    Waits,
}

fn read(index: usize) -> u64 {
    shared()[index].load(Ordering::Relaxed)
}

/// Starts the attacker and sees what comes of it.
fn start() -> Outcome {
    shared()[word::STAGE].store(0, Ordering::Relaxed);
    assert_eq!(ATTACKER.restart(ENTRY), Ok(()));
    match poll_input() {
        (0, ..) if read(word::STAGE) == SURVIVED => Outcome::Survived,
        (0, ..) => {
            assert_eq!(read(word::STAGE), BEGUN, "the attacker did not start");
            Outcome::Waits
        }
        (badge, info, registers) => {
            assert_eq!(badge, FAULT_BADGE, "the judge's input has another badge than the attacker's");
            Outcome::Fault(info >> 12, registers)
        }
    }
}

fn as_expected(expected: Expected, outcome: Outcome) -> bool {
    match (expected, outcome) {
        (Expected::Memory(access), Outcome::Fault(VM_FAULT, [_, address, prefetch, fsr])) => {
            let aimed = read(word::ADDRESS);
            fsr == access && prefetch == u64::from(access == 1) && (address == aimed || address == aimed & !1)
        }
        (Expected::Guard, Outcome::Fault(VM_FAULT, [_, address, _, fsr])) => {
            fsr == 7 && (STACK_BOTTOM - 0x1000..STACK_BOTTOM).contains(&address)
        }
        (Expected::Illegal, Outcome::Fault(USER_EXCEPTION, [_, _, number, _])) => number == 2,
        (Expected::EachUnknown, Outcome::Fault(UNKNOWN_SYSCALL, _)) => get_mr(10) == read(word::ADDRESS),
        (Expected::EachUnknown, Outcome::Survived) => true,
        (Expected::Harmless, _) => true,
        _ => false,
    }
}

/// The victim answers, its secret is as it was, and nothing but the attacker's badge has reached it.
fn assert_victim_is_well(when: Attack) {
    let reply = VICTIM.pp_call(MessageInfo::new(0, 0));
    assert_eq!((reply.label(), reply.count(), get_mr(0)), (1, 1, 0xc0ffee), "the victim after {when:x?}");
}

#[protection_domain]
fn init() -> NullHandler {
    verdict::become_judge();
    // The attacker outranks the judge and ran before it, to its first attack: the load of address 0.
    assert!(matches!(poll_input(), (FAULT_BADGE, ..)), "the first attack");
    let (mut index, mut starts) = (0, 0_u64);
    while let Some((attack, expected)) = attack(index) {
        shared()[word::ATTACK].store(index as u64, Ordering::Relaxed);
        shared()[word::PROGRESS].store(0, Ordering::Relaxed);
        let sweep = matches!(expected, Expected::EachUnknown | Expected::Harmless);
        let (mut outcome, mut faults, mut waits) = (start(), 0_u64, 0_u64);
        loop {
            assert!(as_expected(expected, outcome), "{attack:x?}: {outcome:x?}, try {}", read(word::PROGRESS));
            assert_victim_is_well(attack);
            faults += u64::from(matches!(outcome, Outcome::Fault(..)));
            waits += u64::from(outcome == Outcome::Waits);
            starts += 1;
            if !sweep || outcome == Outcome::Survived {
                break;
            }
            outcome = start();
        }
        if sweep {
            say!("{attack:x?}: {} tries, {faults} faults, {waits} waits", read(word::PROGRESS));
        }
        index += 1;
    }
    say!("{index} attacks, {starts} starts");
    verdict::pass()
}
