//! The spotter's wiring.
//!
//! | symbol | |
//! |---|---|
//! | `words`, `words_size` | what the model's outputs mean, read-only |
//! | link `audio` | the driver of the microphone |
//! | link `models` | the model runner |
//! | `models_data`, `models_data_size` | tensors, shared with the model runner |
//! | `timer_channel` | the timer, for its clock |
//! | link `console` | what was heard; may be left out |
//! | links `client0` to `client3` | who wants to know what was heard; any may be left out |
#![no_std]
#![no_main]

use core::sync::atomic::AtomicU8;

use keywords::{History, Machine, REGION_BYTES, Spotter, Subscriber, Words};
use protocols::audio::{self, Block, SAMPLE_RATE};
use protocols::console::{self, FromClient, FromConsole, Level, Lines};
use protocols::keywords::{self as protocol, Detection, Event, MAX_CLIENTS};
use protocols::model::{self, Reply, Request};
use protocols::timer::Timer;
use ring::{ChannelNotifier, Link};
use sel4_microkit::{ChannelSet, Handler, Infallible, counters, memory_region_symbol, protection_domain, var};
use static_cell::StaticCell;

/// Turns without waiting that one notification can cause: sound is at most a ring full of blocks behind.
const TURNS: usize = 4;

struct Hart(Timer);

impl Machine for Hart {
    fn now_ns(&mut self) -> Option<u64> {
        self.0.now_ns().ok()
    }

    fn instructions(&self) -> u64 {
        counters::rdinstret()
    }
}

/// Frames, opinions and what was heard: too large for a usual stack.
static SPOTTER: StaticCell<Spotter<'static>> = StaticCell::new();

struct Domain {
    /// `None` if its words or its memory are of no use.
    spotter: Option<&'static mut Spotter<'static>>,
    machine: Hart,
    audio: Link<audio::Request, Block>,
    models: Link<Request, Reply>,
    subscribers: [Option<Subscriber<ChannelNotifier>>; MAX_CLIENTS],
    console: Option<Link<FromClient, FromConsole>>,
    lines: Lines,
}

/// The subscriber with the link of this name, if it is wired.
macro_rules! subscriber {
    ($name:ident) => {
        ring::link!($name: Event, protocol::Request, protocol::PROTOCOL, protocol::VERSION)
            .unwrap_or_else(|error| panic!("link {}: {error}", stringify!($name)))
            .map(Subscriber::new)
    };
}

#[protection_domain(stack_size = 0x6000)]
fn init() -> Domain {
    let words = memory_region_symbol!(words: *mut u8);
    // SAFETY: the composer maps a region of this size there for as long as the program runs, and nobody writes it.
    let words: &'static [u8] = unsafe { core::slice::from_raw_parts(words.as_ptr(), *var!(words_size: usize = 0)) };
    let data = memory_region_symbol!(models_data: *mut AtomicU8);
    // SAFETY: as above, but writable by this program and the model runner; both only use it by atomic bytes here.
    let data: &'static [AtomicU8] =
        unsafe { core::slice::from_raw_parts(data.as_ptr(), *var!(models_data_size: usize = 0)) };

    let audio = ring::link!(audio: audio::Request, Block, audio::PROTOCOL, audio::VERSION, required);
    let models = ring::link!(models: Request, Reply, model::PROTOCOL, model::VERSION, required);
    let mut domain = Domain {
        spotter: None,
        machine: Hart(protocols::timer!(timer_channel).unwrap_or_else(|| panic!("timer_channel is not wired"))),
        audio: audio.unwrap_or_else(|error| panic!("link audio: {error}")),
        models: models.unwrap_or_else(|error| panic!("link models: {error}")),
        subscribers: [subscriber!(client0), subscriber!(client1), subscriber!(client2), subscriber!(client3)],
        console: ring::link!(console: FromClient, FromConsole, console::PROTOCOL, console::VERSION).ok().flatten(),
        lines: Lines::new(),
    };
    match (Words::parse(words), History::new(data)) {
        (Ok(words), Some(history)) => domain.spotter = Some(SPOTTER.init_with(|| Spotter::new(words, history))),
        (Err(error), _) => domain.print(Level::Error, format_args!("{error}; listening to nothing")),
        (_, None) => domain
            .print(Level::Error, format_args!("the region shared with the model runner needs {REGION_BYTES} bytes")),
    }
    domain.work();
    domain
}

impl Domain {
    fn print(&mut self, level: Level, text: core::fmt::Arguments<'_>) {
        if let Some(console) = &mut self.console {
            self.lines.print(console, level, text);
        }
    }

    fn work(&mut self) {
        if let Some(console) = &mut self.console {
            // A console that restarted takes nothing until it is back; lines are dropped meanwhile, and counted.
            let _ = console.poll();
            while let Ok(Some(_)) = console.pop() {}
            self.lines.tell_drops(console);
        }
        // The timer's notifications have only to be taken: it says that it restarted.
        let _ = self.machine.0.take_expired();
        for _ in 0..TURNS {
            if !self.turn() {
                break;
            }
        }
    }

    /// True if there may be more to do.
    fn turn(&mut self) -> bool {
        let Some(spotter) = &mut self.spotter else { return false };
        let more_sound = spotter.listen(&mut self.audio, &mut self.machine);
        let news = spotter.ask(&mut self.models, &mut self.machine);
        if let Some(heard) = &news.heard {
            let event = Event::new(protocol::kind::DETECTION, heard);
            self.subscribers.iter_mut().flatten().for_each(|subscriber| subscriber.tell(&event));
        }
        if news.ended {
            let event = Event::new(protocol::kind::END, spotter.status());
            self.subscribers.iter_mut().flatten().for_each(|subscriber| subscriber.tell(&event));
        }
        for subscriber in self.subscribers.iter_mut().flatten() {
            subscriber.turn(spotter.recent(), spotter.status());
        }
        if news.no_model {
            self.print(Level::Error, format_args!("the model runner has no model 'keywords' with these words"));
        }
        if let Some(Detection { sample, confidence, latency_ns, .. }) = news.heard {
            let word = news.heard.as_ref().map_or("", Detection::word);
            let ms = sample * 1000 / u64::from(SAMPLE_RATE);
            self.print(
                Level::Info,
                format_args!(
                    "heard '{word}' at {}.{:02} s, sure to {} %, told {}.{} ms after the last sample",
                    ms / 1000,
                    ms % 1000 / 10,
                    confidence / 10,
                    latency_ns / 1_000_000,
                    latency_ns / 100_000 % 10,
                ),
            );
        }
        more_sound || news.heard.is_some()
    }
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        self.work();
        Ok(())
    }
}
