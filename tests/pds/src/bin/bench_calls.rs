//! Measures protected calls to a passive and to an active server.
#![no_std]
#![no_main]

use sel4_microkit::counters::rdinstret;
use sel4_microkit::{Channel, MessageInfo, NullHandler, get_mr, protection_domain, set_mr};
use test_pds::{say, verdict};

const PASSIVE: Channel = Channel::new(1);
const ACTIVE: Channel = Channel::new(2);
const CALLS: u64 = 1000;

/// Instructions of one call with `N` message registers each way, written before and read after it.
#[inline(always)]
fn measure<const N: usize>(server: Channel) -> u64 {
    let mut sum = 0_u64;
    let mut call = |round: u64| {
        for i in 0..N {
            set_mr(i, round);
        }
        let reply = server.pp_call(MessageInfo::new(0, N));
        sum += reply.count() as u64;
        for i in 0..N {
            sum += get_mr(i);
        }
    };
    // The first calls of a passive server still run on its own scheduling context.
    (0..4).for_each(&mut call);
    let start = rdinstret();
    (0..CALLS).for_each(&mut call);
    let instructions = (rdinstret() - start) / CALLS;
    // Each reply has N registers, each one more than the round's number.
    let rounds: u64 = (0..4).chain(0..CALLS).map(|round| round + 2).sum();
    assert_eq!(sum, rounds * N as u64, "every reply was right");
    instructions
}

#[protection_domain]
fn init() -> NullHandler {
    verdict::become_judge();
    say!("bench ppc_passive_0mr {} instructions", measure::<0>(PASSIVE));
    say!("bench ppc_passive_4mr {} instructions", measure::<4>(PASSIVE));
    say!("bench ppc_passive_8mr {} instructions", measure::<8>(PASSIVE));
    say!("bench ppc_active_0mr {} instructions", measure::<0>(ACTIVE));
    verdict::pass()
}
