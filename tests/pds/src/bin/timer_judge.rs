//! A client of the real timer driver that tries everything, with two others beside it. Runs with exact time, so the bounds
//! on lateness are the same on every host.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use protocols::timer::{Expired, MIN_PERIOD_NS, TIMERS, Timer, TimerError, op, status};
use sel4_microkit::{Channel, MessageInfo, NullHandler, protection_domain, with_msg_regs_mut};
use test_pds::{raw, say, shared, verdict};

/// The most that a client with the processor for itself gets an expiry late.
const LATEST_NS: u64 = 20_000;
/// The driver lets its alarm ring at most once in this time.
const GAP_NS: u64 = 50_000;
const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const OTHERS: [Channel; 2] = [Channel::new(1), Channel::new(2)];
/// Further channels to the driver, of which each is a client: with the judge and the two others, one too many.
const MORE: core::ops::RangeInclusive<usize> = 20..=33;

struct Judge {
    timer: Timer,
    latest_ns: u64,
}

#[protection_domain]
fn init() -> NullHandler {
    verdict::become_judge();
    let timer = protocols::timer!(timer_channel).expect("the timer is wired");
    // The driver, which has started before, told so on all channels.
    raw::poll_input();
    let mut judge = Judge { timer, latest_ns: 0 };
    judge.once();
    judge.at_a_time();
    judge.periodic();
    judge.cancelled_and_replaced();
    judge.all_ids();
    judge.refused();
    say!("alone, latest {} ns", judge.latest_ns);
    judge.with_others();
    judge.too_many_clients();
    verdict::pass()
}

impl Judge {
    fn now(&mut self) -> u64 {
        self.timer.now_ns().unwrap()
    }

    /// Waits for expiries; when they were noticed, and which.
    fn wait(&mut self) -> (u64, Expired) {
        loop {
            assert_eq!(raw::wait_input(), 1 << self.timer.transport().channel());
            let expired = self.timer.take_expired().unwrap();
            // The driver's start is told by a notification, too.
            if !expired.is_empty() {
                return (self.now(), expired);
            }
        }
    }

    /// Waits for timer `id` alone, once, which must not be early, nor later than `slack_ns` beyond the bound.
    fn expect(&mut self, id: usize, deadline_ns: u64, slack_ns: u64) {
        let (now, expired) = self.wait();
        assert!(expired.iter().eq([(id, 1)]), "{expired:?} instead of timer {id}");
        assert!(now >= deadline_ns, "timer {id} is {} ns early", deadline_ns - now);
        let late_ns = now - deadline_ns;
        assert!(late_ns < LATEST_NS + slack_ns, "timer {id} is {late_ns} ns late");
        self.latest_ns = self.latest_ns.max(late_ns.saturating_sub(slack_ns));
    }

    /// Lets `ns` pass, in which nothing else may expire.
    fn pause(&mut self, ns: u64) {
        let deadline = self.timer.set_after(31, ns).unwrap();
        self.expect(31, deadline, 0);
    }

    fn once(&mut self) {
        for delay_ns in [60 * US, 100 * US, 777_777, 5 * MS] {
            let before = self.now();
            let deadline = self.timer.set_after(0, delay_ns).unwrap();
            assert!((before + delay_ns..=self.now() + delay_ns).contains(&deadline));
            self.expect(0, deadline, 0);
        }
        // At once, but not faster than the driver's alarm may ring.
        let deadline = self.timer.set_after(0, 0).unwrap();
        self.expect(0, deadline, 0);
        self.pause(MS);
    }

    fn at_a_time(&mut self) {
        for ahead_ns in [100 * US, MS, 2 * MS + 1] {
            let deadline = self.now() + ahead_ns;
            self.timer.set_at(7, deadline).unwrap();
            self.expect(7, deadline, 0);
        }
        // What is past, even at the clock's zero, expires at once.
        for deadline in [self.now() - 1, 1, 0] {
            let now = self.now();
            self.timer.set_at(7, deadline).unwrap();
            let (then, expired) = self.wait();
            assert!(expired.iter().eq([(7, 1)]) && then - now < LATEST_NS);
        }
        // Two that are closer than the alarm may ring: the second is served at its next ring.
        let deadline = self.now() + MS;
        self.timer.set_at(1, deadline).unwrap();
        self.timer.set_at(2, deadline + 10 * US).unwrap();
        self.expect(1, deadline, 0);
        self.expect(2, deadline + 10 * US, GAP_NS);
        // A hundred years ahead nothing overflows.
        self.timer.set_at(3, self.latest_ns + 100 * 365 * 86_400_000 * MS).unwrap();
        self.pause(MS);
        assert_eq!(self.timer.cancel(3), Ok(true));
    }

    fn periodic(&mut self) {
        for period_ns in [MIN_PERIOD_NS, 333_333, MS] {
            let first = self.timer.set_every(5, period_ns).unwrap();
            (0..20).for_each(|turn| self.expect(5, first + turn * period_ns, 0));
            // One who does not look for a while loses none.
            while self.now() < first + 25 * period_ns - period_ns / 2 {}
            let (_, expired) = self.wait();
            assert_eq!(expired.count(5), 5);
            self.expect(5, first + 25 * period_ns, 0);
            assert_eq!(self.timer.cancel(5), Ok(true));
            self.pause(3 * MS);
        }
    }

