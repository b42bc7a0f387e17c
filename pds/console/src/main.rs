//! The console's wiring.
//!
//! | symbol | |
//! |---|---|
//! | `system_table`, `system_table_size` | what the system is composed of, read-only: the names of the clients |
//! | link `uart` | the serial line |
//! | links `client0` to `client15` | clients; `client0` owns the terminal; any may be left out |
#![no_std]
#![no_main]

use console::console::{Console, Links, Slot};
use protocols::console::{self as protocol, FromClient, FromConsole, MAX_CLIENTS, TERMINAL_OWNER};
use protocols::system_table::{SystemTable, text};
use protocols::uart::{self, ERROR_OVERRUN, Received, Transmit};
use ring::{Link, LinkError, OpenError};
use sel4_microkit::{ChannelSet, Handler, Infallible, memory_region_symbol, protection_domain, var};
use static_cell::ConstStaticCell;

static CONSOLE: ConstStaticCell<Console<'static>> = ConstStaticCell::new(Console::new());

type ClientLink = Link<FromConsole, FromClient>;

struct Client {
    link: ClientLink,
    name: &'static str,
    /// Why nothing comes from it until it restarts, if so, and whether that was said.
    ignored: Option<(LinkError, bool)>,
}

struct Wires {
    uart: Link<Transmit, Received>,
    clients: [Option<Client>; MAX_CLIENTS],
    /// What the line has told of since that was last said.
    line_errors: u8,
}

struct Domain {
    console: &'static mut Console<'static>,
    wires: Wires,
}

/// Seventeen links, which are moved a few times, take more than the usual stack.
#[protection_domain(stack_size = 0x8000)]
fn init() -> Domain {
    let table_start = memory_region_symbol!(system_table: *mut u8);
    let table_bytes = *var!(system_table_size: usize = 0);
    // SAFETY: the composer maps a region of this size there for as long as the program runs, and nobody writes it.
    let table = unsafe { core::slice::from_raw_parts(table_start.as_ptr(), table_bytes) };
    let table = SystemTable::parse(table).unwrap_or_else(|error| panic!("{error}"));
    let own = table.pd_by_name(sel4_microkit::pd_name().unwrap_or(""));

    let uart = ring::link!(uart: Transmit, Received, uart::PROTOCOL, uart::VERSION, required);
    let uart = uart.unwrap_or_else(|error| panic!("link uart: {error}"));
    let console = CONSOLE.take();
    let mut slot = 0;
    let clients = open_clients().map(|link| {
        let link = link.unwrap_or_else(|error| panic!("link client{slot}: {error}"));
        let client = link.map(|link| {
            let pd = own.and_then(|own| table.peer(own, link.notifier().channel() as u16));
            let name = pd.map_or("?", |pd| text(&table.pds[pd].name));
            console.set_slot(slot, Slot { name, pd: pd.map_or(u64::MAX, |pd| pd as u64) });
            Client { link, name, ignored: None }
        });
        slot += 1;
        client
    });
    if uart.starts() > 1 {
        console.say_interrupted(format_args!("restarted; lines may be missing"));
    }
    let mut domain = Domain { console, wires: Wires { uart, clients, line_errors: 0 } };
    domain.work();
    domain
}

fn open_clients() -> [Result<Option<ClientLink>, OpenError>; MAX_CLIENTS] {
    macro_rules! open {
        ($($name:ident)*) => {
            [$(ring::link!($name: FromConsole, FromClient, protocol::PROTOCOL, protocol::VERSION)),*]
        };
    }
    open!(
        client0 client1 client2 client3 client4 client5 client6 client7 client8 client9 client10 client11 client12 client13
        client14 client15
    )
}

impl Domain {
    fn work(&mut self) {
        self.join();
        // Bounded: clients below the console cannot run, and add lines, before this is done.
        while self.console.turn(&mut self.wires) {}
        self.say_troubles();
        self.console.turn(&mut self.wires);
    }

    /// Joins whoever came up, or came up anew.
    fn join(&mut self) {
        match self.wires.uart.poll() {
            Ok(true) if self.wires.uart.counters().sessions > 1 => {
                self.console.say_interrupted(format_args!("the serial driver restarted; output may be missing"));
            }
            Ok(_) => {}
            // There is no line to say it on; the driver's next start may be better.
            Err(_) => {}
        }
        for (slot, client) in self.wires.clients.iter_mut().enumerate() {
            let Some(client) = client else { continue };
            match client.link.poll() {
                Ok(true) => client.ignored = None,
                Ok(false) => continue,
                Err(cause) => client.ignored = Some((cause, false)),
            }
            self.console.restarted(slot);
        }
    }

    /// Says what the links have told of.
    fn say_troubles(&mut self) {
        if core::mem::take(&mut self.wires.line_errors) & ERROR_OVERRUN != 0 {
            self.console.say(format_args!("the serial line was faster than the system; input is missing"));
        }
        for client in self.wires.clients.iter_mut().flatten() {
            if let Some((cause, said @ false)) = &mut client.ignored {
                *said = true;
                self.console.say(format_args!("{} is ignored until it restarts: {cause}", client.name));
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

impl Links for Wires {
    fn take(&mut self, slot: usize) -> Option<FromClient> {
        let client = self.clients[slot].as_mut()?;
        match client.link.pop() {
            Ok(entry) => return entry,
            // The next turn joins it again.
            Err(LinkError::Restarted) => {}
            Err(cause) => {
                client.ignored.get_or_insert((cause, false));
            }
        }
        None
    }

    fn owner_has_room(&mut self) -> bool {
        self.clients[TERMINAL_OWNER].as_mut().is_some_and(|owner| owner.link.reserve(1).unwrap_or(false))
    }

    fn send_owner(&mut self, entry: FromConsole) {
        if let Some(owner) = &mut self.clients[TERMINAL_OWNER] {
            // There is room; an owner that restarted meanwhile begins with an empty ring anyway.
            let _ = owner.link.push(&entry);
        }
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        let pushed = bytes.chunks(uart::CHUNK).take_while(|chunk| self.uart.push(&Transmit::new(chunk)).is_ok());
        pushed.map(<[u8]>::len).sum()
    }

    fn written(&mut self) -> bool {
        let capacity = self.uart.capacity();
        self.uart.reserve(capacity).unwrap_or(false)
    }

    fn read(&mut self, bytes: &mut [u8]) -> usize {
        let mut length = 0;
        while length + uart::CHUNK <= bytes.len()
            && let Ok(Some(entry)) = self.uart.pop()
        {
            let data = entry.data();
            bytes[length..length + data.len()].copy_from_slice(data);
            length += data.len();
            self.line_errors |= entry.errors;
        }
        length
    }
}
