//! Another client of the timer driver: once notified, takes forty expiries of a periodic timer, and writes down how many
//! came and how late the latest was.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering;

use protocols::timer::Timer;
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};
use test_pds::{instance, shared};

const START: Channel = Channel::new(0);
const EXPIRIES: u64 = 40;

struct Client {
    timer: Timer,
    deadline_ns: u64,
    period_ns: u64,
    expiries: u64,
    latest_ns: u64,
}

#[protection_domain]
fn init() -> impl Handler {
    let timer = protocols::timer!(timer_channel).expect("the timer is wired");
    Client { timer, deadline_ns: 0, period_ns: 100_000 + 211_111 * instance() as u64, expiries: 0, latest_ns: 0 }
}

impl Handler for Client {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        if channels.contains(START) {
            self.deadline_ns = self.timer.set_every(0, self.period_ns).expect("a period");
        }
        let count = self.timer.take_expired().expect("expiries").count(0);
        if count == 0 {
            return Ok(());
        }
        let late_ns = self.timer.now_ns().expect("the time") - self.deadline_ns;
        self.deadline_ns += count * self.period_ns;
        self.expiries += count;
        self.latest_ns = self.latest_ns.max(late_ns);
        let report = &shared()[instance() * 8..];
        report[0].store(self.expiries, Ordering::Relaxed);
        report[1].store(self.latest_ns, Ordering::Relaxed);
        if self.expiries >= EXPIRIES {
            self.timer.cancel(0).expect("a timer");
        }
        Ok(())
    }
}
