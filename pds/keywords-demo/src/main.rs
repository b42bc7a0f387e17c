//! The demonstration's wiring.
//!
//! | symbol | |
//! |---|---|
//! | `clip`, `clip_size` | what the machine was given to hear, read-only: what is said in it |
//! | link `keywords` | the keyword spotter |
//! | link `console` | where the report goes |
#![no_std]
#![no_main]

use keywords_demo::Demo;
use protocols::clip::{Clip, ClipError};
use protocols::console::{self, FromClient, FromConsole, Level, Lines};
use protocols::keywords::{self as protocol, Event, Request};
use ring::Link;
use sel4_microkit::{ChannelSet, Handler, Infallible, memory_region_symbol, protection_domain, var};

/// Turns that one notification can cause.
const TURNS: usize = 8;

struct Domain {
    /// `None` if there is no clip.
    demo: Option<Demo<'static>>,
    keywords: Link<Request, Event>,
    console: Link<FromClient, FromConsole>,
    lines: Lines,
}

#[protection_domain]
fn init() -> Domain {
    let clip = memory_region_symbol!(clip: *mut u8);
    // SAFETY: the composer maps a region of this size there for as long as the program runs, and nobody writes it.
    let clip: &'static [u8] = unsafe { core::slice::from_raw_parts(clip.as_ptr(), *var!(clip_size: usize = 0)) };
    let keywords = ring::link!(keywords: Request, Event, protocol::PROTOCOL, protocol::VERSION, required);
    let console = ring::link!(console: FromClient, FromConsole, console::PROTOCOL, console::VERSION, required);
    let mut domain = Domain {
        demo: None,
        keywords: keywords.unwrap_or_else(|error| panic!("link keywords: {error}")),
        console: console.unwrap_or_else(|error| panic!("link console: {error}")),
        lines: Lines::new(),
    };
    match Clip::parse(clip) {
        Ok(clip) => domain.demo = Some(Demo::new(clip)),
        Err(ClipError::Absent) => (),
        Err(error) => {
            domain.lines.print(&mut domain.console, Level::Error, format_args!("keywords: FAIL {error}"));
        }
    }
    domain.work();
    domain
}

impl Domain {
    fn work(&mut self) {
        // A console that restarted, or says nonsense, takes nothing until it is back; lines are dropped meanwhile, and counted.
        let _ = self.console.poll();
        while let Ok(Some(_)) = self.console.pop() {}
        self.lines.tell_drops(&mut self.console);
        let Domain { demo: Some(demo), keywords, console, lines } = self else {
            // Without a clip nothing is said, but the spotter's events are not asked for either.
            return;
        };
        // The spotter outranks this and may add events meanwhile; who adds without end is left to the next notification.
        for _ in 0..TURNS {
            if !demo.turn(keywords, |line| lines.print(console, Level::Info, format_args!("{line}"))) {
                break;
            }
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
