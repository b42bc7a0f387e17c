//! Wires the driver into its protection domain.
//!
//! | symbol | |
//! |---|---|
//! | `rot_config` | the card's page in PCI configuration space |
//! | `rot_registers`, `rot_registers_paddr` | where its registers are to be, mapped and physical |
//! | `rot_irq` | its interrupt; 0 unless the system description sets it |
//! | `timer_channel` | calls to the timer, for the times of requests |
//! | links `client0` to `client3` | clients; any may be left out |
#![no_std]
#![no_main]

use protocols::rot::{CLIENTS, PROTOCOL, Reply, Request, VERSION};
use protocols::timer::Timer;
use ring::{ChannelNotifier, Link, OpenError};
use rot_mailbox::driver::Driver;
use rot_mailbox::mailbox::Mailbox;
use rot_mailbox::pci;
use sel4_microkit::{
    Channel, ChannelSet, DeferredAction, DeferredActionSlot, Handler, Infallible, memory_region_symbol,
    protection_domain, var,
};
use static_cell::ConstStaticCell;
use uart_ns16550::registers::Block;
use uart_ns16550::uart::Uart;

static MAILBOX: ConstStaticCell<Mailbox> = ConstStaticCell::new(Mailbox::new());

/// The fastest that the card's clock allows: 115200 baud.
const DIVISOR: u16 = 1;
/// The one timer that the driver uses.
const WAKE_UP: usize = 0;

struct Wired {
    driver: Driver<'static, &'static Block, ChannelNotifier>,
    timer: Timer,
    interrupt: Channel,
    deferred: DeferredActionSlot,
}

/// Requests and replies are copied on the stack a few times.
#[protection_domain(stack_size = 0x6000)]
fn init() -> impl Handler {
    // SAFETY: the composer maps the card's configuration there, uncached, for this program alone, for as long as it runs.
    let config: &'static pci::Block = unsafe { memory_region_symbol!(rot_config: *mut pci::Block).as_ref() };
    // SAFETY: and there what the card is told to show its registers at.
    let registers: &'static Block = unsafe { memory_region_symbol!(rot_registers: *mut Block).as_ref() };
    let found = pci::set_up(&config, *var!(rot_registers_paddr: u64 = 0));
    let uart = found.then(|| Uart::with_divisor(registers, DIVISOR));
    let mut timer = protocols::timer!(timer_channel).expect("the channel to the timer is wired");
    let clients = open_clients().map(|link| link.unwrap_or_else(|error| panic!("a client's link: {error}")));
    let now_ns = timer.now_ns().unwrap_or_else(|error| panic!("{error}"));
    let mut wired = Wired {
        driver: Driver::new(uart, MAILBOX.take(), clients, now_ns),
        timer,
        interrupt: Channel::new(*var!(rot_irq: usize = 0)),
        deferred: DeferredActionSlot::new(),
    };
    wired.turn();
    wired
}

fn open_clients() -> [Result<Option<Link<Reply, Request>>, OpenError>; CLIENTS] {
    macro_rules! open {
        ($($name:ident)*) => { [$(ring::link!($name: Reply, Request, PROTOCOL, VERSION)),*] };
    }
    open!(client0 client1 client2 client3)
}

impl Wired {
    fn turn(&mut self) {
        // A timer that does not answer is at fault, and the supervisor restarts this driver until it does.
        let now_ns = self.timer.now_ns().unwrap_or_else(|error| panic!("{error}"));
        if let Some(wake_ns) = self.driver.turn(now_ns) {
            self.timer.set_at(WAKE_UP, wake_ns).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

impl Handler for Wired {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        let interrupt = channels.contains(self.interrupt);
        if interrupt {
            self.driver.interrupt();
        }
        if channels.iter().any(|channel| channel != self.interrupt) {
            self.driver.woken();
        }
        if channels.contains(Channel::new(self.timer.transport().channel())) {
            // Whatever it says, the driver looks at the clock itself.
            let _ = self.timer.take_expired();
        }
        self.turn();
        if interrupt {
            self.deferred.defer_irq_ack(self.interrupt).expect("an interrupt can be acknowledged");
        }
        Ok(())
    }

    fn take_deferred_action(&mut self) -> Option<DeferredAction> {
        self.deferred.take()
    }
}
