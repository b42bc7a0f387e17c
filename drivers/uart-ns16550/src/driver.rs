//! What the device is to the rest of the system: one link, bytes both ways.
//!
//! Everything happens in [`Driver::turn`], which is bounded; what it leaves undone comes back as an interrupt or as a
//! notification of the client. Flow control is the rings': output waits in the client's ring until the device takes it, and
//! while the client has no room for input, received bytes stay in the device, with its interrupt off.

use protocols::uart::{CHUNK, ERROR_BREAK, ERROR_FRAMING, ERROR_OVERRUN, ERROR_PARITY, Received, Transmit};
use ring::{Link, Notify};

use crate::registers::Registers;
use crate::uart::{Interrupts, LineErrors, Uart};

/// Entries to the client in one turn.
const RECEIVE_ENTRIES: usize = 2;
/// Bytes to the device in one turn. An emulated device takes them at once; a real one takes
/// [`crate::uart::TRANSMIT_BYTES`].
const TRANSMIT_BYTES: usize = 256;
/// So many interrupts in a row without a cause are a broken device, not bad luck.
pub const STORM: u32 = 64;

/// What the driver has counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes passed on to the client.
    pub received: u64,
    /// Bytes handed to the device.
    pub transmitted: u64,
    /// Interrupts for which the device had no reason.
    pub spurious: u64,
    /// Times that the device's interrupts were turned off because they did not end.
    pub storms: u64,
}

/// The driver.
#[derive(Debug)]
pub struct Driver<R, N> {
    uart: Uart<R>,
    client: Link<Received, Transmit, N>,
    /// What is being sent, and how much of it the device has.
    sending: Transmit,
    sent: usize,
    /// The errors that the client knows of.
    reported: LineErrors,
    counters: Counters,
    /// Interrupts without a cause since one with, or since bytes moved.
    causeless: u32,
    silenced: bool,
}

impl<R: Registers, N: Notify> Driver<R, N> {
    /// A driver of `uart` for `client`. The first turn turns the interrupts on.
    pub fn new(uart: Uart<R>, client: Link<Received, Transmit, N>) -> Self {
        Self {
            uart,
            client,
            sending: Transmit::new(&[]),
            sent: 0,
            reported: LineErrors::default(),
            counters: Counters::default(),
            causeless: 0,
            silenced: false,
        }
    }

    /// The device has raised its interrupt: a turn. Acknowledge the interrupt afterwards, for it is level-triggered: the
    /// turn takes its cause away, and what the turn leaves undone raises it again.
    pub fn interrupt(&mut self) {
        if self.uart.interrupt_pending() {
            self.causeless = 0;
        } else {
            self.counters.spurious += 1;
            self.causeless += 1;
        }
        self.turn();
        if self.causeless >= STORM && !self.silenced {
            self.counters.storms += 1;
            self.silenced = true;
            self.uart.set_interrupts(Interrupts::default());
        }
    }

    /// The client has notified: a turn. Interrupts that were off because they did not end get another chance.
    pub fn notified(&mut self) {
        self.silenced = false;
        self.causeless = 0;
        self.turn();
    }

    /// Moves bytes both ways as far as it goes at once, and asks for the interrupts that make it go on.
    pub fn turn(&mut self) {
        // A client that restarts, or whose header is wrong, is the link's matter: it counts that, and lets nothing pass.
        // A chunk that was taken is sent in full either way.
        let _ = self.client.poll();
        let received = self.receive();
        let transmit_empty = self.transmit();
        if !self.silenced {
            self.uart.set_interrupts(Interrupts { received, transmit_empty });
        }
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The device.
    pub fn uart(&self) -> &Uart<R> {
        &self.uart
    }

    /// Passes on what has arrived. True if the client has room for more.
    fn receive(&mut self) -> bool {
        for _ in 0..RECEIVE_ENTRIES {
            if self.client.reserve(1) != Ok(true) {
                return false;
            }
            let (mut bytes, mut count) = ([0; CHUNK], 0);
            while count < CHUNK
                && let Some(byte) = self.uart.try_receive()
            {
                bytes[count] = byte;
                count += 1;
            }
            let errors = self.uart.errors();
            if count == 0 && errors == self.reported {
                return true;
            }
            let mut entry = Received::new(&bytes[..count], kinds(errors, self.reported));
            entry.error_count = total(errors);
            if self.client.push(&entry).is_err() {
                return false;
            }
            self.reported = errors;
            self.counters.received += count as u64;
            self.causeless = 0;
        }
        // There may be more in the device; then its interrupt is still raised.
        true
    }

    /// Sends what the client gave. True if there may be more.
    fn transmit(&mut self) -> bool {
        for _ in 0..TRANSMIT_BYTES {
            if self.sent == self.sending.data().len() {
                match self.client.pop() {
                    Ok(Some(chunk)) => (self.sending, self.sent) = (chunk, 0),
                    Ok(None) | Err(_) => return false,
                }
            }
            let Some(byte) = self.sending.data().get(self.sent) else { continue };
            if !self.uart.try_transmit(*byte) {
                break;
            }
            self.sent += 1;
            self.counters.transmitted += 1;
            self.causeless = 0;
        }
        true
    }
}

/// The kinds of errors that happened between `old` and `new`.
fn kinds(new: LineErrors, old: LineErrors) -> u8 {
    let kind = |flag: u8, happened: bool| if happened { flag } else { 0 };
    kind(ERROR_OVERRUN, new.overruns != old.overruns)
        | kind(ERROR_PARITY, new.parity != old.parity)
        | kind(ERROR_FRAMING, new.framing != old.framing)
        | kind(ERROR_BREAK, new.breaks != old.breaks)
}

fn total(errors: LineErrors) -> u32 {
    let LineErrors { overruns, parity, framing, breaks } = errors;
    u32::try_from(overruns + parity + framing + breaks).unwrap_or(u32::MAX)
}