    fn cancelled_and_replaced(&mut self) {
        self.timer.set_after(4, MS).unwrap();
        assert_eq!(self.timer.cancel(4), Ok(true));
        assert_eq!(self.timer.cancel(4), Ok(false));
        self.pause(2 * MS);
        // An expiry that was not taken is taken back. The notification came; it tells of nothing.
        let deadline = self.timer.set_after(4, 100 * US).unwrap();
        while self.now() < deadline + 100 * US {}
        assert_eq!(self.timer.cancel(4), Ok(true));
        assert!(self.timer.take_expired().unwrap().is_empty());
        // A later time replaces an earlier one, and the other way round.
        self.timer.set_after(4, MS).unwrap();
        let deadline = self.timer.set_after(4, 2 * MS).unwrap();
        self.expect(4, deadline, 0);
        self.timer.set_after(4, 10 * MS).unwrap();
        let deadline = self.timer.set_after(4, MS).unwrap();
        self.expect(4, deadline, 0);
        self.pause(12 * MS);
    }

    fn all_ids(&mut self) {
        let start = self.now() + MS;
        for id in 0..TIMERS {
            self.timer.set_at(id, start + (TIMERS - id) as u64 * 100 * US).unwrap();
        }
        (0..TIMERS).rev().for_each(|id| self.expect(id, start + (TIMERS - id) as u64 * 100 * US, 0));
        // All at the same time are one notification.
        let deadline = self.now() + MS;
        (0..TIMERS).for_each(|id| self.timer.set_at(id, deadline).unwrap());
        let (now, expired) = self.wait();
        assert!(expired.iter().eq((0..TIMERS).map(|id| (id, 1))));
        assert!((deadline..deadline + 2 * LATEST_NS).contains(&now), "all: {} ns late", now - deadline);
        self.pause(MS);
    }

    fn refused(&mut self) {
        assert_eq!(self.timer.set_after(TIMERS, MS), Err(TimerError::BadId));
        assert_eq!(self.timer.set_after(0, u64::MAX), Err(TimerError::TooFar));
        assert_eq!(self.timer.set_every(0, MIN_PERIOD_NS - 1), Err(TimerError::PeriodTooShort));
        assert_eq!(self.timer.set_every(0, 0), Err(TimerError::PeriodTooShort));
        // What the library would not even ask.
        let channel = self.timer.transport().channel();
        for id in [TIMERS as u64, 64, 1 << 32, u64::MAX] {
            assert_eq!(call(channel, op::SET_AT, &[id, 0, 0]), status::BAD_ID);
            assert_eq!(call(channel, op::CANCEL, &[id]), status::BAD_ID);
        }
        assert_eq!(call(channel, op::SET_AFTER, &[0, u64::MAX, 0]), status::TOO_FAR);
        for period_ns in [1, MIN_PERIOD_NS - 1] {
            assert_eq!(call(channel, op::SET_AFTER, &[0, MS, period_ns]), status::PERIOD_TOO_SHORT);
        }
        for label in [0, op::RESET + 1, 99, (1 << 52) - 1] {
            assert_eq!(call(channel, label, &[]), status::BAD_CALL);
        }
        for (label, words) in [(op::NOW, 0), (op::SET_AT, 3), (op::SET_AFTER, 3), (op::CANCEL, 1), (op::RESET, 0)] {
            for wrong in (0..=120).filter(|count| *count != words) {
                assert_eq!(call(channel, label, &[0; 120][..wrong]), status::BAD_CALL, "{label} with {wrong} words");
            }
        }
        // Nothing of that has set anything; timers at the clock's end never expire.
        self.timer.set_at(1, u64::MAX).unwrap();
        self.pause(2 * MS);
        assert_eq!(self.timer.cancel(1), Ok(true));
    }

    /// The two others have timers of their own, under the same ids, and answer in the shared page.
    fn with_others(&mut self) {
        OTHERS.iter().for_each(Channel::notify);
        let first = self.timer.set_every(0, MS).unwrap();
        for turn in 0..30 {
            // Both outrank the judge, and each may have the alarm ring just before.
            self.expect(0, first + turn * MS, GAP_NS + 4 * LATEST_NS);
        }
        self.timer.cancel(0).unwrap();
        for instance in [1, 2] {
            let [expiries, latest_ns] = [0, 1].map(|word| shared()[instance * 8 + word].load(Ordering::Relaxed));
            say!("client {instance}: {expiries} expiries, latest {latest_ns} ns");
            assert_eq!(expiries, 40);
            assert!(latest_ns < GAP_NS + 4 * LATEST_NS);
        }
    }

    fn too_many_clients(&mut self) {
        let (first, last) = (*MORE.start(), *MORE.end());
        for channel in first..last {
            assert_eq!(call(channel, op::SET_AFTER, &[0, 1 << 40, 0]), status::OK);
        }
        for _ in 0..2 {
            assert_eq!(call(last, op::NOW, &[]), status::TOO_MANY_CLIENTS);
            assert_eq!(call(first, op::NOW, &[]), status::OK);
            self.pause(MS);
        }
    }
}

/// Calls with any words; the answer's status.
fn call(channel: usize, label: u64, message: &[u64]) -> u64 {
    with_msg_regs_mut(|registers| registers[..message.len()].copy_from_slice(message));
    Channel::new(channel).pp_call(MessageInfo::new(label, message.len())).label()
}
