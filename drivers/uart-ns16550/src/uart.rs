//! What the device can do.

use core::fmt;

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use tock_registers::LocalRegisterCopy;

use crate::registers::{
    FifoControl, InterruptEnable, InterruptIdentification, LineControl, LineStatus, ModemControl, Registers,
};

/// Bytes that fit into the transmitter once it says that it is empty (section 8.4).
pub const TRANSMIT_BYTES: usize = 16;
/// How often a call that waits looks at the device before it gives up. At 115200 baud a byte takes 87 µs; a look takes
/// well under 1 µs less than that, so this is some milliseconds at least.
const LOOKS: usize = 100_000;

/// The device did not become ready within a bounded number of looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("uart: the device did not become ready")
    }
}

impl core::error::Error for TimedOut {}

impl embedded_io::Error for TimedOut {
    fn kind(&self) -> ErrorKind {
        ErrorKind::TimedOut
    }
}

/// Errors of the line, each counted once a look at the device's status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineErrors {
    /// The device lost bytes, nobody knows how many, because nobody took them.
    pub overruns: u64,
    /// Bytes with wrong parity.
    pub parity: u64,
    /// Bytes without a valid stop bit.
    pub framing: u64,
    /// Breaks.
    pub breaks: u64,
}

/// The UART.
#[derive(Debug)]
pub struct Uart<R> {
    registers: R,
    errors: LineErrors,
    /// Bytes that surely still fit into the transmitter.
    room: usize,
    interrupts: Interrupts,
    /// The byte that had arrived before the queues were on.
    early: Option<u8>,
}

/// The interrupts that are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interrupts {
    /// When bytes have arrived, or an error.
    pub received: bool,
    /// When the transmitter is empty.
    pub transmit_empty: bool,
}

impl<R: Registers> Uart<R> {
    /// Sets the device up: eight bits, no parity, queues on and empty, no interrupts. The line's speed stays as the
    /// firmware, or whoever used the device before, has set it.
    pub fn new(registers: R) -> Self {
        registers.set_interrupts(InterruptEnable::RECEIVED::CLEAR);
        registers.set_line(LineControl::WORD_LENGTH::EightBits);
        registers.set_modem(
            ModemControl::TERMINAL_READY::SET + ModemControl::REQUEST_TO_SEND::SET + ModemControl::OUT2::SET,
        );
        // Received bytes stay: someone may be typing while the driver restarts. Changing ENABLE empties both queues
        // (8.6.5), but only where the firmware had it off; then there is at most one byte to save.
        let mut uart =
            Self { registers, errors: LineErrors::default(), room: 0, interrupts: Interrupts::default(), early: None };
        uart.early = uart.try_receive();
        uart.registers.set_fifo(FifoControl::ENABLE::SET + FifoControl::TRIGGER::EightBytes);
        uart
    }

    /// The same with the line's speed set: the device's clock by 16 by `divisor`.
    pub fn with_divisor(registers: R, divisor: u16) -> Self {
        registers.set_interrupts(InterruptEnable::RECEIVED::CLEAR);
        registers.set_divisor(divisor);
        Self::new(registers)
    }

    /// Chooses the interrupts; touches the device only if they change.
    pub fn set_interrupts(&mut self, interrupts: Interrupts) {
        if self.interrupts == interrupts {
            return;
        }
        self.interrupts = interrupts;
        self.registers.set_interrupts(
            InterruptEnable::RECEIVED.val(u8::from(interrupts.received))
                + InterruptEnable::LINE_STATUS.val(u8::from(interrupts.received))
                + InterruptEnable::TRANSMIT_EMPTY.val(u8::from(interrupts.transmit_empty)),
        );
    }

    /// Whether the device has a reason for an interrupt. Asking ends the one of an empty transmitter (8.6.6).
    pub fn interrupt_pending(&mut self) -> bool {
        !self.registers.identification().is_set(InterruptIdentification::NONE_PENDING)
    }

    /// Takes a received byte, if there is one.
    pub fn try_receive(&mut self) -> Option<u8> {
        if self.early.is_some() {
            return self.early.take();
        }
        self.status().is_set(LineStatus::DATA_READY).then(|| self.registers.receive())
    }

    /// Hands `byte` to the transmitter. False if that has no room.
    pub fn try_transmit(&mut self, byte: u8) -> bool {
        if self.room == 0 {
            if !self.status().is_set(LineStatus::TRANSMIT_EMPTY) {
                return false;
            }
            self.room = TRANSMIT_BYTES;
        }
        self.room -= 1;
        self.registers.transmit(byte);
        true
    }

    /// Errors counted so far.
    pub fn errors(&self) -> LineErrors {
        self.errors
    }

    /// Reads the status; as that clears the errors in it (8.6.3), each read counts them.
    fn status(&mut self) -> LocalRegisterCopy<u8, LineStatus::Register> {
        let status = self.registers.line_status();
        self.errors.overruns += u64::from(status.read(LineStatus::OVERRUN));
        self.errors.parity += u64::from(status.read(LineStatus::PARITY));
        self.errors.framing += u64::from(status.read(LineStatus::FRAMING));
        self.errors.breaks += u64::from(status.read(LineStatus::BREAK));
        status
    }

    fn wait(&mut self, mut ready: impl FnMut(&mut Self) -> bool) -> Result<(), TimedOut> {
        (0..LOOKS).any(|_| ready(self)).then_some(()).ok_or(TimedOut)
    }
}

impl<R> ErrorType for Uart<R> {
    type Error = TimedOut;
}

impl<R: Registers> ReadReady for Uart<R> {
    fn read_ready(&mut self) -> Result<bool, TimedOut> {
        Ok(self.early.is_some() || self.status().is_set(LineStatus::DATA_READY))
    }
}

impl<R: Registers> WriteReady for Uart<R> {
    fn write_ready(&mut self) -> Result<bool, TimedOut> {
        Ok(self.room > 0 || self.status().is_set(LineStatus::TRANSMIT_EMPTY))
    }
}

impl<R: Registers> Read for Uart<R> {
    /// Waits for the first byte, for a bounded time, then takes what is there.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TimedOut> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.wait(|uart| uart.early.is_some() || uart.status().is_set(LineStatus::DATA_READY))?;
        let mut count = 0;
        while count < buffer.len()
            && let Some(byte) = self.try_receive()
        {
            buffer[count] = byte;
            count += 1;
        }
        // A device that says "ready" and then not again has lost its byte; that is no end of file.
        if count == 0 { Err(TimedOut) } else { Ok(count) }
    }
}

impl<R: Registers> Write for Uart<R> {
    /// Waits for room, for a bounded time, then hands over what fits.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, TimedOut> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.wait(|uart| uart.room > 0 || uart.status().is_set(LineStatus::TRANSMIT_EMPTY))?;
        let count = bytes.iter().take_while(|byte| self.try_transmit(**byte)).count();
        if count == 0 { Err(TimedOut) } else { Ok(count) }
    }

    /// Waits, for a bounded time, until the transmitter's queue is empty.
    fn flush(&mut self) -> Result<(), TimedOut> {
        self.wait(|uart| uart.status().is_set(LineStatus::TRANSMIT_EMPTY))
    }
}
