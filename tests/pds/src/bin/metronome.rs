//! Once notified, beats at the start of each of its periods, 400 times. Its budget is short, and it spends what is
//! left of it spinning, so that others run until its next period.
#![no_std]
#![no_main]

use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, counters, protection_domain};

const PARENT: Channel = Channel::new(0);
const BEATS: usize = 400;
/// A jump of the clock by so many ticks is a pause between two periods: 30 µs.
const PAUSE_TICKS: u64 = 300;

struct Metronome;

#[protection_domain]
fn init() -> impl Handler {
    Metronome
}

impl Handler for Metronome {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        for _ in 0..BEATS {
            let mut last = counters::rdtime();
            loop {
                let now = counters::rdtime();
                if now - last > PAUSE_TICKS {
                    break;
                }
                last = now;
            }
            PARENT.notify();
        }
        Ok(())
    }
}
