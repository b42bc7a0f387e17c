//! The demo's wiring.
//!
//! | symbol | |
//! |---|---|
//! | `model_pack`, `model_pack_size` | the models and the scans, read-only |
//! | link `models` | the model runner |
//! | `models_data`, `models_data_size` | tensors, shared with the model runner |
//! | link `console` | where the report goes |
#![no_std]
#![no_main]

use core::sync::atomic::AtomicU8;

use digits_demo::Demo;
use protocols::console::{self, FromClient, FromConsole, Level, Lines};
use protocols::model::{self, Reply, Request};
use protocols::model_pack::ModelPack;
use ring::Link;
use sel4_microkit::{ChannelSet, Handler, Infallible, memory_region_symbol, protection_domain, var};

struct Domain {
    demo: Result<Demo<'static>, &'static str>,
    models: Link<Request, Reply>,
    console: Link<FromClient, FromConsole>,
    lines: Lines,
}

#[protection_domain]
fn init() -> Domain {
    let pack = memory_region_symbol!(model_pack: *mut u8);
    // SAFETY: the composer maps a region of this size there for as long as the program runs, and nobody writes it.
    let pack: &'static [u8] = unsafe { core::slice::from_raw_parts(pack.as_ptr(), *var!(model_pack_size: usize = 0)) };
    let data = memory_region_symbol!(models_data: *mut AtomicU8);
    // SAFETY: as above, but writable by this program and the model runner; both only use it by atomic bytes here.
    let data: &'static [AtomicU8] =
        unsafe { core::slice::from_raw_parts(data.as_ptr(), *var!(models_data_size: usize = 0)) };

    let models = ring::link!(models: Request, Reply, model::PROTOCOL, model::VERSION, required);
    let models = models.unwrap_or_else(|error| panic!("link models: {error}"));
    let console = ring::link!(console: FromClient, FromConsole, console::PROTOCOL, console::VERSION, required);
    let console = console.unwrap_or_else(|error| panic!("link console: {error}"));
    let demo = match ModelPack::parse(pack).map(|pack| pack.by_name("digits")) {
        Ok(Some((index, model))) => Ok(Demo::new(model, index, data)),
        Ok(None) => Err("digits: FAIL there is no model of that name in the model pack"),
        Err(_) => Err("digits: FAIL the model pack is broken"),
    };
    let mut domain = Domain { demo, models, console, lines: Lines::new() };
    if let Err(reason) = domain.demo {
        domain.lines.print(&mut domain.console, Level::Error, format_args!("{reason}"));
    }
    domain.work();
    domain
}

impl Domain {
    fn work(&mut self) {
        // A console that restarted, or says nonsense, takes nothing until it is back; the report waits.
        let _ = self.console.poll();
        while let Ok(Some(_)) = self.console.pop() {}
        self.lines.tell_drops(&mut self.console);
        if let Ok(demo) = &mut self.demo {
            demo.turn(&mut self.models, &mut self.lines, &mut self.console);
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
