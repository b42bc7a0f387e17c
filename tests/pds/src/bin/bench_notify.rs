//! Measures notifications: of a lower priority, of a higher one, and there and back.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use sel4_microkit::counters::rdinstret;
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};
use test_pds::{say, shared, verdict};

const HIGHER: Channel = Channel::new(1);
const HIGHER_ECHO: Channel = Channel::new(2);
const LOWER: Channel = Channel::new(3);
const ROUNDS: u64 = 1000;

struct Bench {
    rounds: u64,
    start: u64,
}

/// Instructions from here to the handler of the higher priority, which puts its reading in the shared page.
fn one_way() -> u64 {
    let start = rdinstret();
    HIGHER.notify();
    shared()[0].load(Ordering::Relaxed) - start
}

#[protection_domain]
fn init() -> impl Handler {
    verdict::become_judge();
    let start = rdinstret();
    LOWER.notify();
    let waking = rdinstret() - start;
    let start = rdinstret();
    for _ in 0..ROUNDS {
        LOWER.notify();
    }
    say!("bench notify_no_switch {} instructions", (rdinstret() - start) / ROUNDS);
    say!("bench notify_no_switch_waking {waking} instructions");
    one_way();
    let total: u64 = (0..ROUNDS).map(|_| one_way()).sum();
    say!("bench notify_oneway_higher {} instructions", total / ROUNDS);
    HIGHER_ECHO.notify();
    Bench { rounds: 0, start: 0 }
}

impl Handler for Bench {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        match self.rounds {
            0 => self.start = rdinstret(),
            ROUNDS => {
                say!("bench notify_round_trip {} instructions", (rdinstret() - self.start) / ROUNDS);
                verdict::pass();
            }
            _ => {}
        }
        self.rounds += 1;
        HIGHER_ECHO.notify();
        Ok(())
    }
}
