//! The device and the clients' links, turn by turn.

use protocols::rot::{CLIENTS, MAX_UNDER_WAY, Reply, Request};
use ring::{Link, Notify};
use uart_ns16550::registers::Registers;
use uart_ns16550::uart::{Interrupts, Uart};

use crate::mailbox::Mailbox;

/// Bytes taken from the device in one turn; what is left keeps its interrupt raised.
const RECEIVE_BYTES: usize = 256;
/// Bytes given to the device in one turn; an empty transmitter raises its interrupt for more.
const TRANSMIT_BYTES: usize = 256;
/// Requests taken of one client in one turn.
const REQUESTS: usize = 8;
/// So many interrupts in a row without a cause are a broken device.
pub const STORM: u32 = 64;

/// The driver.
pub struct Driver<'a, R, N> {
    /// `None` if the board has no such card.
    uart: Option<Uart<R>>,
    mailbox: &'a mut Mailbox,
    clients: [Option<Link<Reply, Request, N>>; CLIENTS],
    causeless: u32,
    silenced: bool,
}

impl<'a, R: Registers, N: Notify> Driver<'a, R, N> {
    /// A driver of `uart` for these clients.
    pub fn new(
        uart: Option<Uart<R>>,
        mailbox: &'a mut Mailbox,
        clients: [Option<Link<Reply, Request, N>>; CLIENTS],
        now_ns: u64,
    ) -> Self {
        if uart.is_some() {
            mailbox.start(now_ns);
        }
        Self { uart, mailbox, clients, causeless: 0, silenced: false }
    }

    /// The device has raised its interrupt. Acknowledge it after this and a turn.
    pub fn interrupt(&mut self) {
        let Some(uart) = &mut self.uart else { return };
        if uart.interrupt_pending() {
            self.causeless = 0;
            return;
        }
        self.causeless += 1;
        // A client or the clock gives it another chance.
        self.silenced |= self.causeless >= STORM;
    }

    /// A client has notified, or a time has come.
    pub fn woken(&mut self) {
        self.causeless = 0;
        self.silenced = false;
    }

    /// Does what can be done now. Gives the time at which to come back without being called.
    pub fn turn(&mut self, now_ns: u64) -> Option<u64> {
        for (client, link) in self.clients.iter_mut().enumerate() {
            // Who restarts, or whose header is wrong, has nothing under way.
            if let Some(Ok(true) | Err(_)) = link.as_mut().map(Link::poll) {
                self.mailbox.forget(client);
            }
        }
        self.receive(now_ns);
        self.mailbox.tick(now_ns);
        while let Some((client, reply)) = self.mailbox.expired() {
            self.deliver(client, &reply);
        }
        let left = self.take_requests(now_ns);
        let more = self.transmit(now_ns);
        if let Some(uart) = &mut self.uart {
            let interrupts = Interrupts { received: true, transmit_empty: more };
            uart.set_interrupts(if self.silenced { Interrupts::default() } else { interrupts });
        }
        if left { Some(now_ns) } else { self.mailbox.wake_ns() }
    }

    fn receive(&mut self, now_ns: u64) {
        for _ in 0..RECEIVE_BYTES {
            let Some(byte) = self.uart.as_mut().and_then(Uart::try_receive) else { break };
            self.causeless = 0;
            if let Some((client, reply)) = self.mailbox.receive(byte, now_ns) {
                self.deliver(client, &reply);
            }
        }
        if let Some(uart) = &self.uart {
            let errors = uart.errors();
            self.mailbox.set_line_errors(errors.overruns + errors.parity + errors.framing + errors.breaks);
        }
    }

    /// Takes requests only as far as there is room for all replies, so that none is dropped and none waits. True if there
    /// may be more that nobody will notify of.
    fn take_requests(&mut self, now_ns: u64) -> bool {
        let mut left = false;
        for client in 0..CLIENTS {
            left |= (0..REQUESTS).all(|_| self.take_request(client, now_ns));
        }
        left
    }

    /// Takes a request; false if there is none, or none can be taken until a reply was given or taken.
    fn take_request(&mut self, client: usize, now_ns: u64) -> bool {
        let under_way = self.mailbox.under_way(client);
        let Some(link) = &mut self.clients[client] else { return false };
        if under_way >= MAX_UNDER_WAY || link.reserve(under_way + 1) != Ok(true) {
            return false;
        }
        // A client that restarts or misbehaves is dealt with in the next turn.
        let Ok(Some(request)) = link.pop() else { return false };
        if let Some(reply) = self.mailbox.submit(client, &request, now_ns) {
            self.deliver(client, &reply);
        }
        true
    }

    fn transmit(&mut self, now_ns: u64) -> bool {
        let Some(uart) = &mut self.uart else { return false };
        self.mailbox.transmit(now_ns, TRANSMIT_BYTES, |byte| uart.try_transmit(byte))
    }

    fn deliver(&mut self, client: usize, reply: &Reply) {
        // There is room, unless the client has restarted and forgotten what it asked.
        if let Some(link) = &mut self.clients[client] {
            let _ = link.push(reply);
        }
    }

    /// The mailbox.
    pub fn mailbox(&self) -> &Mailbox {
        self.mailbox
    }
}
