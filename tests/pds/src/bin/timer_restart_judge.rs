//! A client of the timer driver that loses no expiry while the driver is restarted again and again, at any moment, also
//! within calls.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use protocols::timer::Timer;
use sel4_microkit::{Channel, NullHandler, protection_domain};
use test_pds::{raw, say, shared, verdict};

const PARENT: Channel = Channel::new(0);
const METRONOME: Channel = Channel::new(1);
const PERIOD_NS: u64 = 500_000;
const MS: u64 = 1_000_000;
/// Restarts that the metronome asks for.
const RESTARTS: u64 = 300;

#[protection_domain]
fn init() -> NullHandler {
    verdict::become_judge();
    let mut timer = protocols::timer!(timer_channel).expect("the timer is wired");
    between_calls(&mut timer);
    within_calls(&mut timer);
    verdict::pass()
}

fn now(timer: &mut Timer) -> u64 {
    timer.now_ns().expect("the time")
}

/// Takes expiries until `done`; how often each of the first four timers expired.
fn gather(timer: &mut Timer, mut done: impl FnMut(&mut Timer, &[u64; 4]) -> bool) -> [u64; 4] {
    let mut counts = [0; 4];
    while !done(timer, &counts) {
        assert_eq!(raw::wait_input(), 1 << timer.transport().channel());
        let expired = timer.take_expired().expect("expiries");
        expired.iter().for_each(|(id, count)| counts[id] += count);
    }
    counts
}

/// The parent outranks this program: the restart is over when `notify` returns.
fn between_calls(timer: &mut Timer) {
    let start = now(timer);
    timer.set_at(0, start + MS).expect("a timer");
    timer.set_at(1, start + 2 * MS).expect("a timer");
    let first = timer.set_every(2, PERIOD_NS).expect("a timer");
    // Set, and taken back: it must not come back with the others.
    timer.set_at(3, start + 3 * MS).expect("a timer");
    assert_eq!(timer.cancel(3), Ok(true));
    PARENT.notify();
    // Timer 0 expires, its expiry is not taken, and the driver forgets it.
    while now(timer) < start + MS + MS / 2 {}
    PARENT.notify();
    let end = first + 19 * PERIOD_NS;
    let mut restart_at = start + 2 * MS;
    let counts = gather(timer, |timer, counts| {
        // Not at each notification: the restarted driver notifies, too.
        if now(timer) > restart_at {
            PARENT.notify();
            restart_at += PERIOD_NS / 3;
        }
        counts[2] >= 20 && now(timer) >= end
    });
    assert_eq!(counts, [1, 1, 20, 0], "each expiry once");
    assert_eq!(timer.cancel(2), Ok(true));
    say!("{} restarts between calls", shared()[0].load(Ordering::Relaxed));
}

fn within_calls(timer: &mut Timer) {
    let before = shared()[0].load(Ordering::Relaxed);
    let first = timer.set_every(2, PERIOD_NS).expect("a timer");
    METRONOME.notify();
    // Calls as often as it can.
    while shared()[0].load(Ordering::Relaxed) < before + RESTARTS {
        shared()[2].store(1, Ordering::Relaxed);
        now(timer);
        shared()[2].store(0, Ordering::Relaxed);
    }
    let end = now(timer);
    let counts = gather(timer, |_, counts| first + counts[2] * PERIOD_NS > end);
    let within = shared()[1].load(Ordering::Relaxed);
    say!("{RESTARTS} restarts at any moment, {within} of them within a call, {} expiries", counts[2]);
    assert_eq!(counts[2], (end - first) / PERIOD_NS + 1, "none lost, none twice");
    assert!(within > RESTARTS / 10, "the restarts hit calls");
}
