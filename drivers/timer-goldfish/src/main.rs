//! Wires the driver into its protection domain: the device's registers (`timer`), its interrupt (`timer_irq`, 0 unless the
//! system description sets it), the links `client0` to `client3` of clients that may not call, and, on every other channel,
//! calls.
#![no_std]
#![no_main]

use protocols::timer::{Event, MAX_ANSWER, PROTOCOL, Request, VERSION};
use ring::ChannelNotifier;
use sel4_microkit::{
    Channel, ChannelSet, DeferredAction, DeferredActionSlot, Handler, Infallible, MessageInfo, memory_region_symbol,
    notification_channels, protection_domain, var, with_msg_regs, with_msg_regs_mut,
};
use timer_goldfish::clock::Clock;
use timer_goldfish::driver::{Driver, Table};
use timer_goldfish::linked::Linked;
use timer_goldfish::registers::Block;
use timer_goldfish::server::Server;

/// The most words of a message, and one more to tell when there are too many.
const MESSAGE_WORDS: usize = 4;

struct Wired {
    server: Server<'static, &'static Block, ChannelNotifier>,
    interrupt: Channel,
    deferred: DeferredActionSlot,
}

static mut TIMERS: Table = Table::new();

protocols::serves!(PROTOCOL, VERSION);

/// The client with the link of this name, if it is wired.
macro_rules! linked {
    ($index:literal, $name:ident) => {
        match ring::link!($name: Event, Request, PROTOCOL, VERSION) {
            Ok(link) => link.map(|link| Linked::new(link, $index)),
            Err(error) => panic!("the link `{}`: {error}", stringify!($name)),
        }
    };
}

#[protection_domain]
fn init() -> impl Handler {
    let linked = [linked!(0, client0), linked!(1, client1), linked!(2, client2), linked!(3, client3)];
    // SAFETY: the composer maps the device's registers there, uncached, for this program alone and for as long as it runs.
    let registers: &'static Block = unsafe { memory_region_symbol!(timer: *mut Block).as_ref() };
    // SAFETY: this is the only reference, for `init` runs once in the program's life, and a restart makes it anew.
    let timers = unsafe { (&raw mut TIMERS).as_mut() }.expect("a static has an address");
    let mut server = Server::new(Driver::new(Clock::new(registers), timers), linked);
    server.notified(false, notify);
    // What clients had set before a restart is gone; they find that out when they look.
    notification_channels().iter().for_each(|channel| channel.notify());
    Wired { server, interrupt: Channel::new(*var!(timer_irq: usize = 0)), deferred: DeferredActionSlot::new() }
}

fn notify(channel: usize) {
    let channel = Channel::new(channel);
    // A client without this right polls.
    if notification_channels().contains(channel) {
        channel.notify();
    }
}

impl Handler for Wired {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        let interrupt = channels.contains(self.interrupt);
        self.server.notified(interrupt, notify);
        if interrupt {
            self.deferred.defer_irq_ack(self.interrupt).expect("an interrupt can be acknowledged");
        }
        Ok(())
    }

    fn protected(&mut self, channel: Channel, message: MessageInfo) -> Result<MessageInfo, Infallible> {
        let (mut words, mut answer) = ([0; MESSAGE_WORDS], [0; MAX_ANSWER]);
        let count = message.count().min(MESSAGE_WORDS);
        with_msg_regs(|registers| words[..count].copy_from_slice(&registers[..count]));
        let result = self.server.call(channel.index(), message.label(), &words[..count], &mut answer, notify);
        with_msg_regs_mut(|registers| registers[..result.words].copy_from_slice(&answer[..result.words]));
        Ok(MessageInfo::new(result.label, result.words))
    }

    fn take_deferred_action(&mut self) -> Option<DeferredAction> {
        self.deferred.take()
    }
}
