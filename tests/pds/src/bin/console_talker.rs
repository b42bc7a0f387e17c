//! Says a line each time that it is told to.
#![no_std]
#![no_main]

use protocols::console::{FromClient, FromConsole, Level, Lines, PROTOCOL, VERSION};
use ring::Link;
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};

const JUDGE: Channel = Channel::new(20);

struct Talker {
    console: Link<FromClient, FromConsole>,
    lines: Lines,
    said: u64,
}

#[protection_domain]
fn init() -> impl Handler {
    let console = ring::link!(console: FromClient, FromConsole, PROTOCOL, VERSION);
    Talker { console: console.expect("a link").expect("a console"), lines: Lines::new(), said: 0 }
}

impl Handler for Talker {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        let _ = self.console.poll();
        if channels.contains(JUDGE) {
            self.said += 1;
            self.lines.print(&mut self.console, Level::Warning, format_args!("word {}", self.said));
        }
        Ok(())
    }
}
