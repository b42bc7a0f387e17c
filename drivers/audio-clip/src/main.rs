//! The driver's wiring.
//!
//! | symbol | |
//! |---|---|
//! | `clip`, `clip_size` | what the machine was given to hear, read-only |
//! | `timer_channel` | the timer: its clock is the sample clock |
//! | link `client` | who listens |
//! | link `console` | what is wrong with the clip; may be left out |
#![no_std]
#![no_main]

use audio_clip::{ClipDevice, Driver};
use protocols::audio::{self, BLOCK_NS, Block, Request};
use protocols::clip::{Clip, ClipError};
use protocols::console::{self, FromClient, FromConsole, Level, Lines};
use protocols::timer::Timer;
use ring::{ChannelNotifier, Link};
use sel4_microkit::{ChannelSet, Handler, Infallible, memory_region_symbol, protection_domain, var};

/// The timer that is set while the device runs.
const PERIOD_TIMER: usize = 0;

struct Domain {
    driver: Driver<ClipDevice<'static>, ChannelNotifier>,
    timer: Timer,
    /// Whether [`PERIOD_TIMER`] is set.
    ticking: bool,
    console: Option<Link<FromClient, FromConsole>>,
}

#[protection_domain]
fn init() -> Domain {
    let clip = memory_region_symbol!(clip: *mut u8);
    // SAFETY: the composer maps a region of this size there for as long as the program runs, and nobody writes it.
    let clip: &'static [u8] = unsafe { core::slice::from_raw_parts(clip.as_ptr(), *var!(clip_size: usize = 0)) };
    let client = ring::link!(client: Block, Request, audio::PROTOCOL, audio::VERSION, required);
    let client = client.unwrap_or_else(|error| panic!("link client: {error}"));
    let mut console: Option<Link<FromClient, FromConsole>> =
        ring::link!(console: FromClient, FromConsole, console::PROTOCOL, console::VERSION).ok().flatten();
    let clip = Clip::parse(clip);
    if let (Err(error), Some(console)) = (&clip, &mut console) {
        let level = if *error == ClipError::Absent { Level::Debug } else { Level::Error };
        Lines::new().print(console, level, format_args!("{error}; there is nothing to hear"));
    }
    let timer = protocols::timer!(timer_channel).unwrap_or_else(|| panic!("timer_channel is not wired"));
    let driver = Driver::new(ClipDevice::new(clip.ok()), client);
    let mut domain = Domain { driver, timer, ticking: false, console };
    domain.work();
    domain
}

impl Domain {
    fn work(&mut self) {
        if let Some(console) = &mut self.console {
            // Nothing more is said, but a console that restarts must find its peer.
            let _ = console.poll();
            while let Ok(Some(_)) = console.pop() {}
        }
        // A timer that fails is restarting: it notifies once it is back, and work goes on from there.
        let _ = self.timer.take_expired();
        let Ok(now_ns) = self.timer.now_ns() else { return };
        let running = self.driver.turn(now_ns);
        if running != self.ticking {
            let set = if running {
                self.timer.set_every(PERIOD_TIMER, BLOCK_NS).map(drop)
            } else {
                self.timer.cancel(PERIOD_TIMER).map(drop)
            };
            self.ticking = if set.is_ok() { running } else { self.ticking };
        }
    }
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        self.work();
        Ok(())
    }
}
